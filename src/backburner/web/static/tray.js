// <backburner-tray src="/backburner" [open] [inline]>: the jobs of who looks, on every page of a site; with `inline` in
// the page instead of at its edge. What is in the element, such as a link to the list, stays below the jobs.

import { ask, below } from "./follow.js";
import { Jobs } from "./global.js";
import { icon, make, say, under } from "./parts.js";

const MOST = 20, LATELY = 600_000;

export class BackburnerTray extends Jobs {
  #parts = null; #first = true;

  build() {
    if (this.#parts) return;
    const foot = make("div", "bb-tray-foot");
    const parts = this.#parts = {
      box: make(this.hasAttribute("inline") ? "section" : "details", "bb-tray"), head: make("summary", "bb-tray-head"),
      mark: make("span", "bb-mark bb-running"), title: make("strong"), count: make("span", "bb-aside"),
      bar: make("progress", "bb-bar"), list: make("div", "bb-tray-list"), stays: make("span", "bb-aside"),
    };
    const { box, head, mark, title, count, bar, list, stays } = parts;
    box.hidden = true;
    if (this.hasAttribute("open")) box.open = true;
    bar.max = 1;
    bar.setAttribute("aria-hidden", "true");
    mark.append(icon("running"));
    head.append(mark, title, bar, count);
    if (box.localName === "section") {
      box.append(list);
    } else {
      this.setAttribute("role", "complementary");
      foot.append(...this.childNodes, stays);
      box.append(head, list, foot);
    }
    this.append(box);
    list.addEventListener("backburner:dismiss", ({ detail: { job } }) => {
      // Also from the list of finished ones, for those whose job it is.
      if (job?.actions.includes("dismiss")) ask(below(job.href, "/dismiss"), { method: "POST" }).catch(() => {});
    });
  }

  async look() {
    const running = await this.jobsAt(`/jobs?mine=true&done=false&limit=${MOST}`), { box, list } = this.#parts;
    if (!running) return this.soon();
    // What ended while the page before this one was left is shown as well.
    const ended = this.#first && box.localName === "details" && await this.jobsAt("/jobs?mine=true&done=true&limit=3");
    this.#first = false;
    const lately = (ended || []).filter((job) => Date.now() - Date.parse(job.finished_at) < LATELY);
    // What the server has put here is live now; a job of those may have ended on the way.
    const here = [...this.children].filter((child) => child !== box);
    const put = here.map((child) => child.dataset.job).filter(Boolean);
    const named = put.map((id) => ({ id, href: under(this.src, `/jobs/${id}`) }));
    for (const job of [...running, ...lately, ...named]) this.barOf(job, list, ["cancel", "dismiss"]);
    for (const child of here) child.remove();
    this.render();
  }

  render() {
    const w = this.words(), { box, mark, title, count, bar, stays } = this.#parts;
    if (!w) return;
    const jobs = [...this.bars.values()].map((each) => each.job).filter(Boolean), open = jobs.filter((job) => !job.done);
    const running = open.filter((job) => job.state === "running"), shares = running.map((job) => job.progress?.share || 0);
    box.hidden = !this.bars.size;
    if (this.role) this.setAttribute("aria-label", w.say("mine"));
    say(title, w.say("mine"));
    say(count, w.say("jobs", { n: this.bars.size }));
    say(stays, w.say("stays"));
    mark.hidden = !open.length;
    bar.hidden = !running.length;
    bar.value = shares.reduce((sum, share) => sum + share, 0) / (shares.length || 1);
  }
}
