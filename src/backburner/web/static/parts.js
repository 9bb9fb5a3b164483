// What the components are made of.

import { wordsOf } from "./words.js";

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

/** A button that does something in the page. */
export function button(name, act) {
  const made = make("button", `bb-button ${name}`);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

/** Sets text only when it differs: screen readers and selections stay undisturbed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** What all elements have in common: an address, words, events, and a sheet that comes along. */
export class Component extends HTMLElement {
  get src() { return this.getAttribute("src") || ""; }
  set src(value) { this.setAttribute("src", value); }

  connectedCallback() {
    if ([...document.styleSheets].some((sheet) => sheet.href?.split("?")[0] === SHEET)) return;
    if (document.querySelector('link[rel="stylesheet"][href*="backburner.css"]')) return;
    const link = make("link");
    link.rel = "stylesheet";
    link.href = SHEET;
    document.head.append(link);
  }

  /** The words of this element; null while they are on their way, after which it is rendered again. */
  words() { return wordsOf(this, () => this.isConnected && this.render()); }

  /** Say an event; false when a listener wants nothing further to happen. */
  tell(name, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(`backburner:${name}`, { bubbles: true, composed: true, cancelable, detail }));
  }

  /** Pass attributes on to an element inside of this one. */
  pass(inner, names) {
    for (const name of names) {
      const value = this.getAttribute(name);
      if (value === null) inner.removeAttribute(name);
      else if (inner.getAttribute(name) !== value) inner.setAttribute(name, value);
    }
  }
}

/** An address below the mount that `src` of a tray or a global bar names. */
export function under(src, path) {
  return new URL(`${src.replace(/\/$/, "")}${path}`, document.baseURI).href;
}

