// Following jobs: one stream for all bars of all tabs, long polls where streams do not pass, polls where those do
// not either. It comes back for ever, and says so while it is away.

const LOST_AFTER = 3_000, SILENT = 45_000, STREAM_AGAIN = 30_000, LONGEST_PAUSE = 30_000, BEAT = 10_000, MOST = 50;
const KINDS = ["snapshot", "progress", "state", "link", "log", "message", "done", "gone"];

/** The parts of a job's address: where its mount is, its id, and the query with the token, if any. */
export function parse(src) {
  const url = new URL(src, document.baseURI);
  const match = /^(.*)\/jobs\/([^/]+)\/?$/.exec(url.pathname);
  if (!match) throw new TypeError(`backburner: ${src} is no address of a job, .../jobs/ID`);
  return { root: url.origin + match[1], id: decodeURIComponent(match[2]), query: url.search };
}

/** An address below that of a job. */
export function below(src, part, more = {}) {
  const { root, id, query } = parse(src);
  const url = new URL(`${root}/jobs/${encodeURIComponent(id)}${part}${query}`);
  for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
  return url.href;
}

/** Ask the server for something. */
export function ask(url, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  return fetch(url, { cache: "no-store", credentials: "same-origin", ...options, headers });
}

/** Follow a job; `tell(kind, body)` hears of it until the function that is returned is called. */
export function follow(src, tell, { log = false } = {}) {
  const { root, id, query } = parse(src);
  // Output and tokens have a stream of their own.
  const alone = log || query, line = alone ? new Line(root) : shared.get(root) || new Line(root, true);
  if (alone) line.address = (last) => below(src, "/events", { log: log ? 1 : 0, ...(last && { last_event_id: last }) });
  else shared.set(root, line);
  line.add(id, tell, query);
  return () => line.remove(id, tell);
}

const shared = new Map();

/** One connection for any number of jobs. With `tabs` the others of this site use it as well: one of them leads. */
class Line {
  #root; #jobs = new Map(); #others = new Map(); #stream = null; #polls = null; #last = ""; #heard = 0; #errors = 0;
  #lost = null; #isLost = false; #again = null; #watch = null; #planned = false; #beat = 0;
  #leads = true; #stands = null; #resign = null; #channel = null; #me = String(Math.random());
  #online = () => this.#restart();

  constructor(root, tabs = false) {
    this.#root = root;
    // Not in pages that are not secure: each of their tabs has its own connection.
    if (!tabs || !navigator.locks || !globalThis.BroadcastChannel) return;
    this.#leads = false;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hearTab(data);
    addEventListener("pagehide", () => this.#post({ wants: [] }));
  }

  get #name() { return `backburner ${this.#root}`; }

  address(last, ids) {
    return ids.length === 1
      ? below(`${this.#root}/jobs/${encodeURIComponent(ids[0])}`, "/events", { log: 0 })
      : `${this.#root}/jobs/feed?ids=${ids.map(encodeURIComponent).join(",")}`;
  }

  add(id, tell, query) {
    if (!this.#jobs.has(id)) this.#jobs.set(id, { query, tells: new Set(), mark: "", done: false });
    const job = this.#jobs.get(id);
    job.tells.add(tell);
    job.done = false;
    this.#plan();
  }

  remove(id, tell) {
    const job = this.#jobs.get(id);
    job?.tells.delete(tell);
    if (job && !job.tells.size) this.#jobs.delete(id);
    this.#rest();
  }

  /** The jobs that are followed: of this tab, and, if it leads, of the others. */
  #open(all = this.#leads) {
    const ids = [...this.#jobs].filter(([, job]) => !job.done).map(([id]) => id);
    return all ? [...new Set([...ids, ...[...this.#others.values()].flatMap((wants) => [...wants])])] : ids;
  }

  // Elements of one page come one by one: wait for all of them before connecting.
  #plan() {
    if (this.#planned) return;
    this.#planned = true;
    if (this.#channel && !this.#stands) this.#stand();
    setTimeout(() => { this.#planned = false; this.#restart(); }, 20);
  }

  /** Lead the tabs as soon as nobody else does, or in the place of one that was silent for too long. */
  #stand(steal = false) {
    this.#stands?.abort();
    const stands = this.#stands = new AbortController();
    navigator.locks.request(this.#name, steal ? { steal } : { signal: stands.signal }, () => {
      this.#leads = true;
      this.#post({ call: true });
      this.#plan();
      return new Promise((resolve) => { this.#resign = resolve; });
    }).catch(() => {}).then(() => {
      // Resigned, or another tab has taken it.
      if (this.#stands !== stands) return;
      this.#stands = null;
      this.#leads = false;
      this.#stop();
      this.#others.clear();
      if (!this.#open().length) return;
      // Jobs came while it was given away.
      this.#stand();
      this.#plan();
    });
  }

  #post(message) { this.#channel?.postMessage({ from: this.#me, ...message }); }

  #hearTab({ from, wants, call, id, kind, body }) {
    if (call) return this.#post({ wants: this.#open(false) });
    if (wants) {
      if (!this.#leads) return;
      const before = this.#others.get(from), fresh = wants.some((want) => !before?.has(want));
      this.#others.set(from, new Set(wants));
      if (!wants.length) this.#others.delete(from);
      // A snapshot for who has just come.
      return fresh ? this.#plan() : this.#rest();
    }
    if (this.#leads) return;
    this.#heard = Date.now();
    if (kind === "lost" || kind === "back") this.#all(kind);
    else this.#tell(id, kind, body);
  }

  #restart() {
    this.#stop();
    if (!this.#open().length) return;
    this.#heard = Date.now();
    addEventListener("online", this.#online);
    this.#watch = setInterval(() => this.#check(), 5_000);
    if (this.#leads) this.#connect();
    else this.#post({ wants: this.#open() });
  }

  /** Nothing was heard for so long that something must be wrong: with the stream, or with the tab that leads. */
  #check() {
    if (Date.now() - this.#heard < SILENT) return;
    if (!this.#leads) return this.#stand(true);
    this.#restart();
    // A network that lets nothing through and says nothing answers the new one as little.
    this.#away();
  }

  #rest() {
    if (!this.#leads) this.#post({ wants: this.#open() });
    if (this.#open().length) return;
    this.#stop();
    if (this.#leads) this.#resign?.();
    else this.#stands?.abort();
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
    const stream = this.#stream = new EventSource(this.address(this.#last, this.#open().slice(0, MOST)));
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
    if (this.#leads) this.#post({ id, kind, body });
    const job = this.#jobs.get(id), over = kind === "done" || kind === "gone";
    if (job && over) job.done = true;
    for (const tell of [...(job?.tells || [])]) tell(kind, body);
    if (!over) return;
    for (const wants of this.#others.values()) wants.delete(id);
    this.#rest();
  }

  #away() {
    this.#lost ??= setTimeout(() => { this.#isLost = true; this.#all("lost"); }, LOST_AFTER);
    // Also to say that there is still somebody who tries.
    if (this.#isLost) this.#all("lost");
  }

  #back() {
    this.#heard = Date.now();
    clearTimeout(this.#lost);
    this.#lost = null;
    if (!this.#isLost && this.#heard - this.#beat < BEAT) return;
    this.#beat = this.#heard;
    this.#isLost = false;
    this.#all("back");
  }

  #all(kind) {
    if (this.#leads) this.#post({ kind });
    for (const job of this.#jobs.values()) if (!job.done) for (const tell of [...job.tells]) tell(kind, {});
  }

  #poll() {
    if (this.#polls) return;
    const polls = this.#polls = new AbortController(), marks = new Map();
    for (const id of this.#open()) this.#pollOne(id, polls.signal, marks);
  }

  async #pollOne(id, signal, marks) {
    let pause = 1_000;
    while (!signal.aborted && this.#open().includes(id)) {
      try {
        pause = await this.#look(id, signal, marks);
      } catch {
        if (signal.aborted) return;
        this.#away();
        pause = Math.min(pause * 2, LONGEST_PAUSE) * (0.75 + Math.random() / 2);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** One look at a job; how long to pause before the next. */
  async #look(id, signal, marks) {
    const headers = {}, mark = marks.get(id);
    if (mark) headers["If-None-Match"] = mark;
    // A browser has six connections per site: only the first two jobs may hold one while they wait.
    if (mark && this.#open().indexOf(id) < 2) headers.Prefer = "wait=20";
    const query = this.#jobs.get(id)?.query || "";
    const response = await ask(`${this.#root}/jobs/${encodeURIComponent(id)}${query}`, { headers, signal });
    if (response.status === 404 || response.status === 410) {
      this.#back();
      this.#tell(id, "gone", { id });
      return 0;
    }
    if (response.status !== 304 && !response.ok) throw new Error(String(response.status));
    this.#back();
    if (response.status === 200) {
      marks.set(id, response.headers.get("ETag") || "");
      const body = await response.json(), now = response.headers.get("Date");
      this.#tell(id, body.done ? "done" : "snapshot", { id, job: body, now: now && new Date(now).toISOString() });
    }
    const waited = response.headers.has("Preference-Applied");
    return waited ? 100 : 1_000 * Number(response.headers.get("Retry-After") || 2);
  }
}
