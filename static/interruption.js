// Bridges what interrupts a conversation: keeps which one it is, and what was written or begun and has not been answered, over a reload
// too; and tells when a server that could not be reached is there again.

const KEPT = "companion.draft";
const SESSION = "companion.session";
const ATTEMPT = "companion.attempt";
const LEFT = "companion.left";
const DELETED = "companion.deleted";
// A tab that has slept while more were deleted keeps what was sent in the first ones.
const MOST_DELETED = 20;
// More than anybody writes before looking up; beyond it the oldest are only on the page.
const MOST_TURNS = 20;
const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15_000];

function keep(name, value) {
  try {
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch {}
}

function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/**
 * Keeps the id of the conversation that is shown, never what was said; for null forgets it. Storage may be forbidden; then a reload
 * begins a new conversation, and the old one is in the list.
 */
export const remember = (id) => keep(SESSION, id);

export const remembered = () => kept(SESSION);

/** Keeps the secret of an attempt to replace the person's token; for null forgets it: it was answered, or one is somebody else. */
export const rememberAttempt = (secret) => keep(ATTEMPT, secret);

export const attempted = () => kept(ATTEMPT);

/** Whoever was here is not any more. The browser's other tabs hear it, also those that sleep: what they hold was that person's. */
export function leave() {
  remember(null);
  rememberAttempt(null);
  keep(DELETED, null);
  keep(LEFT, String(Math.random()));
}

/** Does this when that has happened in another tab. */
export function whenLeft(act) {
  const before = kept(LEFT);
  addEventListener("storage", ({ key }) => key === LEFT && act());
  // A page that was kept aside has heard nothing, and is gone back to.
  addEventListener("pageshow", ({ persisted }) => persisted && kept(LEFT) !== before && act());
}

const deletedOnes = () => kept(DELETED)?.split(" ") ?? [];

let onDeleted = () => {};

/** This conversation is deleted: the browser's tabs hear it, those that sleep when they are opened again. Its id is kept for them. */
export function deleted(id) {
  keep(DELETED, [id, ...deletedOnes()].slice(0, MOST_DELETED).join(" "));
  onDeleted(id);
}

/** Does this with the id of one that is deleted, here or in another tab. */
export function whenDeleted(act) {
  onDeleted = act;
  addEventListener("storage", ({ key, newValue }) => key === DELETED && newValue && act(newValue.split(" ")[0]));
}

/**
 * What is written and what was sent without an answer, as `{ text, turns }`, a turn being `{ session, id, text }`, and `isSpoken` instead
 * of a text where its sound was sent. It is kept for this tab alone and gone with it, or when whoever wrote it has left; what was sent
 * goes with its conversation. Storage may be forbidden; then it lasts as long as the page.
 */
export class Draft {
  #now = { text: "", turns: [] };
  // Those that are being answered, by id.
  #underWay = new Set();
  /** Hears whenever something has changed. */
  onChange = () => {};
  /** Who wrote it, where it waits for them to come back. */
  whose;

  constructor() {
    try {
      const { left = null, whose, ...before } = JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
      if (left !== kept(LEFT)) return sessionStorage.removeItem(KEPT);
      this.#now = { ...this.#now, ...before };
      this.whose = whose;
      for (const id of deletedOnes()) this.drop(id);
    } catch {}
  }

  get text() {
    return this.#now.text;
  }

  set text(text) {
    this.#now.text = text;
    this.keep();
  }

  /** It is on its way. */
  add(turn) {
    const others = this.#now.turns.filter(({ id }) => id !== turn.id);
    this.#now.turns = [...others, turn].slice(-MOST_TURNS);
    this.#underWay.add(turn.id);
    this.keep();
  }

  /** It is not on its way any more, and waits. */
  failed({ id }) {
    this.#underWay.delete(id);
    this.onChange();
  }

  /** Another conversation than this, in which something written waits. */
  elsewhere(session) {
    return this.#now.turns.findLast((turn) => turn.session !== session && turn.text && !this.#underWay.has(turn.id))?.session;
  }

  /** It has arrived, or is not to. */
  remove({ id }) {
    this.#now.turns = this.#now.turns.filter((turn) => turn.id !== id);
    this.keep();
  }

  /** What was sent in this conversation and may not have arrived, in order. */
  of(session) {
    return this.#now.turns.filter((turn) => turn.session === session);
  }

  /** The conversation is deleted, and what was sent in it with it. */
  drop(session) {
    this.#now.turns = this.#now.turns.filter((turn) => turn.session !== session);
    this.keep();
  }

  /** The conversation is gone: what was sent in it is to be written again. */
  takeBack(session) {
    const lost = this.of(session).map(({ text }) => text);
    this.drop(session);
    this.text = [...lost, this.text].filter(Boolean).join("\n");
  }

  forget() {
    this.#now = { text: "", turns: [] };
    this.keep();
  }

  /** Keeps it for whoever is here; where nobody is, until whoever is `whose` comes back. */
  keep(whose) {
    const { text, turns } = this.#now;
    try {
      if (text || turns.length) sessionStorage.setItem(KEPT, JSON.stringify({ ...this.#now, left: kept(LEFT), whose }));
      else sessionStorage.removeItem(KEPT);
    } catch {}
    this.onChange();
  }
}

/** Whether the server can be reached. A device that says it is offline may still reach a server on itself, so that is asked. */
export class Reach {
  #answers;
  #onChange;
  #isLost = false;
  #timer;
  #tries = 0;
  #waiting = [];

  /** `answers` tries to reach the server and tells whether it could; `onChange` hears that it cannot any more, and can again. */
  constructor(answers, onChange) {
    this.#answers = answers;
    this.#onChange = onChange;
    addEventListener("offline", () => this.look());
    addEventListener("online", () => this.#isLost && this.#lookNow());
    document.addEventListener("visibilitychange", () => {
      if (this.#isLost && document.visibilityState === "visible") this.#lookNow();
    });
  }

  get isLost() {
    return this.#isLost;
  }

  /** It could not be reached just now. */
  lost() {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#tries = 0;
    this.#onChange(true);
    this.#lookLater();
  }

  /** Does this once it can be reached, one after the other. */
  whenBack(act) {
    this.#waiting.push(act);
  }

  #lookLater() {
    const pause = PAUSES_MS[Math.min(this.#tries, PAUSES_MS.length - 1)];
    this.#tries += 1;
    clearTimeout(this.#timer);
    // Nobody waits for a page out of sight; it looks when it is seen again.
    this.#timer = setTimeout(() => document.visibilityState === "visible" && this.look(), pause);
  }

  #lookNow() {
    this.#tries = 0;
    return this.look();
  }

  /** Looks now whether it can. */
  async look() {
    clearTimeout(this.#timer);
    const reached = await this.#answers();
    if (!reached) return this.#isLost ? this.#lookLater() : this.lost();
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#onChange(false);
    for (const act of this.#waiting.splice(0)) {
      // What fails once more waits for the next time.
      await act();
    }
  }
}
