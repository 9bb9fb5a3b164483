// <backburner-log src=".../jobs/ID" [lines]>: the live output of a job. It follows the end until somebody scrolls up.

import { follow } from "./follow.js";
import { Component, make } from "./parts.js";
import { clock } from "./words.js";

export class BackburnerLog extends Component {
  static observedAttributes = ["src", "lang"];

  #box = null; #stop = null; #at = -1; #atEnd = true;

  connectedCallback() {
    super.connectedCallback();
    this.#follow();
  }

  disconnectedCallback() { this.#stop?.(); }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (name === "src") this.#follow();
    else this.render();
  }

  render() {
    const w = this.words();
    if (this.#box && w) this.#box.setAttribute("aria-label", w.say("output"));
  }

  #follow() {
    this.#stop?.();
    this.#at = -1;
    if (!this.src) return;
    this.#box?.replaceChildren();
    this.#stop = follow(this.src, (kind, body) => {
      if (kind === "done" || kind === "gone") this.#stop();
      // What was in the element before stays until the server has answered.
      if (kind === "snapshot") this.#build();
      // Of a stream that begins anew some was here before.
      if (kind === "log" && body.start > this.#at) {
        this.#at = body.start;
        for (const line of body.text.replace(/\n$/, "").split("\n")) this.#add(line, body.at);
      } else if (kind === "message") {
        this.#add(body.text, body.at, body.level);
      }
    }, { log: true });
  }

  #build() {
    if (this.#box) return this.#box;
    const box = this.#box = make("pre", "bb-log");
    box.setAttribute("role", "log");
    box.tabIndex = 0;
    box.addEventListener("scroll", () => { this.#atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8; });
    this.replaceChildren(box);
    this.render();
    return box;
  }

  #add(text, at, level = "") {
    const box = this.#build(), line = make("span", level && `bb-log-${level}`);
    line.append(make("span", "bb-log-time", clock(new Date(at))), ` ${text}\n`);
    box.append(line);
    while (box.childElementCount > (Number(this.getAttribute("lines")) || 1_000)) box.firstElementChild.remove();
    if (this.#atEnd) box.scrollTop = box.scrollHeight;
  }
}
