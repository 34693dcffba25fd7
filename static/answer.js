// What can be done with an answer: copy it, hear it again, see what was remembered for it.

import { sound } from "/static/api.js";
import { button, element, icon, pointer } from "/static/conversation.js";

const TOLD_MS = 2500;

/**
 * Puts it below the answer. `voice.canSpeak()` tells whether anybody can say it; `voice.hear(text, sound, reply, onEnd)` says it and
 * returns what ends that.
 */
export function offer(article, { text, audio, memories = [] }, voice) {
  article.querySelector(".deeds")?.remove();
  const deeds = element("div", "deeds");
  const told = element("span", "told");
  told.setAttribute("role", "status");
  deeds.append(copying(text, told), hearing(article, { text, audio }, voice), told);
  if (memories.length > 0) deeds.append(used(memories));
  article.append(deeds);
}

function deed(name, label, drawn, onClick) {
  const made = button("", name, onClick);
  made.append(icon(drawn));
  call(made, label);
  return made;
}

function call(made, label) {
  made.setAttribute("aria-label", label);
  made.title = label;
}

function copying(text, told) {
  let timer;
  const made = deed("copy", "Copy", "copy", async () => {
    const copied = await copy(text);
    made.replaceChildren(icon(copied ? "done" : "copy"));
    told.textContent = copied ? "Copied" : "This browser does not let the page copy.";
    clearTimeout(timer);
    timer = setTimeout(() => {
      made.replaceChildren(icon("copy"));
      told.textContent = "";
    }, TOLD_MS);
  });
  return made;
}

/** Browsers give the clipboard only to pages on https or on this machine; the older way works everywhere else. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text);
  }
}

function copyByHand(text) {
  const focused = document.activeElement;
  const place = element("textarea", "unseen");
  place.value = text;
  document.body.append(place);
  place.select();
  const copied = document.execCommand("copy");
  place.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}

function hearing(article, answer, voice) {
  const point = pointer(article.querySelector(".words"));
  let end = null;
  const made = deed("hear", "Hear it again", "aloud", async () => {
    if (end) return end();
    show(made, true);
    end = () => {};
    const over = () => {
      end = null;
      show(made, false);
    };
    const stop = await voice.hear(answer.text, (session) => sound(session, answer), { point }, over);
    if (end) end = stop;
  });
  made.hidden = !voice.canSpeak();
  return made;
}

function show(made, speaks) {
  made.setAttribute("aria-pressed", String(speaks));
  made.replaceChildren(icon(speaks ? "stop" : "aloud"));
  call(made, speaks ? "Stop" : "Hear it again");
}

function used(memories) {
  const made = element("details", "used");
  const list = element("ul");
  list.append(...memories.map(({ text }) => element("li", "", text)));
  made.addEventListener("toggle", () => made.open && made.scrollIntoView({ block: "nearest" }));
  made.append(element("summary", "", `Remembered ${memories.length === 1 ? "1 thing" : `${memories.length} things`}`), list);
  return made;
}
