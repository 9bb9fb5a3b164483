// What the components are made of.

const ICONS = new URL("icons.svg", import.meta.url).href;
const SHEET = new URL("backburner.css", import.meta.url).href;
const SVG = "http://www.w3.org/2000/svg";

export function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg"), use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "bb-icon");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

/** Sets text only when it differs: screen readers and selections stay undisturbed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The sheet comes along, unless the page has it already. */
export function addSheet() {
  if ([...document.styleSheets].some((sheet) => sheet.href?.split("?")[0] === SHEET)) return;
  if (document.querySelector('link[rel="stylesheet"][href*="backburner.css"]')) return;
  const link = make("link");
  link.rel = "stylesheet";
  link.href = SHEET;
  document.head.append(link);
}
