// How fast a job goes and how long it has to go: smoothed, and silent until there is something to go by.

import { stepOf } from "./words.js";

const MEMORY_SECONDS = 12;  // how long the past counts in the rate
const FIRST_SHARE = 0.05, FIRST_SECONDS = 3;

export class Estimate {
  #stage; #began; #at; #done; #rate = null; #end = null; #shown = null;

  /** Take in what the server says. Its own times are used: the browser's clock may be wrong. */
  observe(progress) {
    if (!progress?.updated_at) return;
    const at = Date.parse(progress.updated_at) / 1000;
    if (this.#stage !== progress.stage || this.#done === undefined || progress.done < this.#done) {
      this.#begin(progress, at);
    } else if (at > this.#at) {
      const passed = at - this.#at, weight = 1 - Math.exp(-passed / MEMORY_SECONDS);
      const now = (progress.done - this.#done) / passed;
      this.#rate = this.#rate === null ? now : this.#rate + weight * (now - this.#rate);
      this.#at = at;
      this.#done = progress.done;
    }
    const { total, done } = progress;
    if (!total || done > total || !(this.#rate > 0)) {
      this.#end = null;
      return;
    }
    const end = at + (total - done) / this.#rate;
    this.#end = this.#end === null ? end : this.#end + 0.25 * (end - this.#end);
  }

  #begin(progress, at) {
    const first = this.#stage === undefined && this.#done === undefined;
    // Of a stage that was under way before we came we know only the mean since the beginning.
    const began = first && progress.began_at ? Date.parse(progress.began_at) / 1000 : at;
    this.#rate = first && at - began > 1 && progress.done > 0 ? progress.done / (at - began) : null;
    this.#stage = progress.stage;
    this.#began = began;
    this.#at = at;
    this.#done = progress.done;
    this.#end = this.#shown = null;
  }

  /** Items per second; null while nobody can say. */
  rate(now) {
    return this.#rate !== null && now - this.#began >= FIRST_SECONDS ? this.#rate : null;
  }

  /** Seconds left, rounded for showing, or null. It only grows when it is wrong by more than a step. */
  left(progress, now) {
    if (this.#end === null || progress.share === null || progress.share < FIRST_SHARE) return null;
    if (now - this.#began < FIRST_SECONDS || progress.share >= 1) return null;
    const left = Math.max(1, this.#end - now), step = stepOf(left), next = Math.max(step, Math.round(left / step) * step);
    const keep = this.#shown !== null && next > this.#shown && left < this.#shown + 1.5 * stepOf(this.#shown);
    if (!keep) this.#shown = next;
    return this.#shown;
  }
}
