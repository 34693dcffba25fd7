// The list of a person's conversations: open, find by title, rename, pin, delete.

import * as api from "/static/api.js";
import { button, element, icon, written } from "/static/conversation.js";
import { deleteSoon, isGoing, undo } from "/static/deletions.js";
import { oneAtATime } from "/static/one-at-a-time.js";
import { day, folded, keptUntil } from "/static/words.js";

// The first page is there soon, the others bring as much as the server gives.
const FIRST_PAGE = 30;
const PAGE = 100;
// More are not searched, and the list says so.
const MOST_SEARCHED = 2000;
const DAY_MS = 86_400_000;
const MOST_QUOTED = 60;

let list = null;

/**
 * Opens the list. The host's `onOpen` gets the id of the one chosen, `onChanged` one that was renamed or pinned; `onCurrentDeleted`
 * hears that the one shown (`current`) goes; `onFind` and `onKeys` open what they are called after; `say` says a word on the page, in
 * its `notice`, where what is `lasting` stays; `kept` is what the server announces, if that is known.
 */
export function open(dialog, host) {
  list ??= new List(dialog);
  list.open(host);
}

/** Under which heading a conversation stands, on this day. */
export function groupOf({ pinned, last_active_at: active }, now = new Date()) {
  if (pinned) return "Pinned";
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const at = new Date(active).getTime();
  if (at >= midnight) return "Today";
  if (at >= midnight - DAY_MS) return "Yesterday";
  if (at >= midnight - 7 * DAY_MS) return "The last seven days";
  return "Earlier";
}

const titleOf = ({ title, created_at: begun }) => title || `Conversation of ${day(begun)}`;

/** The title in a sentence; of a long one its beginning. */
function quoted(session) {
  const letters = [...titleOf(session)];
  return letters.length > MOST_QUOTED ? `“${letters.slice(0, MOST_QUOTED).join("")}…”` : `“${letters.join("")}”`;
}

function act(label, name, drawn, session, onClick) {
  const made = button("", name, onClick);
  made.append(icon(drawn));
  made.setAttribute("aria-label", `${label}: ${titleOf(session)}`);
  made.title = label;
  return made;
}

class List {
  #dialog;
  #host;
  // Answers to what was asked before it was opened anew are not shown.
  #opened = 0;
  #sessions = [];
  #cursor;
  #isWhole = false;
  // What is looked for, and the pages that are fetched for it.
  #words = "";
  #gathering = null;
  // The page that is on its way.
  #coming = null;
  // By id the rows in which something is asked or written.
  #questions = new Map();
  // By id what the page tells of those that are going, whatever else it says.
  #told = new Map();

  constructor(dialog) {
    this.#dialog = dialog;
  }

  open(host) {
    this.#host = host;
    this.#opened += 1;
    this.#sessions = [];
    this.#cursor = undefined;
    this.#coming = null;
    this.#isWhole = false;
    this.#words = "";
    this.#questions.clear();
    const search = this.#part("input[type=search]");
    search.value = "";
    search.oninput = () => this.#search(search.value);
    this.#part(".groups").replaceChildren();
    this.#part(".searched").textContent = "";
    this.#part(".more").hidden = true;
    this.#part(".more").onclick = () => this.#attempt(() => this.#goOn());
    this.#part(".find").onclick = () => this.#leave(this.#host.onFind);
    this.#part(".keys-open").onclick = () => this.#leave(this.#host.onKeys);
    this.#dialog.showModal();
    this.#part("h2").focus();
    return this.#attempt(() => this.#more(FIRST_PAGE));
  }

  #part(selector) {
    return this.#dialog.querySelector(selector);
  }

  #leave(forWhat) {
    this.#dialog.close();
    forWhat();
  }

  async #attempt(work) {
    this.#part(".problem").textContent = "";
    try {
      await work();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      if (failure.signIn) return location.assign(failure.signIn);
      this.#part(".problem").textContent = failure.message;
      this.#part(".problem").scrollIntoView({ block: "nearest" });
    }
  }

  /** Fetches so many more, unless some are on their way: then it is those. False when they came too late. */
  #more(limit) {
    if (this.#coming) return this.#coming;
    const coming = this.#fetch(limit).finally(() => {
      if (this.#coming === coming) this.#coming = null;
    });
    this.#coming = coming;
    return coming;
  }

  async #fetch(limit) {
    const opened = this.#opened;
    const page = await api.sessions(this.#cursor ? { limit, cursor: this.#cursor } : { limit });
    if (opened !== this.#opened) return false;
    this.#sessions.push(...page.sessions);
    this.#cursor = page.next_cursor;
    this.#isWhole = !this.#cursor;
    this.#show();
    return true;
  }

  /** The next page; the first one on it has the focus: a hidden button cannot keep it. */
  async #goOn() {
    const before = this.#sessions.length;
    if ((await this.#more(PAGE)) && this.#sessions[before]) this.#rowOf(this.#sessions[before])?.querySelector("button").focus();
  }

  // Searching

  #search(words) {
    this.#words = folded(words.trim());
    this.#show();
    if (this.#words) this.#gathering ??= this.#attempt(() => this.#gather()).finally(() => (this.#gathering = null));
  }

  async #gather() {
    while (!this.#isWhole && this.#words && this.#sessions.length < MOST_SEARCHED) await this.#more(PAGE);
  }

  #searched(found) {
    if (!this.#words) return "";
    const all = `${this.#sessions.length} ${this.#sessions.length === 1 ? "title" : "titles"}`;
    const more = this.#sessions.length < MOST_SEARCHED ? " so far" : ", the latest";
    return `${found} found in ${all}${this.#isWhole ? "" : more}.`;
  }

  // Showing

  #show() {
    const focusAgain = this.#focused();
    const found = this.#sessions.filter((session) => folded(titleOf(session)).includes(this.#words));
    const groups = new Map();
    for (const session of found) {
      const name = groupOf(session);
      if (!groups.has(name)) groups.set(name, element("ul"));
      groups.get(name).append(this.#row(session));
    }
    // Pinned ones first; the others come in their order.
    const names = [...groups.keys()].sort((a, b) => (b === "Pinned") - (a === "Pinned"));
    this.#part(".groups").replaceChildren(...names.flatMap((name) => [element("h3", "", name), groups.get(name)]));
    focusAgain();
    if (this.#sessions.length === 0) this.#part(".groups").append(element("p", "fine", "There are none."));
    this.#part(".searched").textContent = this.#searched(found.length);
    this.#part(".more").hidden = this.#isWhole || this.#words !== "";
  }

  /** What has the focus in a row; returns what gives it back when the rows have been made anew, or moved. */
  #focused() {
    const focused = document.activeElement;
    const row = focused.closest(".conversation");
    if (!row) return () => {};
    const ids = [row, row.nextElementSibling, row.previousElementSibling].filter(Boolean).map(({ dataset }) => dataset.id);
    const [name] = focused.classList;
    return () => {
      const rows = ids.map((id) => this.#rowOf({ id })).filter(Boolean);
      const same = name && rows[0]?.querySelector(`.${name}`);
      const again = focused.isConnected ? focused : same || rows[0]?.querySelector("button") || this.#part("h2");
      again.focus({ preventScroll: true });
    };
  }

  /** Shows one anew, with no question in it any more, and puts the focus on what `selector` names in it. */
  #refresh(session, selector) {
    this.#questions.delete(session.id);
    this.#show();
    this.#rowOf(session)?.querySelector(selector)?.focus();
  }

  #rowOf({ id }) {
    return this.#part(`[data-id="${id}"]`);
  }

  /** Puts a question into the row of one. There it stays, whatever else is shown anew, until it is answered. */
  #question(session, ...parts) {
    const row = this.#rowOf(session);
    row.replaceChildren(...parts);
    this.#questions.set(session.id, row);
  }

  #row(session) {
    const asked = this.#questions.get(session.id);
    if (asked) return asked;
    const shown = element("li", "conversation");
    shown.dataset.id = session.id;
    shown.classList.toggle("current", session.id === this.#host.current);
    if (isGoing(session.id)) shown.append(...this.#going(session));
    else shown.append(this.#opening(session), this.#acts(session));
    return shown;
  }

  #opening(session) {
    const opening = button("", "open", () => this.#leave(() => this.#host.onOpen(session.id)));
    opening.append(element("span", "unseen", "Open: "), written("span", "title", titleOf(session)), element("span", "fine", this.#details(session)));
    return opening;
  }

  #details(session) {
    const facts = session.id === this.#host.current ? ["Open now"] : [];
    // Of the others the heading says it.
    if (["Pinned", "Earlier"].includes(groupOf(session))) facts.push(`last active ${day(session.last_active_at)}`);
    if (session.remembered === false) facts.push("not remembered");
    if (!session.checkpoints) facts.push("nothing said yet");
    facts.push(keptUntil(session, this.#host.kept?.retention.person_days));
    return facts.filter(Boolean).join(" · ");
  }

  #acts(session) {
    const acts = element("div", "acts");
    const pin = act(session.pinned ? "Unpin" : "Pin", "pin", "pin", session, () => this.#change(session, { pinned: !session.pinned }, ".pin"));
    pin.setAttribute("aria-pressed", String(session.pinned));
    acts.append(
      pin,
      act("Rename", "rename", "rename", session, () => this.#rename(session)),
      act("Delete", "delete", "delete", session, () => this.#ask(session)),
    );
    return acts;
  }

  // Changing

  #change(session, change, selector) {
    return this.#attempt(async () => {
      Object.assign(session, await api.changeSession(session.id, change));
      this.#host.onChanged(session);
      this.#refresh(session, selector);
    });
  }

  #rename(session) {
    const form = element("form");
    const label = element("label", "fine", "A title of your own");
    const input = written("input");
    const keep = element("button", "strong", "Rename");
    input.value = session.title ?? "";
    input.maxLength = 200;
    input.required = true;
    label.append(input);
    const controls = element("div", "row");
    const back = () => this.#refresh(session, ".rename");
    const give = oneAtATime(() => this.#change(session, { title: input.value.trim() }, ".rename"));
    controls.append(keep, button("Cancel", "", back));
    form.append(label, controls);
    form.onsubmit = (event) => {
      event.preventDefault();
      if (input.value.trim()) give();
    };
    form.onkeydown = (event) => this.#onEscape(event, back);
    this.#question(session, form);
    input.select();
  }

  /** Escape leaves the question, not the list. */
  #onEscape(event, back) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    back();
  }

  // Deleting

  #ask(session) {
    const asked = element("div", "asked");
    const forgets = element("input");
    forgets.type = "checkbox";
    forgets.checked = true;
    const label = element("label");
    label.append(forgets, "Forget what I learned from it, too");
    const controls = element("div", "row");
    const back = () => this.#refresh(session, ".delete");
    const keep = button("Keep", "", back);
    controls.append(button("Delete", "danger", () => this.#delete(session, !forgets.checked)), keep);
    asked.append(element("p", "", "Delete this one?"), label, controls);
    asked.onkeydown = (event) => this.#onEscape(event, back);
    this.#question(session, this.#opening(session), asked);
    keep.focus();
  }

  #delete(session, keepMemories) {
    const undoing = button("Undo", "", () => this.#undo(session, () => this.#host.onOpen(session.id)));
    this.#questions.delete(session.id);
    deleteSoon(session, keepMemories, (failure) => this.#ended(session, failure));
    if (session.id === this.#host.current) {
      this.#dialog.close();
      this.#host.onCurrentDeleted();
      this.#host.current = null;
    } else {
      this.#refresh(session, ".undo");
    }
    const told = element("p", "lasting", `${quoted(session)} is deleted.`);
    told.append(undoing);
    this.#told.set(session.id, told);
    this.#host.notice.append(told);
  }

  #going(session) {
    const told = element("div", "asked row");
    told.append(element("p", "fine", `${quoted(session)} is deleted.`), button("Undo", "undo", () => this.#undo(session, () => this.#refresh(session, ".open"))));
    return [told];
  }

  #undo(session, then) {
    this.#told.get(session.id)?.remove();
    if (undo(session.id)) return then();
    const late = `It was too late: ${quoted(session)} is deleted.`;
    if (this.#dialog.open) this.#part(".problem").textContent = late;
    else this.#host.say(late);
  }

  #ended(session, failure) {
    this.#told.get(session.id)?.remove();
    if (failure) this.#host.say(`${quoted(session)} could not be deleted: ${failure.message}`);
    else this.#sessions = this.#sessions.filter(({ id }) => id !== session.id);
    if (this.#dialog.open) this.#show();
  }
}
