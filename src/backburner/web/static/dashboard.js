// What the operators' pages do beyond what they do without scripts. Each part looks for its own marks in the page.

import "./dashboard/page.js";
import "./dashboard/live.js";
import "./dashboard/grid.js";
import "./dashboard/bar.js";
import "./dashboard/dialog.js";
import "./dashboard/log.js";
import "./dashboard/keys.js";
