// Puts the page together: which conversation is shown, and the turns taken in it.

import * as api from "/static/api.js";
import { Conversation, button, element } from "/static/conversation.js";
import { Draft, Reach, attempted, leave, owed, remember, remembered, whenDeleted, whenLeft } from "/static/interruption.js";
import { Voice } from "/static/voice.js";
import { mode, retention } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const PAGE = 50;
// A turn that breaks off so often is not taken up again by itself.
const MOST_TRIES = 5;
// Whoever goes to and fro between tabs does not have the server asked more often.
const LOOK_EVERY_MS = 5000;
// After so long without a word of an answer it is looked whether the server can be reached at all: a network may hang.
const DOUBT_MS = 15_000;
// What is told of how long things are kept is asked anew after that.
const TOLD_FOR_MS = 300_000;
// A server that does not hear just now is asked again so soon; at first it may only not have looked yet.
const HEARS_AGAIN_MS = [1000, 5000];
// More that was said since the page came is shown anew, as the page was.
const MOST_LATER = 100;
const EXPIRED = "The old conversation has expired or was deleted. This is a new one";
const DELETED = "The old conversation is deleted. This is a new one.";

// So long the page is left to itself before it is kept for later.
const BEFORE_KEPT_MS = 2000;

// What this server does with sound, as it says of itself.
const ABSENT = ["not_configured", "offline"];

// With Control and Shift; told in the dialog "keys".
const KEYS = {
  O: () => startOver(),
  L: () => $("list").click(),
  F: () => attempt(openFind),
  Y: () => lastDeed("copy"),
  E: () => lastDeed("hear"),
};

const conversation = new Conversation($("log"), $("view"), equip);
const draft = new Draft();
const reach = new Reach(isThere, showReach);
let serverSpeaks = true;
let llm = null;

// The conversation on the page. A reply still under way holds its own, so that it cannot speak into another one.
let shown = null;
let kept = null;
let keptAt = 0;
// So often another one was asked for. The answer about one that was asked for before comes too late.
let asked = 0;
let isUnderWay = false;
// Something was to be sent before there was one to send it in.
let isAwaited = false;
// What is told of what waits in another one.
let waiting = null;
// When it was last looked what was said elsewhere, and when it is to be next.
let looked = 0;
let looking;
let hearing;
let unheard = 0;
// So often it was asked who answers.
let modes = 0;
// By answer what is known of it, of those below which there is nothing to be done yet.
const bare = new Map();

/** Says a word, in place of the one before. What is lasting stays: whoever put it there takes it away. */
function say(text = "", ...more) {
  for (const said of [...$("notice").childNodes]) if (said.className !== "lasting") said.remove();
  $("notice").append(text, ...more);
}

/** Does something the person asked for; if the server cannot, says so and offers it again. Leads to where one signs in. */
async function attempt(work) {
  say();
  try {
    await work();
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    if (failure.signIn) return location.assign(failure.signIn);
    if (failure.status === 0) reach.lost();
    say(failure.message, button("Try again", "", () => attempt(work)));
  }
}

const isNobody = (failure) => failure.status === 401 && !failure.signIn;
const isGone = (failure) => isNobody(failure) || (failure.status === 404 && !failure.signIn);

// Whether the server can be reached

/** Whatever it answers, it is there. */
async function isThere() {
  const failure = await api.health().catch((error) => error);
  return !(failure instanceof api.Failure && failure.status === 0);
}

function showReach(isLost) {
  const who = navigator.onLine ? "The companion cannot be reached." : "This device is offline.";
  $("adrift").textContent = isLost ? `${who} What you write is kept, and goes by itself once it can be reached again.` : "";
  $("adrift").hidden = !isLost;
  if (isLost) return;
  showMode();
  comeBack();
  askOwed();
  if (shown && !attempted()) return announce();
  return attempt(shown ? goOnHere : begin);
}

/** Asks about what a page that went could not delete. */
async function askOwed() {
  // Who replaces their token is not known yet.
  if (attempted() || owed().length === 0) return;
  try {
    const { ask } = await loaded(import("/static/owed.js"));
    await ask($("notice"));
  } catch (failure) {
    // It is asked once the server can be reached, or by the next page.
    if (!(failure instanceof api.Failure)) throw failure;
  }
}

// Which conversation is shown

/** Who replaces their token and was not answered is told first who they are: otherwise somebody new would take their place. */
async function settle() {
  if (!attempted()) return;
  const replacing = await loaded(import("/static/mine/replacing.js"));
  await replacing.settle();
  askOwed();
}

async function goOnHere() {
  await settle();
  await announce();
}

async function startSession(isRemembered) {
  await settle();
  if (kept && shown) await meet(shown);
  return api.startSession(isRemembered);
}

/** Sees who is here before one begins: whoever was here may be nobody any more, and is led to the way back. What they wrote waits there. */
async function meet(session) {
  try {
    await ask();
  } catch (failure) {
    if (!isNobody(failure)) throw failure;
    takeBack(session.id);
    draft.keep(kept.created_at);
    location.replace(draft.text ? "/link#wrote" : "/link#nobody");
    // The page goes; nothing begins.
    await new Promise(() => {});
  }
}

/** Goes on with the conversation this browser had last, or begins one. */
async function begin() {
  await settle();
  if (!(await resumeLast())) await startAnew();
}

/** What the server answers about the conversation asked for now; null when another one has been asked for by then. */
async function latest(asking) {
  const mine = (asked += 1);
  isUnderWay = true;
  try {
    const answer = await asking();
    return mine === asked ? answer : null;
  } catch (failure) {
    if (mine === asked) throw failure;
    return null;
  } finally {
    if (mine === asked) isUnderWay = false;
  }
}

/** False when there is none any more. */
async function resumeLast() {
  const id = remembered();
  return Boolean(id) && resumeIfThere(id);
}

/** False when it is gone: what was sent in it is written again. */
async function resumeIfThere(id) {
  try {
    await resume(id);
    return true;
  } catch (failure) {
    if (!isGone(failure)) throw failure;
    takeBack(id);
    return false;
  }
}

function show(session, earlier = null) {
  voice.leave();
  // So many of its turns the server has `told`; so many have been `seen` here, with those that were said since.
  shown = { ...session, busy: false, told: session.checkpoints, seen: session.checkpoints };
  showWaiting();
  looked = performance.now();
  remember(session.id);
  conversation.clear();
  closeFind();
  offerEarlier(earlier);
  offerChoice();
  setBusy(shown, false);
}

async function resume(id) {
  const found = await latest(() => api.session(id, { limit: PAGE }));
  if (!found) return;
  const { messages, next_cursor, ...session } = found;
  show(session, next_cursor);
  conversation.showEarlier(messages);
  if (messages.length === 0) conversation.showUnused();
  conversation.goToEnd();
  const ours = shown;
  await announce();
  await goOn(ours);
  if (isAwaited) send();
}

/** Tells of what was sent in another conversation and waits there: nothing of it is seen in this one. */
function showWaiting() {
  const id = draft.elsewhere(shown?.id ?? remembered());
  if (waiting?.dataset.id === id) return;
  waiting?.remove();
  waiting = null;
  if (!id) return;
  waiting = element("p", "lasting", "What you wrote in another conversation was not answered.");
  waiting.dataset.id = id;
  waiting.append(button("Go there", "", () => attempt(() => goWhereItWaits(id))));
  $("notice").append(waiting);
}

async function goWhereItWaits(id) {
  $("message").focus();
  if (!(await resumeIfThere(id))) say("The other conversation is gone. What you wrote in it is here again.");
}

/** Turns to this one. Where it is open already it stays, whatever else was asked for meanwhile. */
function turnTo(id) {
  isAwaited = false;
  if (id !== shown?.id) return attempt(() => resume(id));
  asked += 1;
  isUnderWay = false;
  shown.isLeft = false;
}

/** The one that is shown goes, and another begins. */
function leaveShown() {
  if (shown) shown.isLeft = true;
  attempt(startAnew);
}

/** There is none to say anything in: it is on its way, or could not be had so far. */
const isBetween = () => isUnderWay || !shown || shown.isLeft;

/** Whether there is one to say something in; else it is on its way now. */
function isHere() {
  if (!isBetween()) return true;
  if (!isUnderWay) attempt(shown ? startAnew : begin);
  return false;
}

/** Sends what was sent before the page was loaded anew once more, by its id: the same words may have been said twice. */
async function goOn(session) {
  for (const { id, text, isSpoken } of draft.of(session.id)) {
    if (session !== shown) return;
    if (isSpoken) {
      await goOnSpoken(session, id);
      continue;
    }
    const { checkpoints } = session;
    const turn = { id, text, tries: 0, said: conversation.say("user", text) };
    if ((await deliver(session, turn)) !== checkpoints) continue;
    // No turn has been added: it had arrived, and stands above.
    turn.said.remove();
    turn.reply.discard();
  }
}

/** Waits for the answer to what was said aloud before the page was loaded anew. */
async function goOnSpoken(session, id) {
  const { checkpoints, seen } = session;
  const [words, reply] = [conversation.listen(), conversation.reply()];
  setBusy(session, true);
  const { join } = await loaded(import("/static/voice/joined.js"));
  const answer = await join(session.id, id);
  draft.remove({ id });
  setBusy(session, false);
  if (session !== shown) return;
  if (answer) {
    words.hear(answer.said, true);
    reply.append(answer.text);
    const turns = await announceAfterTurn(session);
    if (session !== shown) return;
    if (turns !== checkpoints) return reply.finish(answer.text, { audio: session.last?.audio_url, memories: session.last?.memories });
  }
  // It stands above, or there is none; or it cannot be had this way.
  words.discard();
  reply.discard();
  if (answer) return;
  await catchUp();
  if (session === shown && session.seen === seen) say("What you said last was not answered. Please say it again.");
}

/** Begins one, tells `note` in it and does what comes `first`; nothing of that when another one was wanted before it had begun. */
async function startAnew(note, first) {
  const started = await latest(startSession);
  if (!started) return;
  show({ id: started.session_id, checkpoints: 0, remembered: true });
  if (note) conversation.note(note);
  conversation.say("assistant", started.message);
  await announce();
  first?.();
  if (isAwaited) send();
}

/** One that is not remembered takes the place of the one that has just begun, or the other way round. */
async function chooseRemembering() {
  const unused = shown;
  const wanted = unused.remembered === false;
  const started = await latest(() => startSession(wanted));
  if (!started) return;
  show({ id: started.session_id, checkpoints: 0, remembered: wanted });
  conversation.say("assistant", started.message);
  await announce();
  if (isAwaited) send();
  // Something may have been said in it meanwhile, in another window. An empty one that stays is in nobody's way; it goes with its time.
  const { checkpoints } = await api.session(unused.id, { limit: 1 }).catch(() => ({}));
  if (checkpoints === 0) await api.remove(api.sessionAt(unused.id)).catch(() => {});
}

function offerChoice() {
  const unremembered = shown.remembered === false;
  $("choice").hidden = shown.checkpoints > 0;
  $("choice").querySelector("button").setAttribute("aria-pressed", String(unremembered));
  $("choice").querySelector("p").textContent = unremembered ? "Nothing said here is learned, and it is deleted once nothing has been said in it for a day." : "";
  $("unremembered").hidden = !unremembered;
}

function offerEarlier(cursor) {
  shown.earlier = cursor;
  $("earlier").hidden = !cursor;
}

async function showEarlier() {
  await loadEarlier(PAGE);
  // A hidden button cannot keep the focus.
  if ($("earlier").hidden) $("view").focus({ preventScroll: true });
}

/** Shows a page of so many earlier turns; false when there was none. While one is on its way it is that one. */
async function loadEarlier(limit) {
  const session = shown;
  if (!session?.earlier) return false;
  session.coming ??= showPage(session, limit).finally(() => (session.coming = null));
  return session.coming;
}

async function showPage(session, limit) {
  const page = await api.session(session.id, { limit, cursor: session.earlier });
  if (session !== shown) return false;
  conversation.showEarlier(page.messages);
  offerEarlier(page.next_cursor);
  return true;
}

/** Asks who is here, and how long things are kept; what they have written in a tab that is closed is here then. */
async function ask() {
  kept = await api.me();
  keptAt = performance.now();
  const { text } = draft;
  await draft.outlive(kept.created_at);
  if (draft.text !== text) write(draft.text);
}

const isOld = () => !kept || performance.now() - keptAt > TOLD_FOR_MS;

/** Tells how long things are kept. Not being able to tell is no reason to stop a conversation. */
async function announce() {
  try {
    if (isOld()) await ask();
    $("retention").textContent = retention(kept, shown);
    // Whoever was first seen within the last hour may have been somebody here before. Its place is there from the start: nothing jumps.
    $("been-here").classList.toggle("known", kept.created_at !== kept.last_seen_at);
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
  }
}

/** Returns how many turns there are now, if the server can tell; `last` is then what was answered in the last one. */
async function announceAfterTurn(session) {
  let turns;
  session.last = undefined;
  try {
    const { expires_at, pinned, checkpoints, messages } = await api.session(session.id, { limit: 1 });
    Object.assign(session, { expires_at, pinned, checkpoints, last: messages.at(-1) });
    // Had there been more, some would have been said elsewhere.
    if (checkpoints === session.seen + 1) session.seen = checkpoints;
    turns = checkpoints;
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    if (isNobody(failure) && session === shown && !attempted()) return nobodyHere("nobody");
  }
  if (llm === "disconnected") showMode();
  if (session === shown) await announce();
  return turns;
}

// What was said elsewhere: in another tab, on another device

/** Somebody is known to be here; nothing is being said, asked for or settled, and nothing waits to be sent. */
function isAtRest() {
  const isUnsent = () => draft.of(shown.id).length > 0 || $("log").querySelector(".unsent");
  return kept && shown && !shown.busy && !isUnderWay && !voice.active && !attempted() && !isUnsent();
}

/** Somebody is here again. */
function comeBack() {
  clearTimeout(looking);
  looking = setTimeout(catchUp, Math.max(0, looked + LOOK_EVERY_MS - performance.now()));
}

/** Shows what was said elsewhere meanwhile; once the server can be reached again, if it cannot. */
async function catchUp() {
  if (document.visibilityState !== "visible" || !isAtRest()) return;
  const session = shown;
  looked = performance.now();
  try {
    const { checkpoints } = await api.session(session.id, { limit: 1 });
    if (checkpoints !== session.seen && isStillAtRest(session)) await showLater(session, checkpoints);
    if (isOld()) await announce();
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    if (failure.status === 0) reach.lost();
    if (isNobody(failure) && isStillAtRest(session)) return nobodyHere("nobody");
    if (failure.code === "session_not_found" && isStillAtRest(session)) attempt(() => startAnew(`${EXPIRED}.`));
  }
}

/** Whoever was here is nobody any more: nothing of theirs stays on the screen. `why` is told where they may come back. */
function nobodyHere(why) {
  draft.forget();
  location.replace(`/link#${why}`);
}

const isStillAtRest = (session) => session === shown && isAtRest();

async function showLater(session, turns) {
  const limit = turns - session.told;
  if (limit < 1 || limit > MOST_LATER) return resume(session.id);
  const { messages, next_cursor, ...now } = await api.session(session.id, { limit });
  if (!isStillAtRest(session)) return;
  // One more has come between the two answers.
  if (now.checkpoints !== turns) return comeBack();
  Object.assign(session, now, { told: turns, seen: turns });
  conversation.showLater(messages);
  offerChoice();
  await announce();
}

async function showMode() {
  const mine = (modes += 1);
  const health = await api.health().catch(({ status }) => {
    if (status === 0) reach.lost();
  });
  // It has been asked again since.
  if (mine !== modes) return;
  if (health) {
    serverSpeaks = !ABSENT.includes(health.services.tts);
    voice.offer({ hears: health.services.stt === "connected" });
    if (health.services.stt === "disconnected") hearLater();
    else unheard = 0;
  }
  llm = health?.services.llm;
  const special = mode(llm);
  $("mode").hidden = !special;
  if (!special) return;
  $("mode").textContent = special.label;
  $("mode").title = special.why;
  $("mode-why").textContent = special.why;
}

/** It hears nobody just now: nothing is offered that would not work, until it does again. */
function hearLater() {
  clearTimeout(hearing);
  const wait = HEARS_AGAIN_MS[Math.min(unheard, 1)];
  unheard += 1;
  hearing = setTimeout(() => (document.visibilityState === "visible" ? showMode() : hearLater()), wait);
}

function startOver() {
  // An unused conversation is as good as a new one.
  const unused = !isBetween() && !shown.checkpoints && shown.remembered !== false && !$("log").querySelector(".user");
  $("message").focus();
  if (!unused) attempt(startAnew);
}

// Turns

function setBusy(session, busy) {
  session.busy = busy;
  // Not `disabled`: that would drop the focus of someone who pressed the button.
  if (session === shown) $("send").setAttribute("aria-disabled", String(busy));
}

function write(text) {
  $("message").value = text;
  isWritten();
}

/** Keeps what is written, which is not to be sent by itself any more; the box is as high as that, where the browser does not see to it. */
function isWritten() {
  draft.text = $("message").value;
  isAwaited = false;
  if (CSS.supports("field-sizing", "content")) return;
  $("message").style.height = "auto";
  $("message").style.height = `${$("message").scrollHeight}px`;
}

/** What was sent in a conversation that is gone is written again. */
function takeBack(id) {
  draft.takeBack(id);
  write(draft.text);
}

function send() {
  const text = $("message").value;
  if (text.trim() === "") return;
  isAwaited = !isHere();
  if (isAwaited || shown.busy) return;
  say();
  voice.typed();
  write("");
  deliver(shown, { text, id: api.turnId(), tries: 0, said: conversation.say("user", text) });
}

/** Takes one turn. Trying again uses the same id, by which the server knows a turn it has already taken. Returns how many there are then. */
async function deliver(session, turn) {
  const reply = conversation.reply();
  turn.reply = reply;
  draft.add({ session: session.id, id: turn.id, text: turn.text });
  turn.said.classList.remove("kept");
  turn.tries += 1;
  setBusy(session, true);
  const doubt = setTimeout(() => reach.look(), DOUBT_MS);
  let aloud = null;
  try {
    aloud = await voice.reader(session, reply);
    const asked = { session_id: session.id, message: turn.text, turn_id: turn.id, speak: aloud !== null && serverSpeaks };
    const onPiece = (piece) => {
      clearTimeout(doubt);
      reply.append(piece);
      aloud?.text(piece);
    };
    const whole = await api.chat(asked, onPiece, (url) => aloud?.file(url));
    draft.remove(turn);
    reply.finish(whole.text, { audio: whole.audio_url, memories: whole.memories });
    aloud?.end(whole.degraded);
    setBusy(session, false);
    return await announceAfterTurn(session);
  } catch (failure) {
    draft.failed(turn);
    aloud?.fail();
    reply.discard();
    setBusy(session, false);
    if (!(failure instanceof api.Failure)) throw failure;
    if (session === shown) await recover(session, turn, failure);
  } finally {
    clearTimeout(doubt);
  }
}

async function recover(session, turn, failure) {
  if (failure.code === "session_not_found") return sayInNew(session, turn);
  if (failure.status === 400 || failure.status === 413) {
    // The same words would be refused again: they go back to where they can be changed.
    draft.remove(turn);
    turn.said.remove();
    write([turn.text, $("message").value].filter(Boolean).join("\n"));
    $("message").focus();
    return say(failure.message.replace(/^message: /, "What you write "));
  }
  keepUnsent(session, turn, failure);
}

/** The conversation is gone: it goes on in a new one. Until there is one, what was said stands where it is. */
async function sayInNew(session, turn) {
  try {
    await startAnew(`${EXPIRED}.`, () => {
      turn.said = conversation.say("user", turn.text);
      deliver(shown, turn);
    });
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    return keepUnsent(session, turn, failure);
  }
  // What else was sent, and all of it where another conversation was opened meanwhile.
  takeBack(session.id);
}

function keepUnsent(session, turn, failure) {
  if (session !== shown) return;
  const retry = (byHand) => {
    if (session !== shown) return;
    if (byHand) {
      turn.tries = 0;
      $("message").focus();
    }
    if (session.busy) return keepUnsent(session, turn, failure);
    conversation.moveToEnd(turn.said);
    return deliver(session, turn);
  };
  turn.said.classList.add("kept");
  const again = isStillHere("wrote", failure, retry);
  if (failure.status === 0 && turn.tries < MOST_TRIES) reach.whenBack(again);
}

/** A spoken turn could not be taken. Trying again sends the recording once more: the same turn, or one in a new conversation. */
function recoverSpoken(session, failure, retry) {
  if (session !== shown) return;
  if (failure.code === "session_not_found") {
    return attempt(() => startAnew(`${EXPIRED}.`, retry));
  }
  isStillHere("said", failure, () => (session.busy ? recoverSpoken(session, failure, retry) : retry()));
}

/** Says so, and offers to try again. Returns what does so by itself, if that was not done by then. */
function isStillHere(what, failure, retry) {
  const told = `What you ${what} is still here.`;
  // Not in this tab: it holds what is still here.
  if (failure.signIn) return conversation.unsent(`You are signed out. ${told}`, retry, signInElsewhere(failure));
  if (failure.status === 0) reach.lost();
  else showMode();
  return conversation.unsent(`${failure.message.replace(/\.?$/, ".")} ${told}`, retry);
}

function signInElsewhere(failure) {
  const link = element("a", "lone", "Sign in in another tab");
  link.href = failure.signIn;
  link.target = "_blank";
  return link;
}

// What is fetched only when it is used

/** A part of the page that is fetched only when it is used. */
function loaded(module) {
  return module.catch(() => {
    throw new api.Failure(0, "unreachable", "This part of the page cannot be loaded right now.");
  });
}

/** What can be done with an answer comes to stand below it. An answer can be read without; the next one tries again for all. */
async function equip(article, facts) {
  bare.set(article, facts);
  try {
    const { offer } = await loaded(import("/static/answer.js"));
    const speech = { canSpeak: () => serverSpeaks || voice.hasOwn, hear: (...how) => voice.hear(shown, ...how) };
    for (const [each, known] of bare) offer(each, known, speech);
    bare.clear();
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
  }
}

function lastDeed(name) {
  [...$("log").querySelectorAll(`.deeds .${name}`)].at(-1)?.click();
}

async function openAbove(what) {
  const { open } = await loaded(import("/static/dialogs.js"));
  await open(what, page);
}

/** Where one writes is there at once: whoever has pressed the keys goes on typing. */
async function openFind() {
  $("find").hidden = false;
  $("find-words").focus();
  $("find-words").select();
  try {
    await openAbove("find");
  } catch (failure) {
    $("find").hidden = true;
    throw failure;
  }
}

// What it may know of the page, and do with it.
const page = {
  get shown() {
    return shown;
  },
  get kept() {
    return kept;
  },
  say,
  loaded,
  loadEarlier,
  announce,
  turnTo,
  leaveShown,
  settle: () => attempt(settle),
  askOwed,
  find: () => attempt(openFind),
  keys: openKeys,
  /** Nothing is kept of the person any more, in no tab. */
  forget: () => {
    leave();
    draft.forget();
    write("");
    kept = null;
    // What is still being answered belongs to nobody, and is not said again.
    voice.leave();
    shown = null;
    conversation.clear();
  },
};

function closeFind() {
  if (!$("find").hidden) $("find").querySelector(".close").click();
}

function openKeys() {
  $("keys").showModal();
  $("keys-title").focus();
}

const voice = new Voice(
  { talk: $("talk"), handsFree: $("hands-free"), aloud: $("aloud"), panel: $("voice"), pace: $("pace") },
  {
    conversation,
    session: () => shown,
    isHere,
    serverSpeaks: () => serverSpeaks,
    busy: setBusy,
    awaits: (session, id) => draft.add({ session: session.id, id, isSpoken: true }),
    has: (id) => draft.remove({ id }),
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
  // While an input method is composing, Enter only accepts its proposal. In Safari the composing is over by then; the code tells it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send();
});
$("message").addEventListener("input", isWritten);
document.addEventListener("keydown", (event) => {
  if (!event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  // By what is printed on it; by its place where that is no letter of these.
  const key = /^[a-z]$/i.test(event.key) ? event.key.toUpperCase() : event.code.slice("Key".length);
  const act = event.key === "/" ? openKeys : event.shiftKey && KEYS[key];
  if (!act) return;
  event.preventDefault();
  act();
});
// Where it cannot be kept (no TLS, no room), it does not open without its server, and that is all.
addEventListener("load", () => setTimeout(() => navigator.serviceWorker?.register("/sw.js").catch(() => {}), BEFORE_KEPT_MS));
whenLeft(() => nobodyHere("elsewhere"));
whenDeleted((id) => {
  draft.drop(id);
  if (id === shown?.id) attempt(() => startAnew(DELETED));
});
addEventListener("focus", comeBack);
document.addEventListener("visibilitychange", comeBack);
$("earlier").addEventListener("click", () => attempt(showEarlier));
$("choice").querySelector("button").addEventListener("click", () => attempt(chooseRemembering));
$("new").addEventListener("click", startOver);
for (const [opener, what] of [["list", "conversations"], ["memory", "memories"], ["data", "person"]]) {
  $(opener).addEventListener("click", () => attempt(() => openAbove(what)));
}

// What was written before this ran is as good as a draft.
draft.onChange = showWaiting;
write($("message").value || draft.text);
$("send").disabled = false;
showMode();
attempt(begin);
askOwed();
