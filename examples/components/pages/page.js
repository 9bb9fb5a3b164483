// Starts a job when a button is clicked, and tells the elements of the page which one: `src` may be set at any time.

for (const button of document.querySelectorAll("button[data-task]")) {
  button.addEventListener("click", async () => {
    const response = await fetch("/backburner/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
      body: JSON.stringify({ task: button.dataset.task, arguments: JSON.parse(button.dataset.arguments || "{}") }),
    });
    const job = await response.json(), element = document.getElementById(button.dataset.for || "");
    if (element) element.src = job.href;
    if (button.dataset.for === "one") document.getElementById("output").src = job.href;
    dispatchEvent(new CustomEvent("backburner:started", { detail: { id: job.id, href: job.href } }));
  });
}
