// What is kept about a person: how long, a copy of it, who else is them, the way back, and the end of it.

import * as api from "/static/api.js";
import { carryOutAll } from "/static/deletions.js";
import { attempted } from "/static/interruption.js";
import { anotherDevice } from "/static/mine/another-device.js";
import { askFirst } from "/static/mine/asking.js";
import { copyForMe } from "/static/mine/export.js";
import { recoveryCode } from "/static/mine/recovery-code.js";
import { replaceToken } from "/static/mine/replacing.js";
import { leftOver } from "/static/owed.js";
import { day } from "/static/words.js";

const others = (browsers) => {
  if (browsers <= 1) return "No other browser is you.";
  return browsers === 2 ? "One other browser is you." : `${browsers - 1} other browsers are you.`;
};

/** What somebody loses who leaves now. */
function lost({ browsers, recovery_code: code }, signedIn) {
  const again = signedIn ? "To come back you need the access token and to be brought back here as yourself. " : "";
  if (code) return `${again}You have a recovery code, made on ${day(code.made_at)}: with it you come back. Do you still have it?`;
  if (browsers > 1) return `${again}${others(browsers)} There you can make a link that brings you back here.`;
  return `${again}You have no recovery code, and no other browser is you: without one all you have said here is out of your reach, and goes when it expires.`;
}

/**
 * Opens the dialog. `onErased` is called when it closes after everything was erased, `onUnanswered` when it does and nobody knows
 * whether the token was replaced; `onLeft` when this browser is nobody any more, at once; `onLeftOver` when something could not be deleted.
 */
export async function open(dialog, { kept, signedIn, onErased, onLeft, onLeftOver, onUnanswered }) {
  const outcome = dialog.querySelector(".outcome");
  const part = (name) => dialog.querySelector(`.${name}`);
  let erased = false;
  let unanswered = false;
  let me = null;

  function say(text) {
    outcome.textContent = text;
    outcome.scrollIntoView({ block: "nearest" });
  }

  async function attempt(work) {
    outcome.textContent = "";
    try {
      await work();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      if (failure.signIn) return location.assign(failure.signIn);
      say(failure.message);
    }
  }

  copyForMe(part("copy"), attempt);
  const hideLink = anotherDevice(part("another"), attempt);
  const code = recoveryCode(part("recovery"), (work) => attempt(async () => {
    await work();
    await look();
  }));

  /** What the server knows of the ways in; the rest of the dialog needs none of it. */
  async function look() {
    me = await api.me();
    code.known(me.recovery_code);
    part("alone").querySelector(".told").textContent = others(me.browsers);
  }

  /** Fails where something that was to be deleted is still there. */
  async function nothingLeft() {
    const failed = (await carryOutAll()).find(Boolean);
    if (failed) throw failed;
    if ((await leftOver()).length === 0) return;
    onLeftOver();
    throw new api.Failure(409, "left_over", "Something that could not be deleted is still here: on the page it is asked what is to become of it.");
  }

  const replaced = askFirst(part("alone").querySelector(".start"), part("alone").querySelector(".question"), () =>
    attempt(async () => {
      await replaceToken();
      hideLink();
      code.hide();
      replaced(true);
      await look();
      say("Done: this browser alone is you now. Make a new recovery code if you want one.");
    }));

  const leave = part("leave");
  const leaving = leave.querySelector(".start");
  askFirst(leaving, leave.querySelector(".question"), () =>
    attempt(async () => {
      // Afterwards nobody could delete them.
      await nothingLeft();
      await api.leave();
      onLeft();
      if (signedIn) await api.signOut();
      // Not to be found by whoever goes back.
      location.replace(signedIn ? "/sign-in" : "/link#left");
    }));
  const ask = leaving.onclick;
  leaving.onclick = () => attempt(async () => {
    await look();
    warn();
    ask();
  });
  const warn = () => {
    leave.querySelector(".lost").textContent = lost(me, signedIn);
    leave.querySelector(".first").hidden = Boolean(me.recovery_code);
  };
  leave.querySelector(".first").onclick = async () => {
    await code.makeOne();
    warn();
  };
  leaving.textContent = signedIn ? "Sign out" : "Leave this browser";
  leave.querySelector(".yes").textContent = signedIn ? "Sign out for good" : "Leave for good";
  leave.querySelector("h3").textContent = leaving.textContent;

  const form = part("erase");
  const sure = form.querySelector("input");
  const erase = form.querySelector("button");
  const isSure = () => sure.value.trim().toLowerCase() === "erase";

  /** Returns what is told of backups. Who was not answered and is nobody now has been erased. */
  async function eraseAll() {
    try {
      const { backups_until: until } = await api.eraseMe();
      if (!until) return "No backup holds any of it.";
      return `The last backup that still holds it is deleted by ${day(until)} at the latest.`;
    } catch (failure) {
      if (!(failure instanceof api.Failure) || failure.signIn) throw failure;
      if (unanswered && failure.status === 401) return "The answer that said until when backups hold it was lost: whoever runs this server can tell.";
      unanswered = failure.status === 0;
      throw failure;
    }
  }

  sure.oninput = () => {
    erase.disabled = !isSure();
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (!isSure()) return;
    erase.disabled = true;
    await attempt(async () => {
      await carryOutAll();
      const backups = await eraseAll();
      onLeft();
      erased = true;
      done(backups);
    });
    erase.disabled = !isSure();
  };
  dialog.onclose = () => {
    hideLink();
    code.hide();
    if (erased) onErased();
    else if (attempted()) onUnanswered();
  };

  function done(backups) {
    hideLink();
    outcome.textContent = `Everything kept about you was erased. ${backups}`;
    for (const told of dialog.querySelectorAll(".kept, .part, .erase")) told.hidden = true;
    dialog.querySelector("h2").focus();
  }

  for (const told of dialog.querySelectorAll(".kept, .part, .erase")) told.hidden = false;
  dialog.querySelector(".kept").textContent = kept;
  outcome.textContent = "";
  sure.value = "";
  erase.disabled = true;
  dialog.showModal();
  dialog.querySelector("h2").focus();
  await attempt(look);
}
