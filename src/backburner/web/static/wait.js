// <backburner-wait src=".../jobs/ID" [then] [failed] [form] [cancel] [tell] [log]>: a page that waits for one job.
//
// The bar in it is a <backburner-progress>. What the element contained before stays until the first answer is there.

import { Component, icon, make, say } from "./parts.js";
import { percent, safe } from "./views.js";
import { span } from "./words.js";

const TICK = 1_000;
const PASSED_ON = ["src", "cancel", "tell", "log"];

/** A path of this site as an address, or null. */
export function ours(path) {
  if (!path || !safe(path)) return null;
  const url = new URL(path, document.baseURI);
  return url.origin === location.origin ? url.href : null;
}

export class BackburnerWait extends Component {
  static observedAttributes = [...PASSED_ON, "lang"];

  #job = null; #parts = null; #stages = []; #seen = 0; #lost = false; #ticker = 0; #title = ""; #ahead = "";

  /** The job as last seen, or null. */
  get job() { return this.#job; }

  connectedCallback() {
    super.connectedCallback();
    this.#build();
    this.#ticker = setInterval(() => this.#job && !this.#job.done && this.render(), TICK);
  }

  disconnectedCallback() { clearInterval(this.#ticker); }

  attributeChangedCallback(name, before, after) {
    if (!this.#parts || before === after) return;
    if (name === "src") {
      this.#job = null;
      this.#stages = [];
    }
    this.pass(this.#parts.bar, PASSED_ON);
  }

  #build() {
    if (this.#parts) return;
    const other = [...document.querySelectorAll("h1")].some((heading) => !this.contains(heading));
    const { root, heading, bar, ...rest } = this.#parts = {
      root: make("div", "bb-wait"), standing: make("p", "bb-standing"), heading: make(other ? "h2" : "h1", "bb-heading"),
      bar: make("backburner-progress"), stages: make("ol", "bb-stages"), promise: make("p", "bb-promise"),
      live: make("p", "bb-live"),
    };
    // The server has put it before the title already.
    this.#ahead = /^(\d+%|[^·]{1,30}) · /.exec(document.title)?.[0] || "";
    this.#title = document.title.slice(this.#ahead.length);
    root.hidden = true;
    heading.tabIndex = -1;
    this.pass(bar, PASSED_ON);
    const on = (kind, act) => bar.addEventListener(`backburner:${kind}`, (event) => act.call(this, event.detail));
    for (const kind of ["progress", "state", "message"]) on(kind, ({ job }) => this.#see(job));
    for (const kind of ["lost", "back"]) on(kind, () => { this.#lost = kind === "lost"; this.render(); });
    on("done", ({ job }) => { this.#see(job); this.#leave(job.state === "succeeded"); });
    // Only what is done is cleaned away: what was there, and is not kept, has come to its end.
    on("gone", () => { if (!this.#job) this.render(); else if (!this.#job.done) this.#leave(true); });
    root.append(rest.standing, heading, bar, rest.stages, rest.promise, rest.live);
    this.append(root);
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
    this.render();
  }

  render() {
    const w = this.words(), job = this.#job;
    if (!w || (!job && this.#lost)) return;
    const { standing, heading, promise, live } = this.#parts, state = job?.state || "", named = state + w.say(state);
    this.#uncover();
    if (standing.dataset.state !== named) {
      standing.dataset.state = named;
      standing.className = `bb-standing bb-state bb-${state}`;
      standing.replaceChildren(...(state ? [icon(state), w.say(state)] : []));
    }
    say(heading, job?.title || w.say("absent"));
    promise.hidden = live.hidden = !job || job.done;
    say(promise, w.say(ours(this.getAttribute("then")) || this.getAttribute("form") ? "promise" : "stay"));
    live.hidden ||= this.#lost;
    const age = Math.floor((Date.now() - this.#seen) / 1000);
    say(live, w.say("live", { time: age < 60 ? `${age} s` : `${Math.floor(age / 60)} min` }));
    this.#listStages(w);
    const share = job?.progress?.share ?? null;
    this.#ahead = job?.done ? w.say(state) : state === "running" && share !== null ? percent(share) : "";
    const title = this.#ahead ? `${this.#ahead} · ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
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

  #listStages(w) {
    const { stages } = this.#parts, running = this.#job?.state === "running";
    stages.hidden = !this.#stages.length;
    while (stages.childElementCount > this.#stages.length) stages.lastElementChild.remove();
    this.#stages.forEach((stage, index) => {
      let row = stages.children[index];
      if (!row) {
        row = make("li");
        row.append(make("span"), make("span", "bb-stage"), make("span", "bb-aside"));
        stages.append(row);
      }
      const [mark, name, time] = row.children, went = stage.ended && (index < this.#stages.length - 1 || this.#job.state === "succeeded");
      const state = went ? "succeeded" : running ? "running" : this.#job.state;
      if (mark.dataset.state !== state) {
        mark.dataset.state = state;
        mark.className = `bb-mark bb-${state}`;
        mark.replaceChildren(icon(state), make("span", "bb-unseen", `${w.say(state)}: `));
      }
      say(name, stage.name);
      const passed = stage.began ? span(((stage.ended || Date.now()) - stage.began) / 1000) : "";
      say(time, passed && !stage.ended ? w.say("sofar", { time: passed }) : passed);
    });
  }

  /** It is done: on to where it leads. Nobody comes back here by the browser's Back. */
  #leave(well) {
    const href = ours(this.getAttribute(well ? "then" : "failed"));
    const form = well ? document.getElementById(this.getAttribute("form") || "") : null;
    if (!this.tell("leave", { job: this.#job, href }, true)) return;
    if (form instanceof HTMLFormElement) form.requestSubmit();
    else if (href) location.replace(href);
    else this.#parts.heading.focus({ preventScroll: true });
  }
}
