// The list of jobs: what is selected, and how many of it each button of the bulk bar is for.

const form = document.querySelector("[data-bulk]");
const CAN = {
  retry: new Set(["succeeded", "failed", "interrupted", "cancelled", "skipped"]),
  cancel: new Set(["scheduled", "blocked", "queued", "running", "retrying"]),
};
CAN.delete = new Set([...CAN.retry, ...CAN.cancel].filter((state) => state !== "running"));

const picks = () => [...document.querySelectorAll(".pick")];

function draw() {
  const chosen = picks().filter((pick) => pick.checked), all = document.querySelector("[data-pick-all]");
  const states = chosen.map((pick) => pick.closest("tr").dataset.state);
  form.querySelector("[data-selected]").textContent = `${chosen.length} selected`;
  for (const button of form.querySelectorAll("[data-verb]")) {
    const verb = button.dataset.verb, number = states.filter((state) => CAN[verb].has(state)).length;
    button.querySelector("[data-number]").textContent = String(number);
    button.disabled = !number;
    button.title = number ? "" : `None of those selected can be ${verb === "retry" ? "retried" : verb === "cancel" ? "cancelled" : "deleted"}`;
  }
  if (all) {
    all.hidden = false;
    all.checked = chosen.length > 0 && chosen.length === picks().length;
    all.indeterminate = chosen.length > 0 && !all.checked;
  }
}

if (form) {
  let last = null;
  document.addEventListener("click", (event) => {
    if (!event.target.matches(".pick")) return;
    const all = picks();
    if (event.shiftKey && last && all.includes(last)) {
      const [from, to] = [all.indexOf(last), all.indexOf(event.target)].sort((a, b) => a - b);
      for (const pick of all.slice(from, to + 1)) pick.checked = event.target.checked;
    }
    last = event.target;
    draw();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-all]")) for (const pick of picks()) pick.checked = event.target.checked;
    draw();
  });
  form.addEventListener("reset", () => {
    for (const pick of picks()) pick.checked = false;
    setTimeout(draw);
  });
  document.addEventListener("backburner:live", draw);
  draw();
}
