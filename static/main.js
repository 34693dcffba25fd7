// Puts the page together: which conversation is shown, and what the controls do.

import * as api from "/static/api.js";
import { Conversation, button, element } from "/static/conversation.js";
import { Voice } from "/static/voice.js";
import { retention } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const KEPT = "companion.session";
const PAGE = 50;

const MODES = {
  offline: "Answers come from a simple built-in program on this machine: no network, no AI model.",
  disconnected: "The language model does not answer at the moment.",
};

// What this server does with sound, as it says of itself.
const ABSENT = ["not_configured", "offline"];

const conversation = new Conversation($("log"), $("view"));
let serverSpeaks = true;

// The conversation on the page. A reply still under way holds its own, so that it cannot speak into another one.
let shown = null;
let kept = null;

// Only the conversation's id is left in the browser, never what was said. Storage may be forbidden; then a reload
// begins a new conversation and the old one is in the list.
function remember(id) {
  try {
    if (id) localStorage.setItem(KEPT, id);
    else localStorage.removeItem(KEPT);
  } catch {}
}

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function say(text = "", ...more) {
  $("notice").replaceChildren(text, ...more);
}

/** Does something the person asked for; if the server cannot, says so and offers it again. Leads to where one signs in. */
async function attempt(work) {
  say();
  try {
    await work();
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    if (failure.signIn) return location.assign(failure.signIn);
    say(`${failure.message} `, button("Try again", "", () => attempt(work)));
  }
}

const isGone = (failure) => !failure.signIn && (failure.status === 404 || failure.status === 401);

/** Goes on with the conversation this browser had last, or begins one. */
async function begin() {
  const id = remembered();
  if (id) {
    try {
      return await resume(id);
    } catch (failure) {
      if (!isGone(failure)) throw failure;
    }
  }
  await startAnew();
}

function show(session, earlier = null) {
  voice.leave();
  shown = { ...session, busy: false };
  remember(session.id);
  conversation.clear();
  offerEarlier(earlier);
  setBusy(shown, false);
}

async function resume(id) {
  const { messages, next_cursor, ...session } = await api.session(id, { limit: PAGE });
  show(session, next_cursor);
  conversation.showEarlier(messages);
  $("view").scrollTop = $("view").scrollHeight;
  await announce();
}

async function startAnew(note) {
  remember(null);
  const started = await api.startSession();
  show({ id: started.session_id, checkpoints: 0 });
  if (note) conversation.note(note);
  conversation.say("assistant", started.message);
  await announce();
}

function offerEarlier(cursor) {
  shown.earlier = cursor;
  $("earlier").hidden = !cursor;
}

async function showEarlier() {
  const session = shown;
  const page = await api.session(session.id, { limit: PAGE, cursor: session.earlier });
  if (session !== shown) return;
  conversation.showEarlier(page.messages);
  offerEarlier(page.next_cursor);
  // A hidden button cannot keep the focus.
  if (!page.next_cursor) $("view").focus({ preventScroll: true });
}

/** Tells how long things are kept. Not being able to tell is no reason to stop a conversation. */
async function announce() {
  try {
    kept ??= await api.me();
    $("retention").textContent = retention(kept, shown);
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
  }
}

async function announceAfterTurn(session) {
  try {
    const { expires_at, pinned, checkpoints } = await api.session(session.id, { limit: 1 });
    Object.assign(session, { expires_at, pinned, checkpoints });
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
  }
  if (session === shown) await announce();
}

async function showMode() {
  const health = await api.health().catch(() => null);
  if (health) {
    serverSpeaks = !ABSENT.includes(health.services.tts);
    voice.offer({ hears: !ABSENT.includes(health.services.stt) });
  }
  const why = MODES[health?.services.llm];
  $("mode").hidden = !why;
  if (!why) return;
  $("mode").textContent = health.services.llm === "offline" ? "offline" : "not answering";
  $("mode").title = why;
  $("mode-why").textContent = why;
}

function setBusy(session, busy) {
  session.busy = busy;
  // Not `disabled`: that would drop the focus of someone who pressed the button.
  if (session === shown) $("send").setAttribute("aria-disabled", String(busy));
}

function send() {
  const text = $("message").value;
  if (!shown || shown.busy || text.trim() === "") return;
  say();
  voice.typed();
  $("message").value = "";
  deliver(shown, { text, id: api.turnId(), said: conversation.say("user", text) });
}

/** Takes one turn. Trying again uses the same id, by which the server knows a turn it has already taken. */
async function deliver(session, turn) {
  const reply = conversation.reply();
  setBusy(session, true);
  let aloud = null;
  try {
    aloud = await voice.reader(session, reply);
    const asked = { session_id: session.id, message: turn.text, turn_id: turn.id, speak: aloud !== null && serverSpeaks };
    const onPiece = (piece) => {
      reply.append(piece);
      aloud?.text(piece);
    };
    const whole = await api.chat(asked, onPiece, (url) => aloud?.file(url));
    reply.finish(whole.text);
    aloud?.end(whole.degraded);
    setBusy(session, false);
    await announceAfterTurn(session);
  } catch (failure) {
    aloud?.fail();
    reply.discard();
    setBusy(session, false);
    if (!(failure instanceof api.Failure)) throw failure;
    if (session === shown) await recover(session, turn, failure);
  }
}

async function recover(session, turn, failure) {
  if (failure.code === "session_not_found") {
    return attempt(async () => {
      await startAnew("The old conversation has expired and is gone. This is a new one.");
      turn.said = conversation.say("user", turn.text);
      deliver(shown, turn);
    });
  }
  if (failure.status === 400 || failure.status === 413) {
    // The same words would be refused again: they go back to where they can be changed.
    turn.said.remove();
    $("message").value = [turn.text, $("message").value].filter(Boolean).join("\n");
    $("message").focus();
    return say(failure.message);
  }
  const retry = () => {
    if (session.busy) return recover(session, turn, failure);
    conversation.moveToEnd(turn.said);
    deliver(session, turn);
    $("message").focus();
  };
  // Not in this tab: it holds what was written.
  if (failure.signIn) return conversation.unsent("You are signed out. What you wrote is still here.", retry, signInElsewhere(failure));
  conversation.unsent(`${failure.message} What you wrote is still here.`, retry);
}

/** A spoken turn could not be taken. Trying again sends the recording once more, as the same turn. */
function recoverSpoken(session, failure, retry) {
  if (session !== shown) return;
  if (failure.code === "session_not_found") {
    return attempt(() => startAnew("The old conversation has expired and is gone. This is a new one: please say it again."));
  }
  const again = () => {
    if (session.busy) return recoverSpoken(session, failure, retry);
    retry();
  };
  if (failure.signIn) return conversation.unsent("You are signed out. What you said is still here.", again, signInElsewhere(failure));
  conversation.unsent(`${failure.message} What you said is still here.`, again);
}

function signInElsewhere(failure) {
  const link = element("a", "", "Sign in in another tab");
  link.href = failure.signIn;
  link.target = "_blank";
  return link;
}

function startOver() {
  // An unused conversation is as good as a new one.
  const unused = shown && !shown.checkpoints && !$("log").querySelector(".user");
  $("message").focus();
  if (!unused) attempt(startAnew);
}

function openConversations() {
  return attempt(async () => {
    const { open } = await loaded(import("/static/conversations.js"));
    open($("conversations"), {
      current: shown?.id,
      onOpen: (id) => {
        $("message").focus();
        if (id !== shown?.id) attempt(() => resume(id));
      },
      onCurrentDeleted: () => attempt(startAnew),
    });
  });
}

function openPerson() {
  return attempt(async () => {
    const { open } = await loaded(import("/static/person.js"));
    open($("person"), {
      kept: $("retention").textContent,
      signedIn: kept?.signed_in,
      onErased: () => {
        remember(null);
        kept = null;
        attempt(startAnew);
      },
    });
  });
}

/** A part of the page that is fetched only when it is used. */
function loaded(module) {
  return module.catch(() => {
    throw new api.Failure(0, "unreachable", "This part of the page cannot be loaded right now.");
  });
}

const voice = new Voice(
  { talk: $("talk"), handsFree: $("hands-free"), aloud: $("aloud"), panel: $("voice"), pace: $("pace") },
  {
    conversation,
    session: () => shown,
    serverSpeaks: () => serverSpeaks,
    busy: setBusy,
    settled: announceAfterTurn,
    failed: recoverSpoken,
    note: say,
  },
  loaded,
);

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
$("message").addEventListener("keydown", (event) => {
  // While an input method is composing, Enter only accepts its proposal.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
$("earlier").addEventListener("click", () => attempt(showEarlier));
$("new").addEventListener("click", startOver);
$("list").addEventListener("click", openConversations);
$("data").addEventListener("click", openPerson);

showMode();
attempt(begin);
