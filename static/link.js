// The page a link leads to, which makes this browser the same person, and where a recovery code does.
//
// A link's secret stands behind the # of the address, which is sent to nobody. It leaves this page only when the person
// says so, in the body of a request.

import * as api from "/static/api.js";
import { Draft, leave, remember } from "/static/interruption.js";

const $ = (id) => document.getElementById(id);
const problem = document.querySelector(".problem");
const outcome = document.querySelector(".outcome");
const somebody = $("somebody");

const NOBODY = "This browser is nobody now: on another device the token was replaced, or everything was erased.";

// Who was here is not any more: what is told of that, by what stands behind the #.
const GONE = new Map([
  ["left", "This browser is nobody now: nothing you have said can be seen here."],
  ["elsewhere", "Whoever was here has left in another tab. Nothing they wrote or said is kept in this one."],
  ["nobody", NOBODY],
  ["wrote", `${NOBODY} What you wrote is kept in this tab.`],
]);

let secret = null;
let busy = false;

function start() {
  const told = location.hash.slice(1);
  secret = /^[0-9a-f]{64}$/i.test(told) ? told : null;
  problem.textContent = told && !secret && !GONE.has(told) ? "This link is not whole. Please copy all of it, or make a new one." : "";
  outcome.textContent = GONE.get(told) ?? "";
  $("by-link").hidden = !secret;
  $("by-code").hidden = Boolean(secret);
  somebody.hidden = true;
  $("on").hidden = false;
  $("on").textContent = told === "left" ? "Begin as somebody new" : "Go to the conversation";
}

/** Does it, and says what has become of it. One thing at a time. */
async function attempt(work) {
  if (busy) return;
  busy = true;
  problem.textContent = "";
  try {
    await work();
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    // The secret goes along behind the #, so that signing in leads back here.
    if (failure.signIn) return location.replace(`${failure.signIn}#/link${secret ? `#${secret}` : ""}`);
    if (failure.code === "already_someone") return ask(failure.details);
    problem.textContent = failure.message.replace(/^code: /, "The code ");
    // With this link it cannot be done any more.
    if (["link_used", "link_not_found"].includes(failure.code)) $("by-link").hidden = true;
  } finally {
    busy = false;
  }
}

async function become(instead) {
  const { already } = secret ? await api.redeemLink(secret, instead) : await api.redeemCode($("code").value, instead);
  if (!already) await forgetOther();
  // Not to be found by whoever goes back.
  history.replaceState(null, "", location.pathname);
  if (already) return tell("You are this person here already. Open the link on the other device.");
  await openLatest();
  location.replace("/");
}

/** What somebody else has begun is not to be done to this person, and what they have written is not to be seen. */
async function forgetOther() {
  const draft = new Draft();
  const isTheirs = await isBack(draft.whose);
  leave();
  if (isTheirs) draft.keep();
  else draft.forget();
}

/** Whether whoever is here now is who wrote what waits here. */
async function isBack(whose) {
  if (!whose) return false;
  try {
    return (await api.me()).created_at === whose;
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    return false;
  }
}

/** The conversation that goes on is the latest one, wherever it was held. */
async function openLatest() {
  try {
    const { sessions } = await api.sessions({ limit: 10 });
    remember(sessions.find((session) => session.checkpoints)?.id ?? null);
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
  }
}

function tell(text) {
  for (const part of [$("by-link"), $("by-code"), somebody]) part.hidden = true;
  $("on").hidden = false;
  outcome.textContent = text;
  outcome.focus();
}

const count = (number, one, many) => (number === 1 ? `1 ${one}` : `${number} ${many}`);

function ask({ conversations, memories }) {
  const held = [
    conversations && count(conversations, "conversation", "conversations"),
    memories && count(memories, "thing I remember", "things I remember"),
  ].filter(Boolean).join(" and ");
  $("by-link").hidden = true;
  $("by-code").hidden = true;
  somebody.hidden = false;
  // The question has its own way to stay.
  $("on").hidden = true;
  somebody.querySelector(".left").textContent =
    `They have ${held}. That is not brought along: it stays theirs until it expires, and nobody gets to it without a recovery code of theirs or another browser that is them.`;
  somebody.querySelector("h2").focus();
}

$("by-link").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => become(false));
});
$("by-code").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("code").value.trim() === "") return $("code").focus();
  attempt(() => become(false));
});
somebody.querySelector(".go").addEventListener("click", () => attempt(() => become(true)));
somebody.querySelector(".keep").addEventListener("click", () =>
  attempt(async () => {
    const made = await api.makeRecoveryCode();
    somebody.querySelector(".keep").hidden = true;
    const shown = document.createElement("code");
    shown.textContent = made.recovery_code;
    somebody.querySelector(".code").replaceChildren("Their recovery code; keep it, it is not shown again: ", shown);
  }));
// Another link opened in the same tab changes nothing but what stands behind the #.
window.addEventListener("hashchange", start);

start();
