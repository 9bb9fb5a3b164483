// <backburner-progress src=".../jobs/ID" [cancel] [log] [dismiss]>: a job as the people who wait for it see it.
//
// Light DOM, no dependencies; works under `script-src 'self'; style-src 'self'` and Trusted Types. What the
// element contained before (a link, the server's own bar) stays until the first answer is there.

import { Estimate } from "./estimate.js";
import { below, follow } from "./follow.js";
import { addSheet, icon, make, say } from "./parts.js";
import { safe, show } from "./views.js";
import { STATES, clock, size } from "./words.js";

export { BackburnerWait } from "./wait.js";

const LOG_LINES = 1_000, TICK = 1_000, QUARTER = 25;

export class BackburnerProgress extends HTMLElement {
  static observedAttributes = ["src", "cancel", "log", "retry", "dismiss", "label"];

  #job = null; #stop = null; #estimate = new Estimate(); #parts = null; #ticker = 0; #lost = false; #gone = false;
  #skew = 0; #seen = 0; #said = null; #following = false; #logAt = -1; #logOpen = false; #trouble = ""; #asked = "";
  #ended = false;

  /** The job as last seen, or null. */
  get job() { return this.#job; }
  get src() { return this.getAttribute("src") || ""; }
  set src(value) { this.setAttribute("src", value); }

  connectedCallback() {
    addSheet();
    this.#logOpen = this.getAttribute("log") === "open";
    this.#follow();
  }

  disconnectedCallback() {
    this.#stop?.();
    this.#stop = null;
    clearInterval(this.#ticker);
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (name === "src") {
      this.#job = null;
      this.#said = null;
      this.#gone = this.#lost = this.#ended = false;
      this.#logAt = -1;
      this.#parts?.log.replaceChildren();
      this.#estimate = new Estimate();
      this.#follow();
    } else if (this.#parts) {
      this.#render();
    }
  }

  #follow() {
    this.#stop?.();
    this.#stop = null;
    clearInterval(this.#ticker);
    if (!this.src) return;
    this.#stop = follow(this.src, (kind, body) => this.#hear(kind, body), { log: this.#logOpen });
    this.#ticker = setInterval(() => this.#job && !this.#job.done && this.#render(), TICK);
  }

  #hear(kind, body) {
    if (kind === "lost" || kind === "back") {
      const lost = kind === "lost";
      if (this.#lost === lost) return;
      this.#lost = lost;
      this.#render();
      return this.#tell(kind, {});
    }
    if (body.now) this.#skew = Date.parse(body.now) - Date.now();
    this.#seen = Date.now();
    if (kind === "log") return this.#append(body);
    if (kind === "done" || kind === "gone") {
      // Not at a snapshot of a job that is done: its output is still to come.
      this.#stop?.();
      this.#stop = null;
      clearInterval(this.#ticker);
    }
    if (kind === "gone") this.#gone = true;
    else if (kind === "progress") this.#job = { ...this.#job, progress: body.progress };
    else if (kind === "link") this.#job = { ...this.#job, links: [...this.#job.links, body.link] };
    else if (body.job) this.#take(body.job);
    if (!this.#job && !this.#gone) return;
    if (this.#job?.progress) this.#estimate.observe(this.#job.progress);
    this.#render();
    if (kind === "message") this.#tell("message", { level: body.level, text: body.text });
    if (kind === "progress" || kind === "snapshot") this.#tell("progress", {});
    if (kind === "gone") this.#tell("gone", {});
  }

  #take(job) {
    const before = this.#job;
    this.#job = job;
    this.#asked = "";
    if (before && before.state !== job.state) this.#tell("state", { before: before.state });
    if (!job.done) {
      this.#ended = false;
    } else if (!this.#ended) {
      this.#ended = true;
      this.#tell({ succeeded: "complete", cancelled: "cancelled", skipped: "skipped" }[job.state] || "failed", {});
      this.#tell("done", {});
    }
  }

  #tell(name, more) {
    const detail = { job: this.#job, ...more };
    // Listeners see the element as it is after the change.
    queueMicrotask(() => this.dispatchEvent(new CustomEvent(`backburner:${name}`, { bubbles: true, composed: true, detail })));
  }

  #build() {
    if (this.#parts) return this.#parts;
    const card = make("div", "bb-card"), head = make("div", "bb-head"), line = make("div", "bb-line");
    card.tabIndex = -1;
    const parts = this.#parts = {
      card, head, line,
      title: make("span", "bb-title"), figure: make("span", "bb-figure"), bar: make("progress", "bb-bar"),
      message: make("span", "bb-message"), aside: make("span", "bb-aside"),
      foot: make("div", "bb-foot"), log: make("pre", "bb-log"), status: make("span", "bb-unseen"),
      alert: make("span", "bb-unseen"),
      cancel: make("button", "bb-button", "Cancel"), retry: make("button", "bb-button"),
      dismiss: make("button", "bb-button bb-plain", "Dismiss"), more: make("button", "bb-button bb-link"),
      results: make("span", "bb-results"), note: make("span", "bb-note"), trouble: make("span", "bb-trouble"),
    };
    parts.status.setAttribute("role", "status");
    parts.alert.setAttribute("role", "alert");
    parts.log.setAttribute("role", "log");
    parts.log.setAttribute("aria-label", "Live output");
    parts.log.tabIndex = 0;
    parts.bar.max = 1;
    parts.retry.append(icon("retrying"), "Try again");
    for (const button of [parts.cancel, parts.retry, parts.dismiss, parts.more]) button.type = "button";
    parts.cancel.addEventListener("click", () => this.cancel());
    parts.retry.addEventListener("click", () => this.retry());
    // Removed after the event: from an element that is not in the page nothing bubbles.
    parts.dismiss.addEventListener("click", () => { this.#tell("dismiss", {}); queueMicrotask(() => this.remove()); });
    parts.more.addEventListener("click", () => this.#toggleLog());
    parts.log.addEventListener("scroll", () => {
      this.#following = parts.log.scrollTop + parts.log.clientHeight >= parts.log.scrollHeight - 8;
    });
    this.#following = true;
    head.append(parts.title, parts.figure);
    line.append(parts.message, parts.aside);
    parts.foot.append(parts.cancel, parts.retry, parts.results, parts.dismiss, parts.trouble, parts.note, parts.more);
    card.append(head, parts.bar, line, parts.foot, parts.log, parts.status, parts.alert);
    this.replaceChildren(card);
    return parts;
  }

  #render() {
    if (!this.#job && !this.#gone && !this.#lost) return;
    if (!this.#job && this.#lost && this.childElementCount && !this.#parts) return;
    const parts = this.#build(), job = this.#job, view = this.#view();
    const held = document.activeElement instanceof HTMLElement && parts.foot.contains(document.activeElement);
    parts.card.dataset.state = view.state;
    parts.card.dataset.tone = view.tone;
    say(parts.title, job?.title || this.getAttribute("label") || "Job");
    this.#head(view);
    this.#bar(view);
    say(parts.message, view.message);
    const away = this.#lost && !job?.done;
    if (away && !parts.message.querySelector("svg")) parts.message.prepend(icon("offline"));
    parts.message.className = away ? "bb-message bb-away" : "bb-message";
    say(parts.aside, view.aside);
    parts.line.hidden = !view.message && !view.aside;
    this.#foot(view);
    this.#announce(view);
    if (held && !parts.foot.contains(document.activeElement)) parts.card.focus({ preventScroll: true });
  }

  #head(view) {
    const { figure } = this.#parts, key = view.figure ?? view.state;
    if (figure.dataset.key === key) return;
    figure.dataset.key = key;
    figure.className = view.figure === null ? `bb-figure bb-state bb-${view.state}` : "bb-figure";
    const share = /^\d+%$/.test(key) ? [key.slice(0, -1), make("small", "", "%")] : [key];
    figure.replaceChildren(...(view.figure === null ? [icon(view.state), STATES[view.state] || ""] : share));
    figure.hidden = !key;
  }

  #bar(view) {
    const { bar } = this.#parts;
    bar.hidden = view.bar === null;
    bar.setAttribute("aria-label", this.#job?.title || "Progress");
    if (view.bar === "unknown") bar.removeAttribute("value");
    else if (view.bar !== null) bar.value = view.bar;
  }

  #foot(view) {
    const { foot, cancel, retry, dismiss, more, note, trouble } = this.#parts, job = this.#job;
    const may = (verb) => Boolean(job?.actions.includes(verb)) && !this.#lost;
    const cancelling = Boolean(job && !job.done && (job.cancel_requested || this.#asked === "cancel"));
    cancel.hidden = !(this.hasAttribute("cancel") && (may("cancel") || cancelling));
    cancel.disabled = cancelling;
    say(cancel, cancelling ? "Cancelling" : "Cancel");
    // Operators may do more than a visitor should be offered beside a finished job.
    retry.hidden = !may("retry") || !["failed", "cancelled"].includes(job.state) || this.getAttribute("retry") === "off";
    retry.disabled = this.#asked === "retry";
    dismiss.hidden = !(this.hasAttribute("dismiss") && job?.done);
    more.hidden = !this.hasAttribute("log");
    more.setAttribute("aria-expanded", String(this.#logOpen));
    say(more, this.#logOpen ? "Hide log" : "Show log");
    this.#parts.log.hidden = !this.#logOpen || !this.hasAttribute("log");
    say(note, view.note);
    note.hidden = !view.note;
    note.classList.toggle("bb-id", view.noteIsId);
    say(trouble, this.#trouble);
    trouble.hidden = !this.#trouble;
    this.#results();
    foot.hidden = [...foot.children].every((child) => child.hidden || !child.hasChildNodes());
  }

  #results() {
    const { results } = this.#parts, job = this.#job, found = [];
    for (const link of job?.links || []) {
      if (!link.href || safe(link.href)) found.push({ ...link, file: /download/i.test(link.text) });
    }
    for (const file of job?.files || []) {
      if (safe(file.href)) found.push({ text: `Download ${file.name}`, href: file.href, file: true, more: size(file.size) });
    }
    const key = JSON.stringify([found, job?.state]);
    if (results.dataset.key === key) return;
    results.dataset.key = key;
    results.hidden = !found.length;
    results.replaceChildren(...found.map((result, index) => {
      if (!result.href) return make("span", "bb-aside", result.text);
      const link = make("a", job.state === "succeeded" && index === 0 ? "bb-button bb-main" : "bb-button bb-plain");
      Object.assign(link, { href: result.href, target: result.target || "", rel: "noopener noreferrer", title: result.more || "" });
      if (index === 0) link.append(icon(result.file ? "download" : "open"));
      link.append(make("span", "", result.text));
      return link;
    }));
  }

  /** What there is to show: words, figure, bar, tone. */
  #view() {
    const job = this.#job;
    const view = { state: job?.state || "", figure: null, bar: null, tone: "idle", message: "", aside: "", note: "", noteIsId: false };
    if (!job) {
      view.message = this.#gone ? "There is no such job here, or it was cleaned away." : "Not reachable at present";
      view.figure = "";
      return view;
    }
    show(view, job, this.#estimate, (Date.now() + this.#skew) / 1000);
    if (this.#gone && !job.done) view.message = "It is done and no longer kept.";
    if (this.#lost && !job.done) {
      view.tone = "idle";
      view.message = "Reconnecting";
      view.aside = `as of ${clock(new Date(this.#seen))}`;
      view.note = "The work goes on. Only this display has lost its connection.";
      view.noteIsId = false;
    }
    return view;
  }

  /** For screen readers: the start, each quarter, new stages, and the end; a failure as an alert. */
  #announce(view) {
    const { status, alert } = this.#parts, job = this.#job;
    if (!job) return say(status, view.message);
    const share = job.state === "running" && job.progress?.share ? job.progress.share : 0;
    const quarter = Math.floor((share * 100) / QUARTER) * QUARTER;
    const key = [job.state, job.cancel_requested, quarter, job.progress?.stage, this.#lost].join("|");
    if (key === this.#said) return;
    this.#said = key;
    const failed = job.state === "failed" || job.state === "interrupted";
    const words = job.cancel_requested && !job.done ? "Cancelling" : STATES[job.state];
    const text = [job.title, quarter ? `${quarter}%` : words, job.done ? view.message : job.progress?.stage, this.#lost ? "Reconnecting" : ""];
    say(failed ? alert : status, text.filter(Boolean).join(", "));
    if (!failed) say(alert, "");
  }

  async cancel() { await this.#ask("cancel"); }

  async retry() {
    if (await this.#ask("retry")) this.#follow();
  }

  async #ask(verb) {
    this.#asked = verb;
    this.#trouble = "";
    this.#render();
    try {
      const response = await fetch(below(this.src, `/${verb}`), { method: "POST", headers: { Accept: "application/json" }, credentials: "same-origin" });
      const body = await response.json();
      if (response.ok && body.state) this.#take(body);
      else if (response.status !== 409) this.#trouble = body.detail || body.title || `The server answered ${response.status}.`;
    } catch {
      this.#trouble = "The server could not be reached. Try again.";
    }
    this.#asked = "";
    this.#render();
    return !this.#trouble;
  }

  #toggleLog() {
    this.#logOpen = !this.#logOpen;
    this.#parts.log.replaceChildren();
    this.#logAt = -1;
    this.#following = true;
    this.#render();
    if (this.#logOpen || !this.#job?.done) this.#follow();
  }

  #append({ start, text, at }) {
    const { log } = this.#build();
    if (start <= this.#logAt) return;
    this.#logAt = start;
    const time = clock(new Date(at));
    for (const line of text.replace(/\n$/, "").split("\n")) {
      const row = make("span", "bb-log-line");
      row.append(make("span", "bb-log-time", time), ` ${line}\n`);
      log.append(row);
    }
    while (log.childElementCount > LOG_LINES) log.firstElementChild.remove();
    if (this.#following) log.scrollTop = log.scrollHeight;
  }
}

if (!customElements.get("backburner-progress")) customElements.define("backburner-progress", BackburnerProgress);
