// Numbers, times and durations in the words of the whole product.

const language = () => document.documentElement.lang || "en";
const SECOND = 1000, DAY = 86_400;

export const STATES = {
  scheduled: "Scheduled", blocked: "Blocked", queued: "Queued", running: "Running", retrying: "Retrying",
  succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled", interrupted: "Interrupted", skipped: "Skipped",
};

/** 84725 -> "84,725"; fractions have one digit. */
export function number(value) {
  return new Intl.NumberFormat(language(), { maximumFractionDigits: 1 }).format(value);
}

/** "52,600 of 84,725 orders"; "12 rows (10 expected)" when there are more than expected. */
export function count(progress) {
  const { done, total, unit } = progress;
  if (unit === "%" || (!done && !total)) return "";
  const named = unit ? ` ${unit}` : "";
  if (!total) return `${number(done)}${named}`;
  if (done > total) return `${number(done)}${named} (${number(total)} expected)`;
  return `${number(done)} of ${number(total)}${named}`;
}

/** "320 ms", "12.8 s", "1 min 09 s", "2 h 06 min", "3 d". */
export function duration(seconds) {
  const s = Math.max(0, seconds);
  if (s < 1) return `${Math.round(s * SECOND)} ms`;
  if (s < 60) return `${(Math.floor(s * 10) / 10).toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(Math.floor(s % 60)).padStart(2, "0")} s`;
  if (s < 2 * DAY) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / DAY)} d`;
}

/** An interval that counts down: whole seconds, then minutes, then hours. */
export function ahead(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 2 * DAY) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / DAY)} d`;
}

/** A rounded estimate: steps of 5 s under a minute, 20 s under 5 min, then whole minutes. */
export function rounded(seconds) {
  const step = stepOf(seconds);
  return Math.max(step, Math.round(seconds / step) * step);
}

export function stepOf(seconds) {
  return seconds < 60 ? 5 : seconds < 300 ? 20 : 60;
}

/** 100 -> "1 min 40 s"; for estimates that are already rounded. */
export function about(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 300) return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function ordinal(place) {
  const tail = place % 100 >= 10 && place % 100 <= 20 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[place % 10] || "th";
  return `${number(place)}${tail}`;
}

export function clock(date) {
  return date.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** "Thu 26 Nov at 06:00"; today only the time. */
export function day(date, now = new Date()) {
  const time = date.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", hour12: false });
  if (date.toDateString() === now.toDateString()) return time;
  const parts = new Intl.DateTimeFormat(language(), { weekday: "short", day: "numeric", month: "short" });
  const named = Object.fromEntries(parts.formatToParts(date).map((part) => [part.type, part.value]));
  return `${named.weekday} ${named.day} ${named.month} at ${time}`;
}

/** Sizes in powers of ten. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${number(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${number(bytes / 1e6)} MB` : `${number(bytes / 1e9)} GB`;
}
