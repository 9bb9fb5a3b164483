// The log of a job as it is written, and the search in it. What else changes is brought by the live updates.

import { follow } from "../follow.js";
import { soon } from "./live.js";

const log = document.querySelector("[data-log]");

function add(body) {
  for (const words of body.text.replace(/\n$/, "").split("\n")) {
    const line = document.createElement("span"), time = document.createElement("span");
    line.className = "line";
    time.className = "bb-log-time";
    time.textContent = body.at.slice(11, 19);  // UTC, as all times of these pages
    line.append(time, ` ${words}\n`);
    log.append(line);
  }
}

if (log) {
  const following = document.querySelector("[data-following]"), find = document.querySelector("[data-find-line]");
  const seek = () => {
    const wanted = find.value.toLowerCase();
    for (const line of log.querySelectorAll(".line")) line.hidden = wanted !== "" && !line.textContent.toLowerCase().includes(wanted);
  };
  find.hidden = false;
  find.addEventListener("input", seek);
  if (log.dataset.done === "false") {
    let end = Number(log.dataset.end), atEnd = true;
    log.addEventListener("scroll", () => { atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8; });
    follow(new URL(log.dataset.log, location.href).href, (kind, body) => {
      if (kind === "back" || kind === "lost") following.hidden = kind === "lost";
      if (kind === "log" && body.start >= end) {
        end = body.start + 1;  // lengths differ between here and the server: offsets count characters, not their halves
        log.closest("section").hidden = false;
        add(body);
        seek();
        if (atEnd) log.scrollTop = log.scrollHeight;
      }
      if (kind === "snapshot" && body.job.state !== log.dataset.state) soon();
      if (["state", "progress", "message", "link", "done", "gone"].includes(kind)) soon();
      if (kind === "done" || kind === "gone") following.hidden = true;
    }, { log: true });
  }
  log.scrollTop = log.scrollHeight;
}
