// Texts, numbers and times in the language of the page. Others than the three that are shipped come by `translate`.

import english from "./languages/en.js";

const SHIPPED = ["cs", "de"], DAY = 86_400;
const texts = { en: english }, spoken = new Map(), asked = new Map();

/** Add a language, or say things otherwise in one: `translate("fr", { queued: "En attente" })`. */
export function translate(lang, more) {
  texts[lang] = { ...texts[lang], ...more };
  spoken.clear();
}

/** The words of an element: by the `lang` of itself or around it. Null until they are there; then `again` is called. */
export function wordsOf(element, again) {
  const lang = element.closest("[lang]:not([lang=''])")?.lang || "en", base = lang.split("-")[0].toLowerCase();
  if (SHIPPED.includes(base) && asked.get(base) !== true) {
    if (!asked.has(base)) {
      // Without the file it is English, which is better than nothing.
      asked.set(base, import(`./languages/${base}.js`).catch(() => ({})).then((found) => {
        asked.set(base, true);
        translate(base, { ...found.default, ...texts[base] });
      }));
    }
    asked.get(base).then(again);
    return null;
  }
  if (!spoken.has(lang)) spoken.set(lang, new Words(lang, { ...english, ...texts[base], ...texts[lang] }));
  return spoken.get(lang);
}

/** "320 ms", "12.8 s", "1 min 09 s", "2 h 06 min", "3 d". */
export function duration(seconds) {
  const s = Math.max(0, seconds), two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 60) return `${(Math.floor(s * 10) / 10).toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 2 * DAY) return `${Math.floor(s / 3600)} h ${two((s % 3600) / 60)} min`;
  return `${Math.floor(s / DAY)} d`;
}

/** An interval that counts down: whole seconds, then minutes, then hours. */
export function ahead(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 2 * DAY ? `${Math.round(s / 3600)} h` : `${Math.round(s / DAY)} d`;
}

/** An interval that goes on: whole seconds, from 1 on. */
export function span(seconds) {
  return duration(Math.max(1, Math.floor(seconds))).replace(".0 s", " s");
}

/** How coarse an estimate is: 5 s under a minute, 20 s under 5 min, then whole minutes. */
export function stepOf(seconds) {
  return seconds < 60 ? 5 : seconds < 300 ? 20 : 60;
}

/** 100 -> "1 min 40 s"; for estimates that are already rounded. */
export function about(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 300) return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** 14:32:05 */
export function clock(date, seconds = true) {
  const two = (n) => String(n).padStart(2, "0");
  return [date.getHours(), date.getMinutes(), ...(seconds ? [date.getSeconds()] : [])].map(two).join(":");
}

class Words {
  #texts; #dates; #plural; #ordinal;

  constructor(lang, texts) {
    try {
      Intl.getCanonicalLocales(lang);
    } catch {
      lang = "en";
    }
    this.#texts = texts;
    this.number = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 }).format;
    this.#plural = new Intl.PluralRules(lang);
    this.#ordinal = new Intl.PluralRules(lang, { type: "ordinal" });
    this.#dates = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { weekday: "short", day: "numeric", month: "short" });
  }

  /** A text with its values; of several forms the one for the number `n`. */
  say(key, values = {}, rules = this.#plural) {
    let text = this.#texts[key] ?? "";
    if (typeof text === "object") text = text[rules.select(values.n)] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (all, name) => {
      const value = values[name];
      return typeof value === "number" ? this.number(value) : value;
    });
  }

  /** 3 -> "3rd". */
  nth(n) { return this.say("nth", { n }, this.#ordinal); }

  /** "52,600 of 84,725 orders"; "12 rows (10 expected)" when there are more than expected. */
  count({ done, total, unit }) {
    if (unit === "%" || (!done && !total)) return "";
    const named = unit ? ` ${unit}` : "", values = { done: this.number(done), total: this.number(total || 0) };
    if (!total) return values.done + named;
    return done > total ? this.say("expected", { ...values, done: values.done + named }) : this.say("of", values) + named;
  }

  /** "Starts on Thu 26 Nov at 06:00"; today only the time. */
  start(date, now = new Date()) {
    const time = clock(date, false);
    if (date.toDateString() === now.toDateString()) return this.say("today", { time });
    return this.say("starts", { time, day: this.#dates.format(date).replaceAll(",", "") });
  }

  /** Sizes in powers of ten. */
  size(bytes) {
    const power = bytes < 1e3 ? 0 : bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
    return `${this.number(bytes / 1e3 ** power)} ${["B", "kB", "MB", "GB"][power]}`;
  }
}
