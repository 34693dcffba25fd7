// Forgets a memory a little later than asked, so that it can be undone: the server is asked when nobody has, and at once when
// the page goes or is put aside: a phone does not tell the page that it is closed. Of what cannot be forgotten then the next page asks.

import * as api from "/static/api.js";
import { button } from "/static/conversation.js";
import { remove } from "/static/owed.js";

const UNDO_MS = 10_000;

export class Forgetting {
  #waiting = new Map();
  #onFailed;
  #leaving = () => this.#endAll();
  #aside = () => document.visibilityState === "hidden" && this.#endAll();

  /** `onFailed` is told why one could not be forgotten. */
  constructor(onFailed) {
    this.#onFailed = onFailed;
    window.addEventListener("pagehide", this.#leaving);
    document.addEventListener("visibilitychange", this.#aside);
  }

  /** Whether this one is as good as forgotten. */
  has(id) {
    return this.#waiting.has(id);
  }

  /** Begins; returns the button that takes it back. */
  begin(id, on) {
    const undo = button("Undo", "", () => {
      this.#take(id);
      on.undone();
    });
    this.#waiting.set(id, { on, undo, timer: setTimeout(() => this.#end(id), UNDO_MS) });
    return undo;
  }

  /** Nobody can take anything back any more. */
  finish() {
    window.removeEventListener("pagehide", this.#leaving);
    document.removeEventListener("visibilitychange", this.#aside);
    this.#endAll();
  }

  /** They go with all others. */
  drop() {
    for (const id of [...this.#waiting.keys()]) this.#take(id);
  }

  #take(id) {
    const waiting = this.#waiting.get(id);
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    return waiting;
  }

  #endAll() {
    for (const id of [...this.#waiting.keys()]) this.#end(id);
  }

  async #end(id) {
    const { on, undo } = this.#take(id);
    undo.hidden = true;
    try {
      await remove(api.memoryAt(id));
      on.done();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      on.failed();
      this.#onFailed(failure.message);
    }
  }
}
