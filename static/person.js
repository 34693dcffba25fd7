// What is kept about a person: how long, a copy of it, and the end of it.

import * as api from "/static/api.js";
import { day } from "/static/words.js";

/** Opens the dialog. `onErased` is called when it closes after everything was erased. */
export function open(dialog, { kept, signedIn, onErased }) {
  const form = dialog.querySelector(".erase");
  const outcome = dialog.querySelector(".outcome");
  const sure = form.querySelector("input");
  const erase = form.querySelector("button");
  let erased = false;

  const isSure = () => sure.value.trim().toLowerCase() === "erase";

  sure.oninput = () => {
    erase.disabled = !isSure();
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (!isSure()) return;
    erase.disabled = true;
    try {
      const { backups_until } = await api.eraseMe();
      erased = true;
      done(backups_until);
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      erase.disabled = false;
      outcome.textContent = failure.message;
    }
  };
  const leave = dialog.querySelector(".leave");
  leave.querySelector("button").onclick = async () => {
    try {
      await api.signOut();
      location.assign("/sign-in");
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      outcome.textContent = failure.message;
    }
  };
  dialog.onclose = () => {
    if (erased) onErased();
  };

  function done(backupsUntil) {
    const backups = backupsUntil
      ? `The last backup that still holds it is deleted by ${day(backupsUntil)} at the latest.`
      : "No backup holds any of it.";
    outcome.textContent = `Everything kept about you was erased. ${backups}`;
    form.hidden = true;
    for (const told of dialog.querySelectorAll(".kept, .copy")) told.hidden = true;
    dialog.querySelector("h2").focus();
  }

  for (const told of dialog.querySelectorAll("[hidden]")) told.hidden = false;
  leave.hidden = !signedIn;
  dialog.querySelector(".kept").textContent = kept;
  outcome.textContent = "";
  sure.value = "";
  erase.disabled = true;
  dialog.showModal();
  dialog.querySelector("h2").focus();
}
