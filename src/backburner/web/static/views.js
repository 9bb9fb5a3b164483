// What each state shows: words, figure, bar.

import { about, ahead, duration, span } from "./words.js";

/** A link's address if it may be followed: http, https, or this site; otherwise null. */
export function safe(href) {
  if (typeof href !== "string" || /[\s\\\0-\x1f\x7f]/.test(href) || href.startsWith("//")) return null;
  if (!/^([/?#]|https?:\/\/)/i.test(href)) return null;
  try {
    return ["http:", "https:"].includes(new URL(href, document.baseURI).protocol) ? href : null;
  } catch {
    return null;
  }
}

/** Never 100% before the end. */
export function percent(share) {
  return `${Math.min(99, Math.floor(share * 100))}%`;
}

/** Fill in `view` for the job; `now` is the server's time in seconds, `w` are the words. */
export function show(view, job, w, estimate, now) {
  const state = { scheduled, blocked, queued, running, retrying, succeeded }[job.state] || ended;
  state(view, job, w, now, estimate);
}

const seconds = (text) => (text ? Date.parse(text) / 1000 : NaN);
const sentence = (text) => (text ? `${text}${/[.!?…]$/.test(text) ? "" : "."}` : "");
const listed = (...texts) => texts.filter(Boolean).join(", ");

function scheduled(view, job, w, now) {
  const at = seconds(job.run_at), left = at - now;
  view.message = sentence(job.reason) || (left > 90 ? w.start(new Date(at * 1000)) : w.say("soon"));
  view.aside = left > 0 ? w.say("in", { time: ahead(left) }) : "";
}

function blocked(view, job, w) {
  view.message = sentence(job.reason) || w.say("held");
}

function queued(view, job, w) {
  view.bar = 0;
  view.message = job.place ? w.say("place", { nth: w.nth(job.place) }) : w.say("line");
  view.note = w.say("leave");
}

function running(view, job, w, now, estimate) {
  const progress = job.progress || {}, stopping = job.cancel_requested, { share = null, unit } = progress;
  view.tone = stopping ? "idle" : "live";
  const text = progress.message || progress.stage || "";
  if (share === null) {
    const rate = progress.done ? estimate.rate(now) : null;
    view.bar = "unknown";
    view.figure = progress.done ? w.count(progress) : null;
    view.aside = w.say("sofar", { time: span(now - seconds(job.started_at)) });
    view.message = listed(text, rate && w.say("speed", { n: rate < 10 ? rate : Math.round(rate), unit: unit || w.say("steps") }));
  } else {
    const left = stopping ? null : estimate.left(progress, now);
    view.figure = percent(share);
    view.bar = share;
    view.aside = left === null ? "" : w.say("left", { time: about(left) });
    view.message = listed(text, w.count(progress));
  }
  if (stopping) view.message = w.say("stopping");
  else if (progress.failed) view.message = listed(view.message, w.say("losses", { n: progress.failed }));
  else if (share === null) view.message ||= w.say("work");
}

function retrying(view, job, w, now) {
  const left = seconds(job.run_at) - now, progress = job.progress;
  view.bar = progress?.share ?? 0;
  const kept = progress?.total && progress.done ? w.say("were", { n: w.count(progress) }) : "";
  view.message = [sentence(job.reason), kept].filter(Boolean).join(" ");
  const attempt = job.tries && job.max_attempts ? w.say("attempt", { n: job.tries + 1, most: job.max_attempts }) : "";
  view.note = listed(left > 0 ? w.say("again", { time: ahead(left) }) : w.say("now"), attempt);
}

function succeeded(view, job, w) {
  const progress = job.progress, took = seconds(job.finished_at) - seconds(job.started_at);
  view.tone = "done";
  view.bar = 1;
  view.aside = Number.isFinite(took) ? w.say("took", { time: duration(took) }) : "";
  if (progress?.failed) {
    view.message = w.say("balance", { good: Math.max(0, progress.done - progress.failed), bad: progress.failed });
  } else {
    view.message = progress?.message || (progress && w.count({ ...progress, total: null })) || w.say("done");
  }
}

function ended(view, job, w) {
  const progress = job.progress;
  view.message = sentence(job.reason) || w.say("ended");
  if (job.state === "cancelled" && progress?.total && progress.unit !== "%") {
    view.message = w.say("stopped", { n: w.count(progress) });
  }
  if (job.state === "failed" || job.state === "interrupted") {
    view.note = `…${job.id.slice(-4)}`;
    view.noteIsId = true;
  }
}
