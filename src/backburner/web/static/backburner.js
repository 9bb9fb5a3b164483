// The components for any page. Light DOM, no dependencies; they work under `script-src 'self'; style-src 'self'` and
// Trusted Types, and each is something useful without scripts.

import { BackburnerGlobal } from "./global.js";
import { BackburnerLog } from "./log.js";
import { BackburnerProgress } from "./progress.js";
import { BackburnerSubmit } from "./submit.js";
import { BackburnerTray } from "./tray.js";
import { BackburnerWait } from "./wait.js";

export { translate } from "./words.js";
export { BackburnerGlobal, BackburnerLog, BackburnerProgress, BackburnerSubmit, BackburnerTray, BackburnerWait };

const ELEMENTS = { BackburnerLog, BackburnerProgress, BackburnerGlobal, BackburnerSubmit, BackburnerTray, BackburnerWait };

for (const [name, element] of Object.entries(ELEMENTS)) {
  const tag = name.replace(/(?<=.)[A-Z]/, (letter) => `-${letter}`).toLowerCase();
  if (!customElements.get(tag)) customElements.define(tag, element);
}
