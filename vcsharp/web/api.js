// The daemon, as this page knows it: questions, changes, and the newest state that is true.

const TIMEOUT_MS = 10_000;
export const PROMPT_MS = 5000; // for what is asked all the time
const NO_ANSWER = "vcsharp does not answer. Is it still running?";
const STRANGER = "This page's key is not valid any more. Open the page again with: vcsharp ui";

/** Nobody answers. */
export class Silent extends Error {}

/** The key in this page's cookie is not that of the daemon. */
export class Stranger extends Error {}

/** The reply to a question; errors carry a sentence for people. */
export async function ask(method, path, wish, timeoutMs = TIMEOUT_MS) {
  const options = { method, cache: "no-store", signal: AbortSignal.timeout(timeoutMs) };
  // Also without a body: a page of somebody else's could not send this without asking first.
  if (method !== "GET") options.headers = { "Content-Type": "application/json" };
  if (wish) options.body = JSON.stringify(wish);
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Silent(NO_ANSWER);
  }
  if (reply.status === 401) throw new Stranger(STRANGER);
  if (!reply.ok) throw new Error(await reason(reply));
  return reply;
}

async function reason(reply) {
  try {
    const { detail } = await reply.json();
    if (typeof detail === "string") return detail;
  } catch {
    // Not JSON: the number has to do.
  }
  return `vcsharp answers with status ${reply.status}`;
}

/** Keeps the state, and tells everybody who wants to know. */
export class Daemon {
  state = null;
  trouble = ""; // why there is no answer; empty while there is one
  stranger = false;
  #turn = 0; // counts changes: an answer from before a change must not undo it on the page
  #open = 0;
  #onState = [];
  #onLink = [];

  whenState(listener) {
    this.#onState.push(listener);
  }

  /** `listener` is told whenever the connection breaks, returns or is refused. */
  whenLink(listener) {
    this.#onLink.push(listener);
  }

  async poll() {
    const turn = this.#turn;
    try {
      const state = await (await ask("GET", "api/state", undefined, PROMPT_MS)).json();
      this.#linked();
      if (turn === this.#turn && this.#open === 0) this.#take(state);
    } catch (error) {
      this.broken(error);
    }
  }

  /** Asks for a change; the state that comes back is shown. Throws what the user should read. */
  async steer(method, path, wish) {
    this.#open += 1;
    let state;
    try {
      state = await (await ask(method, path, wish)).json();
    } finally {
      this.#open -= 1;
      this.#turn += 1;
    }
    if (this.#open === 0) this.#take(state);
  }

  change(wish) {
    return this.steer("PATCH", "api/options", wish);
  }

  /** Shows again what was true last. */
  repeat() {
    if (this.state) this.#take(this.state, false);
  }

  broken(error) {
    const words = error.message;
    if (words === this.trouble) return;
    this.trouble = words;
    this.stranger = error instanceof Stranger;
    this.#onLink.forEach((listener) => listener(words));
  }

  #linked() {
    if (this.trouble === "" && this.state) return;
    this.trouble = "";
    this.stranger = false;
    this.#onLink.forEach((listener) => listener(""));
  }

  #take(state, fresh = true) {
    this.state = state;
    this.#onState.forEach((listener) => listener(state, fresh));
  }
}
