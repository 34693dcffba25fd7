// The recovery code: made, shown once, copied.

import * as api from "/static/api.js";
import { copyOnClick } from "/static/mine/copying.js";
import { oneAtATime } from "/static/one-at-a-time.js";
import { day } from "/static/words.js";

function state(code) {
  if (!code) return "You have none. If this browser forgets you, nobody can bring you back.";
  const used = code.used_at ? `It was last used on ${day(code.used_at)}.` : "It was never used.";
  return `You made one on ${day(code.made_at)}. ${used}`;
}

/** Sets the part of the dialog up. Returns how to make a code from elsewhere, and how to tell what is known of the present one. */
export function recoveryCode(part, attempt) {
  const told = part.querySelector(".told");
  const make = part.querySelector(".make");
  const made = part.querySelector(".made");
  const field = made.querySelector("textarea");
  const copied = copyOnClick(made.querySelector("button"), field);

  function show(known) {
    told.textContent = state(known);
    make.textContent = known ? "Make another code" : "Make a recovery code";
  }

  // The latest one alone is worth something: its answer is to be the one that is shown.
  const makeOne = oneAtATime(() => attempt(async () => {
    const { recovery_code: text, made_at } = await api.makeRecoveryCode();
    show({ made_at, used_at: null });
    copied();
    field.value = text;
    made.hidden = false;
    field.focus();
    field.select();
    part.scrollIntoView({ block: "nearest" });
  }));

  /** It is not left on a page that is closed. */
  function hide() {
    made.hidden = true;
    field.value = "";
    copied();
  }

  make.onclick = makeOne;
  hide();
  // Until more is known.
  told.textContent = "";
  make.textContent = "Make a recovery code";
  return { makeOne, known: show, hide };
}
