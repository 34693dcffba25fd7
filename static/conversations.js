// The list of a person's conversations: open one, delete one.

import * as api from "/static/api.js";
import { button, element } from "/static/conversation.js";
import { day } from "/static/words.js";

const PAGE = 30;

/** Opens the list. `onOpen` gets the id of the one chosen; `onCurrentDeleted` hears that the one shown is gone. */
export function open(dialog, { current, onOpen, onCurrentDeleted }) {
  const list = dialog.querySelector("ul");
  const more = dialog.querySelector(".more");
  const problem = dialog.querySelector(".problem");
  const heading = dialog.querySelector("h2");
  let cursor;

  async function attempt(work) {
    problem.textContent = "";
    try {
      await work();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      problem.textContent = failure.message;
    }
  }

  async function load() {
    const page = await api.sessions(cursor ? { limit: PAGE, cursor } : { limit: PAGE });
    list.append(...page.sessions.map(row));
    cursor = page.next_cursor;
    more.hidden = !cursor;
    if (list.children.length === 0) list.append(element("li", "", "There are none."));
  }

  function row(session) {
    const shown = element("li");
    const title = session.title || `Conversation of ${day(session.created_at)}`;
    const about = element("div");
    about.append(element("div", "", title), element("div", "fine", details(session)));
    const controls = element("div", "row");
    offer(controls, shown, session, title);
    shown.append(about, controls);
    return shown;
  }

  function details(session) {
    const facts = [session.id === current ? "Open now" : `Last active ${day(session.last_active_at)}`];
    if (!session.checkpoints) facts.push("nothing said yet");
    if (session.pinned) facts.push("pinned");
    else if (session.expires_at) facts.push(`kept until ${day(session.expires_at)}`);
    return facts.join(" · ");
  }

  function offer(controls, shown, session, title) {
    const opening = button("Open", "", () => {
      dialog.close();
      onOpen(session.id);
    });
    const deleting = button("Delete", "", () => ask(controls, shown, session, title));
    opening.setAttribute("aria-label", `Open: ${title}`);
    deleting.setAttribute("aria-label", `Delete: ${title}`);
    controls.replaceChildren(opening, deleting);
    return deleting;
  }

  function ask(controls, shown, session, title) {
    const keep = button("Keep", "", () => offer(controls, shown, session, title).focus());
    const really = button("Delete for good", "danger", () => attempt(() => remove(shown, session)));
    controls.replaceChildren(really, keep);
    keep.focus();
  }

  async function remove(shown, session) {
    try {
      await api.deleteSession(session.id);
    } catch (failure) {
      // Already gone is what was wanted.
      if (failure.status !== 404) throw failure;
    }
    shown.remove();
    heading.focus();
    if (session.id !== current) return;
    dialog.close();
    onCurrentDeleted();
  }

  list.replaceChildren();
  more.onclick = () => attempt(load);
  more.hidden = true;
  dialog.showModal();
  heading.focus();
  return attempt(load);
}
