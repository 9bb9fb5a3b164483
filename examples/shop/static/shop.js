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

/** Whether somebody is about to choose products: then the list stays as it is. */
const choosing = () =>
  document.querySelector('#chosen [name="ids"]:checked') !== null || byId("products").contains(document.activeElement);

/** Brings parts of the page as they are now; bars are never touched. */
function refresh(ids) {
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.onload = () => {
    for (const id of ids) {
      const fresh = request.response?.getElementById(id);
      // Asked when it has come, not when it was sent for: a person may tick in between.
      if (fresh && !(id === "products" && choosing())) byId(id).replaceWith(document.adoptNode(fresh));
    }
    count();
  };
  request.send();
}

document.addEventListener("backburner:done", () => {
  byId("notice")?.remove();
  refresh(["failed", "recent", "products"]);
});

for (const kind of ["backburner:progress", "backburner:state"]) {
  document.addEventListener(kind, ({ detail: { job } }) => {
    const line = byId(`job-${job.id}`);
    if (!line || job.done || line.dataset.state === job.state) return;
    line.dataset.state = job.state;
    refresh(["recent"]);
  });
}
count();
