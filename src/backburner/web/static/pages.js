// What the operators' pages do beyond what they do without scripts: follow the job that is shown.

import "./backburner.js";
import { follow } from "./follow.js";

const element = document.querySelector("[data-follow]"), log = document.querySelector("[data-log]");

if (element && element.dataset.done === "false") {
  const live = document.querySelector("[data-live]"), changed = document.querySelector("[data-changed]");
  const messages = document.querySelector("[data-messages]"), shown = messages.childElementCount;
  let end = Number(log.dataset.end), heard = 0, atEnd = true;
  log.addEventListener("scroll", () => { atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8; });
  follow(element.src, (kind, body) => {
    if (kind === "back" || kind === "lost") live.hidden = kind === "lost";
    if (kind === "log" && body.start >= end) {
      end = body.start + 1;  // lengths differ between here and the server: offsets count characters, not their halves
      for (const line of body.text.replace(/\n$/, "").split("\n")) {
        const time = document.createElement("span");
        time.className = "bb-log-time";
        time.textContent = body.at.slice(11, 19);  // UTC, as all times of these pages
        log.append(time, ` ${line}\n`);
      }
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
    // The stream begins with all messages there are; those on the page already come first.
    if (kind === "message" && ++heard > shown) {
      const entry = document.createElement("li");
      entry.className = `m-${body.level}`;
      entry.textContent = body.text;
      messages.append(entry);
      messages.closest("section").hidden = false;
    }
    const already = kind === "snapshot" && body.job.state !== element.dataset.state;
    if (already || ["state", "done", "gone"].includes(kind)) changed.hidden = false;
    if (kind === "done" || kind === "gone") live.hidden = true;
  }, { log: true });
  log.scrollTop = log.scrollHeight;
}
