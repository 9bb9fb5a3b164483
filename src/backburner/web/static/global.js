// <backburner-global src="/backburner" [tag]>: work that concerns every visitor, whoever started it. It shows the jobs
// whose visibility opens them to who looks, and of those what the page of the job itself would show.

import { ask } from "./follow.js";
import { Component, make, under } from "./parts.js";

const LOOK = 20_000, SOON = 3_000, MOST = 3;

/** An element that lists jobs, looks again from time to time, and keeps a bar for each. */
export class Jobs extends Component {
  static observedAttributes = ["src", "lang"];

  bars = new Map(); #look = 0;
  // What has just been started: the server's list of what concerns everybody may be two seconds old.
  #again = () => { this.look(); this.soon(); };
  #seen = () => { if (!document.hidden) this.look(); };

  connectedCallback() {
    super.connectedCallback();
    this.build();
    this.look();
    // A hidden tab looks when it is shown again.
    this.#look = setInterval(this.#seen, LOOK);
    addEventListener("backburner:started", this.#again);
    document.addEventListener("visibilitychange", this.#seen);
  }

  soon() { setTimeout(() => this.isConnected && this.look(), SOON); }

  disconnectedCallback() {
    clearInterval(this.#look);
    removeEventListener("backburner:started", this.#again);
    document.removeEventListener("visibilitychange", this.#seen);
  }

  attributeChangedCallback(name, before, after) {
    if (this.isConnected && before !== after) name === "src" ? this.look() : this.render();
  }

  /** The jobs at an address, the newest first; null when it cannot be reached. */
  async jobsAt(path) {
    try {
      const response = await ask(under(this.src, path));
      if (response.ok) return (await response.json()).jobs;
      // Who is not signed in has none; a server that is in trouble is asked again.
      return response.status < 500 ? [] : null;
    } catch {
      return null;
    }
  }

  /** The bar of a job, in `list`. It stays after the end of the job. */
  barOf(job, list, attributes) {
    if (this.bars.has(job.id)) return;
    const bar = make("backburner-progress");
    for (const name of attributes) bar.setAttribute(name, "");
    bar.src = job.href;
    bar.addEventListener("backburner:dismiss", () => { this.bars.delete(job.id); queueMicrotask(() => this.render()); });
    for (const kind of ["progress", "state", "done", "gone"]) bar.addEventListener(`backburner:${kind}`, () => this.render());
    this.bars.set(job.id, bar);
    list.append(bar);
  }
}

export class BackburnerGlobal extends Jobs {
  #ended = new Set();

  build() {}

  async look() {
    const tag = this.getAttribute("tag"), query = tag ? `&tag=${encodeURIComponent(tag)}` : "";
    const jobs = await this.jobsAt(`/jobs/shared?limit=${MOST}${query}`);
    if (!jobs) return this.soon();
    for (const [id, bar] of this.bars) {
      if (bar.job && !bar.job.done) continue;
      // Its end is seen from one look to the next.
      if (!this.#ended.has(id)) {
        this.#ended.add(id);
      } else {
        bar.remove();
        this.bars.delete(id);
      }
    }
    for (const job of jobs.reverse()) this.barOf(job, this, []);
    this.render();
  }

  render() { this.hidden = !this.bars.size; }
}
