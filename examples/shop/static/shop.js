// Comfort only: the page does everything without it.

const byId = (id) => document.getElementById(id);

/** What is ticked, in the words of the buttons. */
function count() {
  const form = byId("chosen");
  if (!form) return;
  const boxes = [...form.querySelectorAll('[name="ids"]')], ticked = boxes.filter((box) => box.checked).length;
  const every = form.querySelector('[name="all"]'), all = byId("tick-all");
  const number = every.checked ? every.closest("label").textContent.match(/[\d,]+\+?/)[0] : ticked.toLocaleString("en");
  byId("ticked").textContent = `${number} chosen`;
  for (const button of form.querySelectorAll("[data-verb]")) button.textContent = `${button.dataset.verb} ${number}`;
  all.checked = ticked > 0 && ticked === boxes.length;
  all.indeterminate = ticked > 0 && ticked < boxes.length;
}

document.addEventListener("change", (event) => {
  if (event.target.id === "tick-all") {
    for (const box of document.querySelectorAll('[name="ids"]')) box.checked = event.target.checked;
  }
  if (event.target.closest("#chosen")) count();
});

/** A job is done: bring what it changed, without touching its bar. */
function refresh() {
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.onload = () => {
    const busy = document.querySelector('#chosen [name="ids"]:checked') || byId("products").contains(document.activeElement);
    for (const id of ["failed", "recent", ...(busy ? [] : ["products"])]) {
      const fresh = request.response?.getElementById(id);
      if (fresh) byId(id).replaceWith(document.adoptNode(fresh));
    }
    count();
  };
  request.send();
}

document.addEventListener("backburner:done", () => {
  byId("notice")?.remove();
  refresh();
});
count();
