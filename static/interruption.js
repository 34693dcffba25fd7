// Bridges what interrupts a conversation: keeps which one it is, and what was written or begun and has not been answered, over a reload
// too; and tells when a server that could not be reached is there again.

const KEPT = "companion.draft";
// What each open tab keeps, under a name of its own.
const TABS = "companion.draft.";
const SESSION = "companion.session";
const ATTEMPT = "companion.attempt";
const LEFT = "companion.left";
const DELETED = "companion.deleted";
const OWED = "companion.owed";
// A tab that has slept while more were deleted keeps what was sent in the first ones.
const MOST_DELETED = 20;
// More than anybody deletes and leaves at once; beyond it the oldest are not asked about.
const MOST_OWED = 20;
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

/** The names under which tabs keep what is written, those that are closed too. */
function tabs() {
  try {
    return Object.keys(localStorage).filter((name) => name.startsWith(TABS));
  } catch {
    return [];
  }
}

/** Whoever was here is not any more. The browser's other tabs hear it, also those that sleep: what they hold was that person's. */
export function leave() {
  for (const name of tabs()) keep(name, null);
  remember(null);
  rememberAttempt(null);
  keep(DELETED, null);
  keep(OWED, null);
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

/**
 * This conversation is deleted: the browser's tabs hear it, those that sleep when they are opened again. Its id is kept for them. What
 * was sent in it is kept for no tab any more.
 */
export function deleted(id) {
  for (const name of tabs()) {
    const { turns, ...others } = JSON.parse(kept(name));
    keep(name, JSON.stringify({ ...others, turns: turns.filter((turn) => turn.session !== id) }));
  }
  keep(DELETED, [id, ...deletedOnes()].slice(0, MOST_DELETED).join(" "));
  onDeleted(id);
}

/** Does this with the id of one that is deleted, here or in another tab. */
export function whenDeleted(act) {
  onDeleted = act;
  addEventListener("storage", ({ key, newValue }) => key === DELETED && newValue && act(newValue.split(" ")[0]));
}

/** The addresses of what is to be deleted and may not be yet. */
export const owed = () => kept(OWED)?.split(" ") ?? [];

const owedBut = (path) => owed().filter((other) => other !== path);

export const owe = (path) => keep(OWED, [path, ...owedBut(path)].slice(0, MOST_OWED).join(" "));

export const settled = (path) => keep(OWED, owedBut(path).join(" "));

/** What a tab has kept; whoever has it now keeps it. */
function taken(tab) {
  const all = JSON.parse(kept(tab)) ?? {};
  keep(tab, null);
  return all;
}

/** Holds this name for as long as the page is open; false where that cannot be. */
const isHeld = (name) =>
  new Promise((resolve) => {
    const hold = () => {
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(name, hold).catch(() => resolve(false));
  });

/**
 * What is written and what was sent without an answer, as `{ text, turns }`, a turn being `{ session, id, text }`, and `isSpoken` instead
 * of a text where its sound was sent. It is this tab's alone as long as that is open, and gone when whoever wrote it has left; what was
 * sent goes with its conversation. Once it is known who is here it outlives the tab, where the browser tells whether one is still open
 * (over TLS, and on the machine itself). Storage may be forbidden; then it lasts as long as the page.
 */
export class Draft {
  #now = { text: "", turns: [] };
  // Those that are being answered, by id.
  #underWay = new Set();
  // Where it is kept beyond the tab; and for whom.
  #tab = null;
  #by;
  #outliving;
  /** Hears whenever something has changed. */
  onChange = () => {};
  /** Who wrote it, where it waits for them to come back. */
  whose;

  constructor() {
    try {
      const { tab, ...here } = JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
      const { left = null, whose, text = "", turns = [] } = tab ? taken(tab) : here;
      if (left !== kept(LEFT)) return sessionStorage.removeItem(KEPT);
      this.#now = { text, turns };
      this.whose = whose;
      this.#dropDeleted();
    } catch {}
  }

  /**
   * From now on it is kept beyond the tab, for whoever is here: the one who was first seen at `by`. Takes over what tabs of theirs have
   * kept that are closed: a text only where none is written, otherwise it waits for another tab.
   */
  outlive(by) {
    this.#by = by;
    return (this.#outliving ??= this.#begin(`${TABS}${Math.random()}`));
  }

  async #begin(name) {
    if (!navigator.locks || !(await isHeld(name))) return;
    this.#tab = name;
    for (const other of tabs()) {
      if (other !== name) await navigator.locks.request(other, { ifAvailable: true }, (lock) => lock && this.#takeOver(other));
    }
    this.keep();
  }

  #takeOver(name) {
    const { left = null, by, text, turns } = JSON.parse(kept(name)) ?? {};
    if (text && this.text) return;
    keep(name, null);
    if (left !== kept(LEFT) || by !== this.#by) return;
    this.#now.text ||= text;
    this.#now.turns = [...turns, ...this.#now.turns].slice(-MOST_TURNS);
    this.#dropDeleted();
  }

  #dropDeleted() {
    for (const id of deletedOnes()) this.drop(id);
    this.keep();
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
    const all = (text || turns.length) && JSON.stringify({ text, turns, left: kept(LEFT), by: this.#by, whose });
    const isBeyond = this.#tab && !whose;
    if (this.#tab) keep(this.#tab, isBeyond ? all : null);
    try {
      if (!all) sessionStorage.removeItem(KEPT);
      else sessionStorage.setItem(KEPT, isBeyond && kept(this.#tab) === all ? JSON.stringify({ tab: this.#tab }) : all);
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
