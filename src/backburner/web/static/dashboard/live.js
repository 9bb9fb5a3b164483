// Live updates: the page is asked for again every few seconds, and its marked regions are made like the new ones. Not in a
// hidden tab, while somebody types, selects text or has a menu open, nor while it is paused.

import { morph } from "./morph.js";

const seconds = Number(document.body.dataset.seconds) || 5;
const pulse = document.querySelector("[data-pulse]"), text = document.querySelector("[data-pulse-text]");
const pause = document.querySelector("[data-pause]"), again = document.querySelector("[data-again]");
const news = document.querySelector("[data-news]");
const MOST_SHOWN = 100, PAUSED = "backburner paused", SOON = 400;
let timer = 0, asking = null, over = false;

const paused = () => sessionStorage.getItem(PAUSED) === "1";
const selected = () => document.querySelector(".pick:checked") !== null;

function busy() {
  const at = document.activeElement, range = document.getSelection();
  if (at?.matches("input:not([type=checkbox]), textarea, select")) return true;
  return (range && !range.isCollapsed) || document.querySelector("dialog[open], details.drop[open]") !== null;
}

function say(words, off) {
  text.textContent = words;
  pulse.toggleAttribute("data-off", off);
}

function later(ms = seconds * 1000) {
  clearTimeout(timer);
  if (!over && !paused() && !document.hidden) timer = setTimeout(ask, ms);
}

/** Look again soon: something has changed. */
export function soon() {
  if (pulse && !asking) later(SOON);
}

/** The page as it is now. XHR hands out a document that was parsed without running or trusting anything in it. */
function ask() {
  if (busy()) return later();
  const request = new XMLHttpRequest(), shown = [...document.querySelectorAll("tr[data-job]")].map((row) => row.dataset.job);
  asking = request;
  request.open("GET", location.href.split("#")[0]);
  request.responseType = "document";
  if (shown.length) request.setRequestHeader("X-Backburner-Shown", shown.slice(0, MOST_SHOWN).join(","));
  request.timeout = 10_000;
  request.onloadend = () => {
    asking = null;
    const elsewhere = request.responseURL && new URL(request.responseURL).pathname !== location.pathname;
    if (request.status === 200 && !elsewhere && request.response) {
      say(`Live, every ${seconds} s`, false);
      if (!busy()) show(request.response);
    } else if (elsewhere || [401, 403, 404].includes(request.status)) {
      over = true;
      say(request.status === 404 ? "It is gone" : "Signed out", true);
    } else {
      say("Not connected, trying again", true);
    }
    later();
  };
  request.send();
}

function show(fresh) {
  const present = new Set([...document.querySelectorAll("tr[data-job]")].map((row) => row.dataset.job));
  if (selected() && news) {
    const waiting = [...fresh.querySelectorAll("tr[data-job]")].filter((row) => !present.has(row.dataset.job));
    if (waiting.length) {
      news.hidden = false;
      news.firstElementChild.textContent = `${waiting.length} new, show`;
    }
    return;
  }
  if (news) news.hidden = true;
  for (const region of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${region.dataset.live}"]`);
    if (next) morph(region, next);
  }
  // What comes and goes as a whole, such as the box that says why a job waits.
  const whole = (root) => [...root.querySelectorAll(".main > [data-live]")].map((one) => one.dataset.live).join();
  if (whole(document) !== whole(fresh)) exchange(fresh);
  document.dispatchEvent(new CustomEvent("backburner:live"));
}

/** The regions of the story of a job, in their new order. */
function exchange(fresh) {
  const main = document.querySelector(".main"), had = new Map([...main.querySelectorAll(":scope > [data-live]")].map((one) => [one.dataset.live, one]));
  let at = main.firstElementChild;
  for (const next of fresh.querySelectorAll(".main > *")) {
    const name = next.dataset.live;
    const same = name ? had.get(name) : [...main.children].find((one) => !one.dataset.live && one.getAttribute("aria-labelledby") === next.getAttribute("aria-labelledby"));
    had.delete(name);
    if (same) {
      if (same !== at) main.insertBefore(same, at);
      at = same.nextElementSibling;
    } else {
      main.insertBefore(document.importNode(next, true), at);
    }
  }
  for (const gone of had.values()) gone.remove();
}

function toggle() {
  sessionStorage.setItem(PAUSED, paused() ? "0" : "1");
  draw();
  later(0);
}

function draw() {
  const off = paused();
  pause.setAttribute("aria-pressed", String(off));
  pause.title = off ? "Go on with the live updates" : "Pause the live updates";
  pause.querySelector("use").setAttribute("href", pause.querySelector("use").getAttribute("href").replace(/#\w+$/, off ? "#play" : "#pause"));
  say(off ? "Paused" : `Live, every ${seconds} s`, off);
}

if (pulse) {
  pulse.hidden = pause.hidden = false;
  again.hidden = true;
  pause.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", () => later(0));
  draw();
  later();
}
