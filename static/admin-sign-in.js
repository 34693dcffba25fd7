// Signs this browser in with the admin token, then goes to the admin page.

import * as server from "/static/admin/server.js";

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

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy || token.value === "") return token.focus();
  setBusy(true);
  problem.textContent = "";
  try {
    await server.signIn(token.value);
    location.replace("/admin");
  } catch (failure) {
    if (!(failure instanceof server.Failure)) throw failure;
    problem.textContent = failure.message;
    token.select();
    token.focus();
    setBusy(false);
  }
});
