// <backburner-submit [src] [task] [wait] [cancel] [log]> around a form that starts a job: it is sent once however often
// it is clicked, and the bar takes its place. Without scripts it is an ordinary form.

import { ask, below, parse } from "./follow.js";
import { Component, make, say, under } from "./parts.js";
import { ours } from "./wait.js";

const PASSED_ON = ["cancel", "log", "lang"];

/** A new random text. Not `randomUUID`, which pages that are not secure do not have. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The fields of a form as arguments of a task: numbers and ticks as what they are. */
function argumentsOf(form) {
  const found = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
    if (field.type === "checkbox") found[field.name] = field.checked;
    else if (!["submit", "button", "file"].includes(field.type) && (field.value || field.required)) {
      found[field.name] = ["number", "range"].includes(field.type) ? field.valueAsNumber : field.value;
    }
  }
  return found;
}

export class BackburnerSubmit extends Component {
  static observedAttributes = ["lang"];

  #key = ""; #sent = ""; #busy = false; #trouble = null; #bar = null;

  /** The job that was started, or null. */
  get job() { return this.#bar?.job ?? null; }

  connectedCallback() {
    super.connectedCallback();
    this.addEventListener("submit", (event) => this.#submit(event));
    this.addEventListener("backburner:dismiss", () => this.#reset());
  }

  attributeChangedCallback() { if (this.#bar) this.pass(this.#bar, PASSED_ON); }

  render() {}

  async #submit(event) {
    const form = event.target, { submitter } = event;
    // Without the attribute `formAction` is the address of the page.
    const action = submitter?.hasAttribute("formaction") ? submitter.formAction : form.action;
    if (event.defaultPrevented || new URL(action).origin !== location.origin) return;
    event.preventDefault();
    if (this.#busy) return;
    const fields = new FormData(form, submitter), sent = JSON.stringify([...fields].map(([name, value]) => [name, value.name ?? value]));
    // The same again, because the answer was lost, has the same key.
    if (sent !== this.#sent) this.#key = newKey();
    this.#sent = sent;
    this.#busy = true;
    this.#say(this.words()?.say("sending") ?? "", "status");
    try {
      await this.#answer(await this.#send(form, fields, action), form);
    } catch {
      this.#say(this.words()?.say("unreached") ?? "", "alert");
    }
    this.#busy = false;
  }

  #send(form, fields, action) {
    const headers = { "Idempotency-Key": this.#key }, wait = this.getAttribute("wait"), task = this.getAttribute("task");
    if (wait) headers.Prefer = `wait=${wait}`;
    if (task) {
      headers["Content-Type"] = "application/json";
      const body = JSON.stringify({ task, arguments: argumentsOf(form) });
      return ask(under(this.src, "/jobs"), { method: "POST", headers, body });
    }
    if (form.method !== "post") throw new TypeError("backburner-submit: the form has to be sent by POST");
    const plain = form.enctype !== "multipart/form-data";
    return ask(action, { method: "POST", headers, body: plain ? new URLSearchParams([...fields]) : fields });
  }

  async #answer(response, form) {
    const found = response.headers.get("Location") || response.url.replace(/\/wait(?=$|\?)/, "");
    const job = /\/jobs\/[0-9a-f-]{36}(\?|$)/.test(found) ? found : null;
    if (response.ok && job) return this.#follow(job, form);
    this.#sent = "";
    // Done in time, and the app has sent on to where that leads.
    if (response.ok && response.redirected && ours(response.url)) return location.assign(response.url);
    const problem = await response.json().catch(() => null);
    if (response.ok && !problem) return HTMLFormElement.prototype.submit.call(form);
    const faults = (problem?.errors || []).map((fault) => `${fault.pointer?.replace(/^#\/(arguments\/)?/, "")} ${fault.detail}`);
    this.#say(faults.join(". ") || problem?.detail || problem?.title || this.words()?.say("refused", { n: response.status }), "alert");
  }

  #follow(job, form) {
    const focused = this.contains(document.activeElement), bar = this.#bar = make("backburner-progress");
    bar.src = new URL(job, document.baseURI).href;
    bar.setAttribute("dismiss", "");
    this.pass(bar, PASSED_ON);
    this.#say("");
    form.hidden = true;
    this.append(bar);
    bar.tabIndex = -1;
    if (focused) bar.focus({ preventScroll: true });
    this.#sent = "";
    this.tell("started", { id: parse(job).id, href: below(job, "") });
  }

  /** The form again, for the next one. */
  #reset() {
    this.#bar = null;
    const form = this.querySelector("form");
    form.hidden = false;
    form.querySelector("button, [type=submit]")?.focus({ preventScroll: true });
  }

  #say(text, role = "status") {
    this.#trouble ??= this.appendChild(make("p", "bb-sent"));
    this.#trouble.setAttribute("role", role);
    this.#trouble.classList.toggle("bb-trouble", role === "alert");
    this.#trouble.hidden = !text;
    say(this.#trouble, text);
  }
}
