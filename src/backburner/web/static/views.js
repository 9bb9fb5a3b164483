// What each state shows: words, figure, bar.

import { about, ahead, count, day, duration, number, ordinal } from "./words.js";

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

/** Fill in `view` for the job; `now` is the server's time in seconds. */
export function show(view, job, estimate, now) {
  const say = { scheduled: later, blocked: held, queued, running, retrying, succeeded }[job.state] || ended;
  say(view, job, estimate, now);
}

const seconds = (text) => (text ? Date.parse(text) / 1000 : NaN);
const sentence = (text) => (text ? `${text}${/[.!?…]$/.test(text) ? "" : "."}` : "");

function percent(share) {
  // Never 100% before the end.
  return `${Math.min(99, Math.floor(share * 100))}%`;
}

function startTime(view, job, now) {
  const at = seconds(job.run_at);
  return at - now > 90 ? `Starts on ${day(new Date(at * 1000))}`.replace(/^Starts on (\d)/, "Starts at $1") : "Starts soon";
}

function later(view, job, estimate, now) {
  view.message = job.reason ? sentence(job.reason) : startTime(view, job, now);
  const left = seconds(job.run_at) - now;
  view.aside = left > 0 ? `in ${ahead(left)}` : "";
}

function held(view, job) {
  view.message = sentence(job.reason) || "Waits for other work to finish.";
}

function queued(view, job) {
  view.bar = 0;
  view.message = job.place ? `${ordinal(job.place)} in line` : "In line";
  view.note = "You can leave this page.";
}

function running(view, job, estimate, now) {
  const progress = job.progress, stopping = job.cancel_requested;
  view.tone = stopping ? "idle" : "live";
  view.bar = "unknown";
  if (stopping) view.message = "Finishing the step it is at";
  if (!progress) {
    if (!stopping) view.message = "At work";
    view.aside = `${duration(Math.floor(Math.max(1, now - seconds(job.started_at))))} so far`.replace(".0 s", " s");
    return;
  }
  const text = progress.message || progress.stage || "";
  if (progress.share !== null) {
    view.figure = percent(progress.share);
    view.bar = progress.share;
    const left = estimate.left(progress, now);
    view.aside = stopping || left === null ? "" : `about ${about(left)} left`;
    view.message ||= [text, count(progress)].filter(Boolean).join(", ");
  } else {
    const rate = estimate.rate(now), unit = progress.unit || "steps";
    view.figure = progress.done ? count(progress) : null;
    view.aside = `${duration(Math.floor(Math.max(1, now - seconds(job.started_at))))} so far`.replace(".0 s", " s");
    const speed = rate ? `${number(rate < 10 ? rate : Math.round(rate))} ${unit} a second` : "";
    view.message ||= [text, speed].filter(Boolean).join(", ") || "At work";
  }
  if (progress.failed && !stopping) view.message += `, ${number(progress.failed)} failed`;
}

function retrying(view, job, estimate, now) {
  const left = seconds(job.run_at) - now, progress = job.progress;
  view.bar = progress?.share ?? 0;
  view.message = [sentence(job.reason), progress?.total && progress.done ? `${count(progress)} were done.` : ""].filter(Boolean).join(" ");
  const attempt = job.tries && job.max_attempts ? `, attempt ${job.tries + 1} of ${job.max_attempts}` : "";
  view.note = `Tries again ${left > 0 ? `in ${ahead(left)}` : "now"}${attempt}`;
}

function took(job) {
  const from = seconds(job.started_at), to = seconds(job.finished_at);
  return Number.isFinite(to - from) ? `took ${duration(to - from)}` : "";
}

function succeeded(view, job) {
  const progress = job.progress;
  view.tone = "done";
  view.bar = 1;
  view.aside = took(job);
  const all = progress && progress.total ? { ...progress, total: null } : progress;
  const counted = all ? count(all) : "";
  if (progress?.failed) {
    const good = Math.max(0, progress.done - progress.failed);
    view.message = `${number(good)} done, ${number(progress.failed)} failed`;
  } else {
    view.message = progress?.message || counted || "Done";
  }
}

function ended(view, job) {
  const progress = job.progress;
  view.message = sentence(job.reason) || "It ended.";
  if (job.state === "cancelled" && progress?.total && progress.unit !== "%") {
    view.message = `Stopped at ${count(progress)}.`;
  }
  if (job.state === "failed" || job.state === "interrupted") {
    view.note = `…${job.id.slice(-4)}`;
    view.noteIsId = true;
  }
}
