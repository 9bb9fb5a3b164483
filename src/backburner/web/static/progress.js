// <backburner-progress src=".../jobs/ID" [cancel] [log] [retry] [dismiss]>: a job as the people who wait see it.
//
// What the element contained before (a link, the server's own bar) stays until the first answer is there.

import { Estimate } from "./estimate.js";
import { ask, below, follow } from "./follow.js";
import { Component, button, icon, make, say } from "./parts.js";
import { safe, show } from "./views.js";
import { clock } from "./words.js";

const TICK = 1_000, QUARTER = 25;
const ENDS = { succeeded: "complete", cancelled: "cancelled", skipped: "skipped" };

export class BackburnerProgress extends Component {
  static observedAttributes = ["src", "cancel", "log", "retry", "dismiss", "tell", "label", "lang"];

  #job = null; #stop = null; #estimate = null; #parts = null; #ticker = 0; #lost = false; #gone = false; #skew = 0;
  #seen = 0; #said = ""; #log = false; #trouble = ""; #asked = ""; #ended = false;
  #told = false;

  /** The job as last seen, or null. */
  get job() { return this.#job; }

  connectedCallback() {
    super.connectedCallback();
    this.#log = this.getAttribute("log") === "open";
    this.#follow(true);
  }

  disconnectedCallback() { this.#rest(); }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (name === "src") this.#follow(true);
    else if (this.#parts) this.render();
  }

  #follow(anew = false) {
    this.#rest();
    if (anew) {
      this.#job = null;
      this.#gone = this.#lost = this.#ended = false;
      // A form of the page without scripts has asked for it.
      this.#told = this.getAttribute("tell") === "told";
      this.#said = this.#trouble = "";
      this.#estimate = new Estimate();
    }
    if (!this.src) return;
    this.#stop = follow(this.src, (kind, body) => this.#hear(kind, body));
    this.#ticker = setInterval(() => this.#job && !this.#job.done && this.render(), TICK);
  }

  #rest() {
    this.#stop?.();
    this.#stop = null;
    clearInterval(this.#ticker);
  }

  #hear(kind, body) {
    if (kind === "lost" || kind === "back") {
      if (this.#lost === (kind === "lost")) return;
      this.#lost = kind === "lost";
      this.render();
      return this.#say(kind);
    }
    if (body.now) this.#skew = Date.parse(body.now) - Date.now();
    this.#seen = Date.now();
    // Not at a snapshot of a job that is done: its last messages are still to come.
    if (kind === "done" || kind === "gone") this.#rest();
    if (kind === "gone") this.#gone = true;
    else if (body.job) this.#take(body.job);
    else if (!this.#job) return;
    else if (kind === "progress") this.#job = { ...this.#job, progress: body.progress };
    else if (kind === "link") this.#job = { ...this.#job, links: [...this.#job.links, body.link] };
    if (this.#job?.progress) this.#estimate.observe(this.#job.progress);
    this.render();
    if (kind === "message") this.#say(kind, { level: body.level, text: body.text });
    if (kind === "progress" || kind === "snapshot") this.#say("progress");
    if (kind === "gone") this.#say(kind);
  }

  #take(job) {
    const before = this.#job;
    this.#job = job;
    this.#asked = "";
    if (job.state === "running" && before?.state !== "running") this.#say("start");
    if (before && before.state !== job.state) this.#say("state", { before: before.state });
    if (job.done && !this.#ended) {
      this.#say(ENDS[job.state] || "failed");
      this.#say("done");
    }
    this.#ended = job.done;
  }

  #say(name, more) {
    const detail = { job: this.#job, ...more };
    // Listeners see the element as it is after the change.
    queueMicrotask(() => this.tell(name, detail));
  }

  #build() {
    if (this.#parts) return this.#parts;
    const span = (name) => make("span", `bb-${name}`), div = (name) => make("div", `bb-${name}`);
    const parts = this.#parts = {
      card: div("card"), head: div("head"), title: span("title"), figure: span("figure"), bar: make("progress", "bb-bar"),
      line: div("line"), message: span("message"), aside: span("aside"), foot: div("foot"), results: span("results"),
      trouble: span("trouble"), note: span("note"), status: span("unseen"), alert: span("unseen"),
      cancel: button("", () => this.cancel()), retry: button("", () => this.retry()),
      inform: button("bb-plain", () => this.#inform()),
      // Removed after the event: from an element that is not in the page nothing bubbles.
      dismiss: button("bb-plain", () => this.tell("dismiss", { job: this.#job }, true) && this.remove()),
      more: button("bb-link", () => { this.#log = !this.#log; this.render(); }),
    };
    const { card, head, title, figure, bar, line, message, aside, foot, status, alert } = parts;
    card.tabIndex = -1;
    status.setAttribute("role", "status");
    alert.setAttribute("role", "alert");
    head.append(title, figure);
    line.append(message, aside);
    foot.append(parts.cancel, parts.retry, parts.inform, parts.results, parts.dismiss, parts.trouble, parts.note, parts.more);
    card.append(head, bar, line, foot, status, alert);
    this.replaceChildren(card);
    return parts;
  }

  render() {
    const w = this.words(), job = this.#job;
    if (!w || (!job && !this.#gone && !(this.#lost && !this.childElementCount))) return;
    const { card, title, figure, bar, line, message, aside, foot } = this.#build(), view = this.#view(w);
    const held = foot.contains(document.activeElement);
    card.dataset.state = view.state;
    card.dataset.tone = view.tone;
    say(title, job?.title || this.getAttribute("label") || w.say("job"));
    const key = view.figure ?? w.say(view.state), share = /^\d+%$/.test(key);
    if (figure.dataset.key !== key + view.state) {
      figure.dataset.key = key + view.state;
      figure.className = view.figure === null ? `bb-figure bb-state bb-${view.state}` : "bb-figure";
      figure.replaceChildren(...(view.figure === null ? [icon(view.state)] : []), share ? key.slice(0, -1) : key);
      if (share) figure.append(make("small", "", "%"));
      figure.hidden = !key;
    }
    bar.hidden = view.bar === null;
    bar.setAttribute("aria-label", job?.title || w.say("job"));
    if (view.bar === "unknown") bar.removeAttribute("value");
    else if (view.bar !== null) bar.value = view.bar;
    say(message, view.message);
    const away = this.#lost && job && !job.done;
    message.classList.toggle("bb-away", away);
    if (away && !message.firstElementChild) message.prepend(icon("offline"));
    say(aside, view.aside);
    line.hidden = !view.message && !view.aside;
    this.#foot(view, w);
    this.#announce(view, w);
    if (held && !foot.contains(document.activeElement)) card.focus({ preventScroll: true });
  }

  #foot(view, w) {
    const { card, foot, cancel, retry, inform, dismiss, more, note, trouble } = this.#parts, job = this.#job;
    const may = (verb) => Boolean(job?.actions.includes(verb)) && !this.#lost, has = (name) => this.hasAttribute(name);
    const cancelling = Boolean(job && !job.done && (job.cancel_requested || this.#asked === "cancel"));
    cancel.hidden = !(has("cancel") && (may("cancel") || cancelling));
    cancel.disabled = cancelling;
    say(cancel, w.say(cancelling ? "cancelling" : "cancel"));
    // Operators may do more than a visitor should be offered beside a finished job.
    retry.hidden = !may("retry") || !["failed", "cancelled"].includes(job.state) || this.getAttribute("retry") === "off";
    retry.disabled = this.#asked === "retry";
    if (retry.textContent !== w.say("retry")) retry.replaceChildren(icon("retrying"), w.say("retry"));
    inform.hidden = !(has("tell") && may("tell") && !this.#told);
    say(inform, w.say("tell"));
    dismiss.hidden = !(has("dismiss") && (job?.done || this.#gone));
    say(dismiss, w.say("dismiss"));
    more.hidden = !has("log");
    more.setAttribute("aria-expanded", String(this.#log));
    say(more, w.say(this.#log ? "hide" : "show"));
    const log = card.querySelector("backburner-log");
    if (this.#log && has("log") && !log) this.pass(card.appendChild(make("backburner-log")), ["src"]);
    else if (log && !(this.#log && has("log"))) log.remove();
    else if (log) this.pass(log, ["src"]);
    const told = this.#told && job && !job.done && !this.#lost ? w.say("told") : view.note;
    say(note, told);
    note.hidden = !told;
    note.classList.toggle("bb-id", view.noteIsId);
    say(trouble, this.#trouble);
    trouble.hidden = !this.#trouble;
    this.#results(w);
    foot.hidden = [...foot.children].every((child) => child.hidden);
  }

  #results(w) {
    const { results } = this.#parts, job = this.#job, files = (job?.files || []).map((file) => (
      { text: w.say("download", { name: file.name }), href: file.href, title: w.size(file.size), file: true }));
    const found = [...(job?.links || []), ...files].filter(({ href }) => !href || safe(href));
    const key = JSON.stringify([found, job?.state]);
    if (results.dataset.key === key) return;
    results.dataset.key = key;
    results.hidden = !found.length;
    results.replaceChildren(...found.map(({ text, href, title = "", target, file }, index) => {
      if (!href) return make("span", "bb-aside", text);
      const link = make("a", `bb-button ${job.state === "succeeded" && index === 0 ? "bb-main" : "bb-plain"}`);
      Object.assign(link, { href, title, target: target || "", rel: "noopener noreferrer" });
      if (index === 0) link.append(icon(file || /download/i.test(text) ? "download" : "open"));
      link.append(make("span", "", text));
      return link;
    }));
  }

  /** What there is to show: words, figure, bar, tone. */
  #view(w) {
    const job = this.#job, lost = this.#lost && !job?.done;
    const view = { state: job?.state || "", figure: job ? null : "", bar: null, tone: "idle", message: "", aside: "", note: "" };
    if (job) show(view, job, w, this.#estimate, (Date.now() + this.#skew) / 1000);
    if (this.#gone && !job?.done) view.message = w.say(job ? "kept" : "gone");
    else if (!job) view.message = w.say("away");
    else if (lost) {
      const time = clock(new Date(this.#seen));
      Object.assign(view, { tone: "idle", message: w.say("lost"), aside: w.say("asof", { time }), note: w.say("goeson") });
    }
    return { ...view, noteIsId: Boolean(view.noteIsId) };
  }

  /** For screen readers: the start, each quarter, new stages, and the end; a failure as an alert. */
  #announce(view, w) {
    const { status, alert } = this.#parts, job = this.#job;
    if (!job) return say(status, view.message);
    const running = job.state === "running" && job.progress, stage = job.progress?.stage;
    const quarter = running ? Math.floor((running.share * 100) / QUARTER) * QUARTER : 0;
    const key = [job.state, job.cancel_requested, quarter, stage, this.#lost].join("|");
    if (key === this.#said) return;
    this.#said = key;
    const failed = job.state === "failed" || job.state === "interrupted";
    const standing = w.say(job.cancel_requested && !job.done ? "cancelling" : job.state);
    const words = [job.title, quarter ? `${quarter}%` : standing, job.done ? view.message : stage, this.#lost && w.say("lost")];
    say(failed ? alert : status, words.filter(Boolean).join(", "));
    if (!failed) say(alert, "");
  }

  /** Have who asks told when it is done, for people who leave. */
  async #inform() {
    const response = await ask(below(this.src, "/tell"), { method: "POST" }).catch(() => null);
    this.#told = Boolean(response?.ok);
    this.#trouble = this.#told ? "" : this.words().say("unreached");
    this.render();
  }

  async cancel() { await this.#ask("cancel"); }

  async retry() {
    if (await this.#ask("retry")) this.#follow();
  }

  async #ask(verb) {
    const w = this.words();
    this.#asked = verb;
    this.#trouble = "";
    this.render();
    try {
      const response = await ask(below(this.src, `/${verb}`), { method: "POST" }), body = await response.json();
      if (response.ok && body.state) this.#take(body);
      else if (response.status !== 409) this.#trouble = body.detail || body.title || w.say("refused", { n: response.status });
    } catch {
      this.#trouble = w.say("unreached");
    }
    this.#asked = "";
    this.render();
    return !this.#trouble;
  }
}
