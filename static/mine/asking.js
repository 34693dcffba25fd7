// A question that is asked in place of a button, before something that cannot be taken back.

import { oneAtATime } from "/static/one-at-a-time.js";

/** When `button` is pressed, shows `question` and its two answers; `onYes` does it. Returns what puts it back. */
export function askFirst(button, question, onYes) {
  const no = question.querySelector(".no");
  const back = (focus) => {
    question.hidden = true;
    button.hidden = false;
    if (focus) button.focus();
  };
  button.onclick = () => {
    question.hidden = false;
    button.hidden = true;
    // Whoever presses Enter twice changes nothing.
    no.focus();
    question.scrollIntoView({ block: "nearest" });
  };
  no.onclick = () => back(true);
  question.querySelector(".yes").onclick = oneAtATime(onYes);
  back(false);
  return back;
}
