// <backburner-wait src=".../jobs/ID" [then] [failed] [form] [cancel] [log]>: a page that waits for one job.
//
// The bar in it is a <backburner-progress>. What the element contained before stays until the first answer is there.

import { addSheet, icon, make, say } from "./parts.js";
import { safe } from "./views.js";
import { STATES, duration } from "./words.js";

const TICK = 1_000;
const PASSED_ON = ["src", "cancel", "log"];
const AHEAD = new RegExp(`^(\\d+%|${Object.values(STATES).join("|")}) · `);

/** A path of this site as an address, or null. */
function ours(path) {
  if (!path || !safe(path)) return null;
  const url = new URL(path, document.baseURI);
  return url.origin === location.origin ? url.href : null;
}

export class BackburnerWait extends HTMLElement {
  static observedAttributes = PASSED_ON;

  #job = null; #parts = null; #stages = []; #seen = 0; #lost = false; #ticker = 0; #title = "";

  /** The job as last seen, or null. */
  get job() { return this.#job; }
  get src() { return this.getAttribute("src") || ""; }
  set src(value) { this.setAttribute("src", value); }

  connectedCallback() {
    addSheet();
    this.#build();
    this.#ticker = setInterval(() => this.#job && !this.#job.done && this.#render(), TICK);
  }

  disconnectedCallback() { clearInterval(this.#ticker); }

  attributeChangedCallback(name, before, after) {
    if (!this.#parts || before === after) return;
    if (name === "src") {
      this.#job = null;
      this.#stages = [];
    }
    this.#pass(name);
  }

  #pass(name) {
    const value = this.getAttribute(name), { bar } = this.#parts;
    if (value === null) bar.removeAttribute(name);
    else bar.setAttribute(name, value);
  }

  #build() {
    if (this.#parts) return;
    const other = [...document.querySelectorAll("h1")].some((heading) => !this.contains(heading));
    const parts = this.#parts = {
      root: make("div", "bb-wait"), standing: make("p", "bb-standing"), heading: make(other ? "h2" : "h1", "bb-heading"),
      bar: make("backburner-progress"), stages: make("ol", "bb-stages"), promise: make("p", "bb-promise"),
      live: make("p", "bb-live"),
    };
    this.#title = document.title.replace(AHEAD, "");
    parts.root.hidden = true;
    parts.heading.tabIndex = -1;
    for (const name of PASSED_ON) this.#pass(name);
    for (const kind of ["progress", "state", "message"]) this.#on(kind, (detail) => this.#see(detail.job));
    this.#on("lost", () => this.#reach(false));
    this.#on("back", () => this.#reach(true));
    this.#on("done", ({ job }) => { this.#see(job); this.#leave(job.state === "succeeded"); });
    // Only what is done is cleaned away: what was there, and is not kept, has come to its end.
    this.#on("gone", () => { if (!this.#job) this.#render(); else if (!this.#job.done) this.#leave(true); });
    parts.root.append(parts.standing, parts.heading, parts.bar, parts.stages, parts.promise, parts.live);
    this.append(parts.root);
  }

  #on(kind, act) {
    this.#parts.bar.addEventListener(`backburner:${kind}`, (event) => act(event.detail));
  }

  #reach(reached) {
    this.#lost = !reached;
    this.#render();
  }

  #see(job) {
    if (!job) return;
    if (this.#job && this.#job.attempt !== job.attempt) this.#stages = [];
    const stage = job.state === "running" ? job.progress?.stage : null, last = this.#stages.at(-1);
    if (last && !last.ended && (job.done || (stage && stage !== last.name))) last.ended = Date.now();
    // When a stage began that was under way before we came, nobody here knows.
    if (stage && stage !== last?.name) this.#stages.push({ name: stage, began: this.#job ? Date.now() : null, ended: null });
    this.#job = job;
    this.#seen = Date.now();
    this.#render();
  }

  #render() {
    const { standing, heading, promise, live } = this.#parts, job = this.#job;
    if (!job && this.#lost) return;
    this.#uncover();
    const state = job?.state || "";
    if (standing.dataset.state !== state) {
      standing.dataset.state = state;
      standing.className = `bb-standing bb-state bb-${state}`;
      standing.replaceChildren(...(state ? [icon(state), STATES[state]] : []));
    }
    say(heading, job?.title || "This job is not here");
    const ends = ours(this.getAttribute("then")) || this.getAttribute("form");
    promise.hidden = live.hidden = !job || job.done;
    say(promise, ends ? "This page goes on by itself when it is done. You may also leave: the work goes on." : "You may leave this page: the work goes on.");
    live.hidden ||= this.#lost;
    const age = Math.floor((Date.now() - this.#seen) / 1000);
    say(live, `Live, updated ${age < 60 ? `${age} s` : `${Math.floor(age / 60)} min`} ago`);
    this.#listStages();
    this.#entitle();
  }

  /** Show this instead of what was in the element before. */
  #uncover() {
    const { root, heading } = this.#parts;
    if (!root.hidden) return;
    const alone = document.activeElement === document.body || this.contains(document.activeElement);
    for (const child of [...this.children]) if (child !== root) child.remove();
    root.hidden = false;
    if (alone) heading.focus({ preventScroll: true });
  }

  #listStages() {
    const { stages } = this.#parts, running = this.#job?.state === "running";
    stages.hidden = !this.#stages.length;
    while (stages.childElementCount > this.#stages.length) stages.lastElementChild.remove();
    this.#stages.forEach((stage, index) => {
      let row = stages.children[index];
      if (!row) {
        row = make("li");
        row.append(make("span", "bb-mark"), make("span", "bb-stage"), make("span", "bb-aside"));
        stages.append(row);
      }
      const [mark, name, time] = row.children, went = stage.ended && (index < this.#stages.length - 1 || this.#job.state === "succeeded");
      const state = went ? "succeeded" : running ? "running" : this.#job.state;
      if (mark.dataset.state !== state) {
        mark.dataset.state = state;
        mark.className = `bb-mark bb-${state}`;
        mark.replaceChildren(icon(state), make("span", "bb-unseen", `${STATES[state]}: `));
      }
      say(name, stage.name);
      const seconds = stage.began ? Math.max(1, Math.floor(((stage.ended || Date.now()) - stage.began) / 1000)) : 0;
      say(time, seconds ? `${duration(seconds).replace(".0 s", " s")}${stage.ended ? "" : " so far"}` : "");
    });
  }

  #entitle() {
    const job = this.#job, share = job?.progress?.share ?? null;
    let ahead = job?.done ? STATES[job.state] : "";
    if (job?.state === "running" && share !== null) ahead = `${Math.min(99, Math.floor(share * 100))}%`;
    const title = ahead ? `${ahead} · ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
  }

  /** It is done: on to where it leads. Nobody comes back here by the browser's Back. */
  #leave(well) {
    const href = ours(this.getAttribute(well ? "then" : "failed"));
    const form = well ? document.getElementById(this.getAttribute("form") || "") : null;
    const detail = { job: this.#job, href };
    const leaves = new CustomEvent("backburner:leave", { bubbles: true, composed: true, cancelable: true, detail });
    if (!this.dispatchEvent(leaves)) return;
    if (form instanceof HTMLFormElement) form.requestSubmit();
    else if (href) location.replace(href);
    else this.#parts.heading.focus({ preventScroll: true });
  }
}

if (!customElements.get("backburner-wait")) customElements.define("backburner-wait", BackburnerWait);
