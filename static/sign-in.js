// Signs this browser in with the access token, then goes to the conversation, or back to the link that led here.

import * as api from "/static/api.js";

const form = document.getElementById("sign-in");
const token = document.getElementById("token");
const submit = form.querySelector("button");
const problem = form.querySelector(".problem");

let busy = false;

function setBusy(now) {
  busy = now;
  // Not `disabled`: that would drop the focus of someone who pressed the button.
  submit.setAttribute("aria-disabled", String(now));
}

/** Where to go on. It stands behind the # and is sent to nobody; nothing else is gone to. */
function next() {
  return /^#(\/link(#[0-9a-f]{64})?)$/i.exec(location.hash)?.[1] ?? "/";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy || token.value === "") return token.focus();
  setBusy(true);
  problem.textContent = "";
  try {
    await api.signIn(token.value);
    location.replace(next());
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    problem.textContent = failure.message;
    token.select();
    token.focus();
    setBusy(false);
  }
});
