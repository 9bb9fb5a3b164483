// Small things of every page: copying, menus that close, and the sentence about what was done.

const TOAST_MS = 6_000;

function ready() {
  for (const button of document.querySelectorAll("[data-copy], [data-copy-link]")) button.hidden = !navigator.clipboard;
}

/** A sentence at the bottom left, for six seconds, longer while it is pointed at. */
export function toast(words) {
  const box = document.querySelector("[data-toast]");
  const line = document.createElement("p");
  line.textContent = words;
  box.replaceChildren(line);
  fade(box);
}

function fade(box) {
  let timer = 0;
  const wait = () => { clearTimeout(timer); timer = setTimeout(() => box.replaceChildren(), TOAST_MS); };
  const hold = () => clearTimeout(timer);
  box.onmouseenter = box.onfocusin = hold;
  box.onmouseleave = box.onfocusout = wait;
  wait();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-link]");
  if (button) {
    await navigator.clipboard.writeText("copyLink" in button.dataset ? location.href : button.dataset.copy);
    toast("Copied.");
  }
  for (const open of document.querySelectorAll("details.drop[open]")) if (!open.contains(event.target) || button) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.drop[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
document.addEventListener("backburner:live", ready);
ready();
const said = document.querySelector("[data-toast]");
if (said?.childElementCount) fade(said);
