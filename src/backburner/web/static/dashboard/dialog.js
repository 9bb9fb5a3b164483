// Questions that are a page of their own without scripts come as a dialog over the page.

function ask(address) {
  const request = new XMLHttpRequest();
  request.open("GET", address);
  request.responseType = "document";
  request.onload = () => {
    const question = request.status === 200 && request.response?.querySelector("[data-dialog]");
    if (question) show(document.importNode(question, true));
    else location.href = address;
  };
  request.onerror = () => { location.href = address; };
  request.send();
}

function show(question) {
  const dialog = document.createElement("dialog"), before = document.activeElement;
  // A page has one h1.
  const title = document.createElement("h2");
  title.id = "question";
  title.textContent = question.querySelector("h1").textContent;
  question.querySelector("h1").replaceWith(title);
  dialog.setAttribute("aria-labelledby", "question");
  dialog.append(question);
  dialog.addEventListener("close", () => { dialog.remove(); before?.focus(); });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-all], a[data-ask]");
  if (!link || event.ctrlKey || event.metaKey || event.button) return;
  event.preventDefault();
  link.closest("details")?.removeAttribute("open");
  ask(link.href);
});
document.querySelector("[data-bulk]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(event.target, event.submitter);
  fields.delete("q");
  ask(`${event.target.action}?${new URLSearchParams(fields)}`);
});
