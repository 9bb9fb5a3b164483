// Keys: / search, j and k rows, x select, g and a letter to a page, ? all of them. They can be switched off.

const OFF = "backburner keys off", GO_MS = 1_000;
const site = document.body.dataset.site;
const PAGES = { o: "overview", j: "jobs", f: "failures", q: "queues", s: "schedules", w: "workers", t: "tasks", a: "audit" };
const NAMES = [["/", "Search"], ["j, k", "Next and previous row"], ["x", "Select the row"], ["Enter", "Open the row"],
  ["g j", "Jobs; also g o, g f, g q, g s, g w, g t, g a"], ["p", "Pause the live updates"], ["?", "These keys"]];
const off = () => localStorage.getItem(OFF) === "1";
let going = 0;

const rows = () => [...document.querySelectorAll("tbody tr")].filter((row) => row.querySelector("a, button"));

function move(step) {
  const all = rows(), at = all.findIndex((row) => "at" in row.dataset);
  const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
  if (!next) return;
  all[at]?.removeAttribute("data-at");
  next.dataset.at = "";
  (next.querySelector("a[href]") ?? next.querySelector("button"))?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function help() {
  const dialog = document.createElement("dialog"), card = document.createElement("section"), title = document.createElement("h2");
  const list = document.createElement("dl"), label = document.createElement("label"), tick = document.createElement("input");
  const close = document.createElement("button");
  card.className = "card confirmation";
  title.textContent = "Keys";
  title.id = "keys";
  list.className = "keys";
  for (const [keys, what] of NAMES) {
    const term = document.createElement("dt"), said = document.createElement("dd"), cap = document.createElement("kbd");
    cap.textContent = keys;
    said.textContent = what;
    term.append(cap);
    list.append(term, said);
  }
  tick.type = "checkbox";
  tick.checked = !off();
  tick.addEventListener("change", () => localStorage.setItem(OFF, tick.checked ? "0" : "1"));
  label.className = "check";
  label.append(tick, "Keys are on; ? always shows this");
  close.className = "bb-button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.setAttribute("aria-labelledby", "keys");
  card.append(title, list, label, close);
  dialog.append(card);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "?") return help();
  if (off()) return;
  const row = document.querySelector("tr[data-at]");
  if (Date.now() - going < GO_MS && PAGES[event.key]) {
    const link = document.querySelector(`.pages a[href="${site}/${PAGES[event.key]}"]`);
    if (link) location.href = link.href;
  } else if (event.key === "g") {
    going = Date.now();
    return;
  } else if (event.key === "/") {
    const field = document.querySelector("#q");
    event.preventDefault();
    if (field) field.focus();
    else location.href = `${site}/jobs#q`;
  } else if (event.key === "j" || event.key === "k") {
    move(event.key === "j" ? 1 : -1);
  } else if (event.key === "x" && row) {
    row.querySelector(".pick")?.click();
  } else if (event.key === "p") {
    document.querySelector("[data-pause]")?.click();
  } else {
    return;
  }
  going = 0;
});
if (location.hash === "#q") document.querySelector("#q")?.focus();
