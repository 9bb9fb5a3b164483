// Following jobs: one shared stream per page and mount, long polls where streams do not pass, polls where
// those do not either. It comes back for ever, and says so while it is away.

const LOST_AFTER = 3_000, SILENT = 45_000, STREAM_AGAIN = 30_000, LONGEST_PAUSE = 30_000;
const KINDS = ["snapshot", "progress", "state", "link", "log", "message", "done", "gone"];

/** The parts of a job's address: where its mount is, its id, and the query with the token, if any. */
export function parse(src) {
  const url = new URL(src, document.baseURI);
  const match = /^(.*)\/jobs\/([^/]+)\/?$/.exec(url.pathname);
  if (!match) throw new TypeError(`backburner-progress: ${src} is no address of a job, .../jobs/ID`);
  return { root: url.origin + match[1], id: decodeURIComponent(match[2]), query: url.search };
}

/** An address below that of a job. */
export function below(src, part, more = {}) {
  const { root, id, query } = parse(src);
  const url = new URL(`${root}/jobs/${encodeURIComponent(id)}${part}${query}`);
  for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
  return url.href;
}

/** Follow a job; `tell(kind, body)` hears of it until the function that is returned is called. */
export function follow(src, tell, { log = false } = {}) {
  const { root, id, query } = parse(src);
  if (log || query) {
    // Output and tokens have a stream of their own.
    const line = new Line((last) => below(src, "/events", { log: log ? 1 : 0, ...(last && { last_event_id: last }) }));
    line.add(id, src, tell);
    return () => line.close();
  }
  if (!shared.has(root)) {
    shared.set(root, new Line((last, ids) => ids.length === 1
      ? `${root}/jobs/${encodeURIComponent(ids[0])}/events?log=0`
      : `${root}/jobs/feed?ids=${ids.map(encodeURIComponent).join(",")}`));
  }
  const line = shared.get(root);
  line.add(id, src, tell);
  return () => line.remove(id, tell);
}

const shared = new Map();

/** One connection for any number of jobs. */
class Line {
  #address; #jobs = new Map(); #stream = null; #polls = null; #last = ""; #heard = 0; #errors = 0;
  #lost = null; #again = null; #watch = null; #planned = false; #online = () => this.#restart();

  constructor(address) { this.#address = address; }

  add(id, src, tell) {
    if (!this.#jobs.has(id)) this.#jobs.set(id, { src, tells: new Set(), mark: "", done: false });
    const job = this.#jobs.get(id);
    job.tells.add(tell);
    job.done = false;
    this.#plan();
  }

  remove(id, tell) {
    const job = this.#jobs.get(id);
    job?.tells.delete(tell);
    if (job && !job.tells.size) this.#jobs.delete(id);
    if (!this.#open().length) this.#stop();
  }

  close() { this.#jobs.clear(); this.#stop(); }

  #open() { return [...this.#jobs].filter(([, job]) => !job.done).map(([id]) => id); }

  // Elements of one page come one by one: wait for all of them before connecting.
  #plan() {
    if (this.#planned) return;
    this.#planned = true;
    setTimeout(() => { this.#planned = false; this.#restart(); }, 20);
  }

  #restart() {
    this.#stop();
    if (!this.#open().length) return;
    addEventListener("online", this.#online);
    this.#watch = setInterval(() => { if (Date.now() - this.#heard > SILENT) this.#restart(); }, 5_000);
    this.#connect();
  }

  #stop() {
    this.#stream?.close();
    this.#polls?.abort();
    this.#stream = this.#polls = null;
    clearTimeout(this.#again);
    clearInterval(this.#watch);
    removeEventListener("online", this.#online);
  }

  #connect() {
    const stream = this.#stream = new EventSource(this.#address(this.#last, this.#open()));
    this.#heard = Date.now();
    stream.onopen = () => { this.#errors = 0; this.#polls?.abort(); this.#polls = null; this.#back(); };
    for (const kind of KINDS) {
      stream.addEventListener(kind, (event) => {
        if (event.lastEventId) this.#last = event.lastEventId;
        this.#back();
        const body = JSON.parse(event.data);
        this.#tell(body.id, kind, body);
      });
    }
    stream.onerror = () => {
      if (this.#stream !== stream) return;
      this.#away();
      // Closed: the server refused it. Three in a row: something between us does not let streams pass.
      if (stream.readyState === EventSource.CLOSED || ++this.#errors >= 3) {
        stream.close();
        this.#stream = null;
        this.#poll();
        this.#again = setTimeout(() => this.#open().length && this.#connect(), STREAM_AGAIN);
      }
    };
  }

  #tell(id, kind, body) {
    const job = this.#jobs.get(id);
    if (!job) return;
    if (kind === "done" || kind === "gone") job.done = true;
    for (const tell of [...job.tells]) tell(kind, body);
    if (job.done && !this.#open().length) this.#stop();
  }

  #away() {
    this.#lost ??= setTimeout(() => this.#all("lost"), LOST_AFTER);
  }

  #back() {
    this.#heard = Date.now();
    clearTimeout(this.#lost);
    this.#lost = null;
    this.#all("back");
  }

  #all(kind) { for (const id of this.#open()) this.#tell(id, kind, {}); }

  #poll() {
    if (this.#polls) return;
    const polls = this.#polls = new AbortController();
    for (const id of this.#open()) this.#pollOne(id, polls.signal);
  }

  async #pollOne(id, signal) {
    let pause = 1_000;
    while (!signal.aborted && this.#jobs.has(id) && !this.#jobs.get(id).done) {
      try {
        pause = await this.#ask(id, signal);
      } catch {
        if (signal.aborted) return;
        this.#away();
        pause = Math.min(pause * 2, LONGEST_PAUSE) * (0.75 + Math.random() / 2);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** One look at a job; how long to pause before the next. */
  async #ask(id, signal) {
    const job = this.#jobs.get(id), headers = { Accept: "application/json" };
    // A browser has six connections per site: only the first two jobs may hold one while they wait.
    const long = this.#open().indexOf(id) < 2 && job.mark;
    if (job.mark) headers["If-None-Match"] = job.mark;
    if (long) headers.Prefer = "wait=20";
    const response = await fetch(below(job.src, ""), { headers, signal, cache: "no-store", credentials: "same-origin" });
    if (response.status === 404 || response.status === 410) {
      this.#back();
      this.#tell(id, "gone", { id });
      return 0;
    }
    if (response.status !== 304 && !response.ok) throw new Error(String(response.status));
    this.#back();
    if (response.status === 200) {
      job.mark = response.headers.get("ETag") || "";
      const body = await response.json();
      const now = response.headers.get("Date");
      this.#tell(id, body.done ? "done" : "snapshot", { id, job: body, now: now && new Date(now).toISOString() });
    }
    const waited = response.headers.has("Preference-Applied");
    return waited ? 100 : 1_000 * Number(response.headers.get("Retry-After") || 2);
  }
}
