/** `<backburner-progress src=".../jobs/ID" [cancel] [log] [dismiss]>`, `<backburner-wait>`, and what they say. */

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
  actions: ("cancel" | "retry" | "delete")[];
  href: string;
}

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

export interface BackburnerEvents {
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
  "backburner:dismiss": CustomEvent<{ job: Job }>;
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
    "backburner-wait": BackburnerWait;
  }
  interface HTMLElementEventMap extends BackburnerEvents {}
}
