// What is remembered of a person: see it, look for something in it, add, correct, forget.

import * as api from "/static/api.js";
import { button, element, written } from "/static/conversation.js";
import { Forgetting } from "/static/memories/forgetting.js";
import { oneAtATime } from "/static/one-at-a-time.js";
import { day, memoriesKept } from "/static/words.js";

const PAGE = 30;

/**
 * Opens the dialog. `kept` is what the server announces, if that is known; `onOpen` gets the id of the conversation that is to be
 * shown; `say` says a word on the page, once the dialog is closed.
 */
export function open(dialog, { kept, onOpen, say: sayOnPage }) {
  const list = dialog.querySelector("ul");
  const more = dialog.querySelector(".more");
  const problem = dialog.querySelector(".problem");
  const outcome = dialog.querySelector(".outcome");
  const searched = dialog.querySelector(".searched");
  const heading = dialog.querySelector("h2");
  const asked = dialog.querySelector(".search input");
  const forgetting = new Forgetting(notForgotten);
  let cursor = null;
  // Answers to what was asked before are not shown.
  let question = 0;
  // Of which question the next page is on its way.
  let coming = null;

  function say(text = "") {
    problem.textContent = text;
    if (text) problem.scrollIntoView({ block: "nearest" });
  }

  function notForgotten(why) {
    if (dialog.open) say(why);
    else sayOnPage(`What you wanted forgotten is still remembered: ${why}`);
  }

  async function attempt(work) {
    say();
    outcome.textContent = "";
    try {
      return await work();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      if (failure.signIn) return location.assign(failure.signIn);
      say(failure.message);
    }
  }

  /** Shows the first page, or the next one. */
  async function load(next = false) {
    const mine = next ? question : (question += 1);
    const q = asked.value.trim();
    // What is found comes at once, without a next page: one more tells whether that is all.
    const page = await api.memories(q ? { q, limit: PAGE + 1 } : { limit: PAGE, ...(next && { cursor }) });
    if (mine !== question) return;
    // One that is being corrected stays, and what is written there; so does the way back of one that was forgotten just now.
    const stays = (shown) => shown.querySelector("form") || forgetting.has(shown.dataset.id);
    if (!next) for (const shown of [...list.children]) if (!stays(shown)) shown.remove();
    const before = list.children.length;
    searched.textContent = page.memories.length > PAGE ? `The ${PAGE} that fit best are shown; there are more.` : "";
    list.append(...page.memories.slice(0, PAGE).filter(({ id }) => !forgetting.has(id) && !isShown(id)).map(row));
    cursor = page.next_cursor;
    more.hidden = !cursor;
    // A hidden button cannot keep the focus.
    if (next) list.children[before]?.querySelector("button")?.focus();
    if (list.children.length === 0) showNone(q);
  }

  const isShown = (wanted) => [...list.children].some(({ dataset: { id } }) => id === wanted);

  /** The next page, unless it is on its way. */
  async function showMore() {
    if (coming === question) return;
    const mine = question;
    coming = mine;
    await attempt(() => load(true));
    if (coming === mine) coming = null;
  }

  function showNone(q) {
    const text = q ? "Nothing I remember fits this." : "I remember nothing of you yet. What you tell me about yourself comes here.";
    list.append(element("li", "none", text));
  }

  function row(memory) {
    const shown = element("li", memory.superseded_at ? "superseded" : "");
    show(shown, memory);
    return shown;
  }

  function show(shown, memory) {
    shown.dataset.id = memory.id;
    const about = element("div");
    about.append(written("p", "words", memory.text), origin(memory));
    const controls = element("div", "row");
    const correcting = button("Correct", "", () => correct(shown, memory));
    const letGo = button("Forget", "", () => forget(shown, memory));
    correcting.setAttribute("aria-label", `Correct: ${memory.text}`);
    letGo.setAttribute("aria-label", `Forget: ${memory.text}`);
    controls.append(correcting, letGo);
    shown.replaceChildren(about, controls);
    return correcting;
  }

  /** Where it came from. */
  function origin({ said_at: saidAt, source, session_id: session, superseded_at: superseded }) {
    const told = element("div", "fine");
    const facts = [`Said on ${day(saidAt)}`];
    if (source) facts.push(`from “${source}”`);
    else if (!session) facts.push("added by you, or its conversation is gone");
    if (superseded) facts.push(`no longer true since ${day(superseded)}`);
    told.append(facts.join(" · "));
    if (session) told.append(" · ", button("Open the conversation", "link", () => leave(session)));
    return told;
  }

  function leave(session) {
    dialog.close();
    onOpen(session);
  }

  function correct(shown, memory) {
    const form = element("form", "correct");
    const text = written("textarea");
    const back = (now) => show(shown, now).focus();
    const put = oneAtATime(() => attempt(async () => back(await api.correctMemory(memory.id, text.value.trim()))));
    text.value = memory.text;
    text.maxLength = 2000;
    text.rows = Math.min(6, 1 + Math.ceil(memory.text.length / 50));
    text.setAttribute("aria-label", "What is right");
    const save = element("button", "strong", "Save");
    const controls = element("div", "row");
    controls.append(save, button("Cancel", "", () => back(memory)));
    form.append(text, controls);
    form.onsubmit = (event) => {
      event.preventDefault();
      if (text.value.trim() === "") return text.focus();
      put();
    };
    text.onkeydown = (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      // The dialog stays open.
      event.preventDefault();
      back(memory);
    };
    shown.replaceChildren(form);
    text.focus();
  }

  function forget(shown, memory) {
    say();
    const back = () => show(shown, memory);
    const undo = forgetting.begin(memory.id, { undone: () => back().focus(), failed: back, done: () => gone(shown) });
    const about = element("div", "", "Forgotten.");
    about.setAttribute("role", "status");
    shown.replaceChildren(about, undo);
    undo.focus();
  }

  function gone(shown) {
    const focused = shown.contains(document.activeElement);
    const next = shown.nextElementSibling ?? shown.previousElementSibling;
    shown.remove();
    if (list.children.length === 0 && !cursor) showNone(asked.value.trim());
    if (focused) (next?.querySelector("button") ?? heading).focus();
  }

  const add = dialog.querySelector(".add");
  const added = add.querySelector("textarea");
  const put = oneAtATime(() => attempt(async () => {
    await api.addMemory(added.value.trim());
    added.value = "";
    asked.value = "";
    await load();
    outcome.textContent = "I will remember it.";
    outcome.scrollIntoView({ block: "nearest" });
  }));
  add.onsubmit = (event) => {
    event.preventDefault();
    if (added.value.trim() === "") return added.focus();
    put();
  };

  const all = dialog.querySelector(".erase");
  const sure = all.querySelector("input");
  const really = all.querySelector("button");
  const isSure = () => sure.value.trim().toLowerCase() === "forget";
  sure.oninput = () => {
    really.disabled = !isSure();
  };
  all.onsubmit = (event) => {
    event.preventDefault();
    if (!isSure()) return;
    really.disabled = true;
    attempt(async () => {
      forgetting.drop();
      await api.forgetMemories();
      list.replaceChildren();
      sure.value = "";
      asked.value = "";
      await load();
      outcome.textContent = "Everything is forgotten.";
      heading.focus();
    });
  };

  dialog.querySelector(".search").onsubmit = (event) => {
    event.preventDefault();
    attempt(load);
  };
  // Emptied by its cross, it shows everything again.
  asked.onsearch = () => {
    if (asked.value === "") attempt(load);
  };
  more.onclick = () => showMore();
  dialog.onclose = () => forgetting.finish();

  list.replaceChildren();
  searched.textContent = "";
  more.hidden = true;
  asked.value = "";
  sure.value = "";
  really.disabled = true;
  outcome.textContent = "";
  dialog.showModal();
  heading.focus();
  return attempt(async () => {
    dialog.querySelector(".kept").textContent = memoriesKept(kept ?? (await api.me()));
    await load();
  });
}
