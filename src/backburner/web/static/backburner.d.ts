/** The elements, and what they say. */

export type JobState =
  | "scheduled" | "blocked" | "queued" | "running" | "retrying"
  | "succeeded" | "failed" | "cancelled" | "interrupted" | "skipped";

export interface JobProgress {
  done: number;
  total: number | null;
  unit: string | null;
  /** 0 to 1, or null while the total is not known. */
  share: number | null;
  stage: string | null;
  message: string | null;
  failed: number;
  began_at: string | null;
  updated_at: string | null;
}

export interface JobFile {
  id: string;
  name: string;
  media_type: string;
  /** Bytes. */
  size: number;
  href: string;
}

/** `GET /jobs/ID`. Times are ISO 8601 in UTC. */
export interface Job {
  id: string;
  title: string;
  task: string;
  queue: string;
  state: JobState;
  done: boolean;
  reason: string | null;
  blocked_on: string | null;
  cancel_requested: boolean;
  /** Place in line, from 1 on; null when it is not queued, or far behind. */
  place: number | null;
  attempt: number;
  tries: number;
  max_attempts: number | null;
  identifier: string | null;
  tags: string[];
  created_at: string;
  run_at: string;
  started_at: string | null;
  finished_at: string | null;
  expires_at: string | null;
  progress: JobProgress | null;
  links: { text: string; href: string | null; target: string | null }[];
  files: JobFile[];
  /** What the person who asks may do. */
  actions: ("cancel" | "retry" | "tell" | "dismiss" | "delete")[];
  href: string;
}

/** `<backburner-progress src=".../jobs/ID" [cancel] [log] [retry] [dismiss] [label]>`: one job. */
export class BackburnerProgress extends HTMLElement {
  /** The job as last seen. */
  readonly job: Job | null;
  /** Where the job is; may be set and changed at any time. */
  src: string;
  cancel(): Promise<void>;
  retry(): Promise<void>;
}

/** `<backburner-wait src=".../jobs/ID" [then] [failed] [form] [cancel] [log]>`: a page that waits for one job. */
export class BackburnerWait extends HTMLElement {
  /** The job as last seen. */
  readonly job: Job | null;
  /** Where the job is; may be set and changed at any time. */
  src: string;
}

/** `<backburner-log src=".../jobs/ID" [lines]>`: live output. */
export class BackburnerLog extends HTMLElement {
  /** Where the job is; may be set and changed at any time. */
  src: string;
}

/** `<backburner-tray src="/backburner" [open] [inline]>`: the jobs of who looks. */
export class BackburnerTray extends HTMLElement {
  /** Where Backburner is mounted. */
  src: string;
  /** Look for jobs now. */
  look(): Promise<void>;
}

/** `<backburner-global src="/backburner" [tag]>`: jobs that concern everybody. */
export class BackburnerGlobal extends HTMLElement {
  /** Where Backburner is mounted. */
  src: string;
  /** Look for jobs now. */
  look(): Promise<void>;
}

/** `<backburner-submit [src] [task] [wait] [cancel] [log]>` around a form that starts a job. */
export class BackburnerSubmit extends HTMLElement {
  /** The job that was started, as last seen. */
  readonly job: Job | null;
  /** Where Backburner is mounted; needed with `task`. */
  src: string;
}

type Forms = Partial<Record<"zero" | "one" | "two" | "few" | "many" | "other", string>>;

/** Add a language, or say things otherwise in one. The names are those of `languages/en.js`. */
export function translate(lang: string, texts: Record<string, string | Forms>): void;

export interface BackburnerEvents {
  /** It runs. */
  "backburner:start": CustomEvent<{ job: Job }>;
  "backburner:progress": CustomEvent<{ job: Job }>;
  "backburner:message": CustomEvent<{ job: Job; level: string; text: string }>;
  "backburner:state": CustomEvent<{ job: Job; before: JobState }>;
  /** It succeeded. */
  "backburner:complete": CustomEvent<{ job: Job }>;
  /** It failed or was interrupted. */
  "backburner:failed": CustomEvent<{ job: Job }>;
  "backburner:cancelled": CustomEvent<{ job: Job }>;
  "backburner:skipped": CustomEvent<{ job: Job }>;
  /** After any of the four. */
  "backburner:done": CustomEvent<{ job: Job }>;
  /** `preventDefault()` keeps the element. */
  "backburner:dismiss": CustomEvent<{ job: Job }>;
  /** From `<backburner-submit>`: a job was started. Say it yourself, on `window`, for a tray to look at once. */
  "backburner:started": CustomEvent<{ id: string; href: string }>;
  /** There is no such job, or it is no longer kept; `job` is what was last seen of it. */
  "backburner:gone": CustomEvent<{ job: Job | null }>;
  /** The connection is lost, or there again. */
  "backburner:lost": CustomEvent<{ job: Job | null }>;
  "backburner:back": CustomEvent<{ job: Job | null }>;
  /** From `<backburner-wait>` when the job is done; `preventDefault()` keeps the page. `href` is where it leads. */
  "backburner:leave": CustomEvent<{ job: Job; href: string | null }>;
}

declare global {
  interface HTMLElementTagNameMap {
    "backburner-progress": BackburnerProgress;
    "backburner-log": BackburnerLog;
    "backburner-tray": BackburnerTray;
    "backburner-global": BackburnerGlobal;
    "backburner-submit": BackburnerSubmit;
    "backburner-wait": BackburnerWait;
  }
  interface HTMLElementEventMap extends BackburnerEvents {}
}
