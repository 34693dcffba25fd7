// A conversation by voice: who speaks now, and what happens when the other begins.

import { keepAwake } from "/static/voice/awake.js";
import { Ears } from "/static/voice/ears.js";
import { Mouth } from "/static/voice/mouth.js";
import { Pace } from "/static/voice/pace.js";
import { Panel } from "/static/voice/panel.js";
import { VoiceSocket } from "/static/voice/socket.js";

/** The server has not spoken, or not to the end. */
const isMute = (degraded) => degraded?.includes("speech") ?? false;

/**
 * Talks in the page's conversation. `parts` are the elements of the `panel` and the `pace`. `host` is the page: `session()` is the conversation on it, shown by `conversation`, where one `isHere()`;
 * `serverSpeaks()`; `busy(session, is)` that an answer is awaited, `awaits(session, id)` by which name, until `has(id)`: it is there, or given up; `settled(session)`
 * hears that a turn is over; `failed(session, failure, retry)` that it could not be taken; `note(text)` says a word to the person; `changed()`.
 */
export class Talk {
  #host;
  #panel;
  #pace;
  #mouth;
  #ears;
  #socket = null;
  // The turn that is spoken or answered: `{ session, words, reply, text, isAnswered, endedAt }`. A typed one has no words; one
  // that `isPosted` is answered all at once, also when it was interrupted meanwhile; one that `isTooLong` fills a recording, and
  // one that `isQuiet` is answered while somebody speaks on.
  #turn = null;
  // What was said after one that was too long, in its order: to be answered once that is.
  #waiting = [];

  constructor(sound, parts, host) {
    this.#host = host;
    this.#panel = new Panel(parts.panel, () => this.stop());
    this.#pace = new Pace(parts.pace);
    this.#mouth = new Mouth(sound, {
      onSentence: (text, ago) => this.#sentenceBegins(text, ago),
      onSilent: () => this.#fallsSilent(),
      onMute: () => {
        this.#host.note("This browser has no voice of its own. The answer is on the page.");
        this.#fallsSilent();
      },
    });
    this.#ears = new Ears(sound, this.#mouth, {
      level: (level) => {
        this.#panel.level(level);
        this.#show();
      },
      maybe: () => this.#mouth.duck(),
      nothing: () => this.#mouth.unduck(),
      pressed: () => this.#interrupt(),
      begins: (goesOn) => this.#begin(goesOn),
      ending: (isTooLong) => this.#end(isTooLong),
      givesUp: () => this.#dropWords(),
      trouble: (text) => this.#host.note(text),
      changed: () => this.#show(),
    });
  }

  get handsFree() {
    return this.#ears.free;
  }

  /** Somebody speaks, or something is being said. */
  get active() {
    return this.#turn !== null || this.#ears.state !== "off";
  }

  /** Somebody is being recorded. */
  get records() {
    return this.#ears.speaking;
  }

  press() {
    this.#host.note("");
    if (!this.#ears.speaking && this.#refuses()) return;
    return this.#ears.press();
  }

  release() {
    this.#ears.release();
  }

  listen(wanted) {
    this.#host.note("");
    if (wanted && this.#refuses()) return;
    if (wanted) this.#connection(this.#host.session()).warmUp();
    return this.#ears.listen(wanted);
  }

  /** What is said before the conversation is there would go with the one before it. */
  #refuses() {
    if (this.#host.isHere()) return false;
    this.#host.note("The conversation is on its way. Please talk once it is here.");
    return true;
  }

  /** Drops what is being recorded, or what is being said; with neither, listens no longer. */
  stop() {
    if (this.#ears.speaking) this.#dropRecording();
    else if (this.#turn) this.#interrupt();
    else this.#ears.listen(false);
    this.#show();
  }

  /** Stops what is being said, not what is being recorded. */
  hush() {
    if (!this.#ears.speaking) this.#interrupt();
    this.#show();
  }

  /** The page turns to another conversation. */
  leave() {
    this.#dropRecording();
    this.#interrupt();
    this.#show();
    this.#socket?.close();
    this.#socket = null;
  }

  /** The page is closed or loaded anew: so much was heard of what is being said. What has not begun to be said is answered all the same. */
  away() {
    if (this.#turn?.words && this.#mouth.playedMs > 0) this.#interrupt();
  }

  /**
   * Says the answer to a turn that was typed: returns where its text goes, the files of its sentences, and its end; or null, as
   * nobody is talked over.
   */
  readAloud(session, reply) {
    if (this.#ears.speaking) return null;
    this.#interrupt();
    const turn = { session, words: null, reply, text: "", isAnswered: false, endedAt: performance.now() };
    this.#turn = turn;
    this.#mouth.begin(this.#host.serverSpeaks());
    this.#show();
    const ifStill = (act) => (value) => {
      if (turn === this.#turn) act(value);
    };
    return {
      text: ifStill((piece) => this.#mouth.text(piece)),
      file: ifStill((url) => this.#mouth.file(url)),
      end: ifStill((degraded) => {
        turn.isMute = isMute(degraded);
        this.#complete();
      }),
      fail: ifStill(() => this.hush()),
    };
  }

  /**
   * Says an answer once more, the server's `sound` of it or else with the browser's voice; `onEnd` hears when that is over, at
   * once while somebody speaks.
   */
  hearAgain(session, text, sound, reply, onEnd) {
    if (this.#ears.speaking) return onEnd();
    this.#interrupt();
    this.#turn = { session, words: null, reply, text, isAnswered: false, isAgain: true, isMute: true, endedAt: null, onEnd };
    this.#mouth.begin(this.#host.serverSpeaks());
    this.#mouth.text(text);
    if (this.#host.serverSpeaks()) this.#mouth.stream(sound(session.id));
    this.#complete();
  }

  /** The turn that is being recorded, or null. */
  get #recorded() {
    const turn = this.#waiting.at(-1) ?? this.#turn;
    return turn?.words && !turn.reply && turn.endedAt === null ? turn : null;
  }

  #connection(session) {
    if (this.#socket?.session === session.id) return this.#socket;
    this.#socket?.close();
    this.#socket = new VoiceSocket(session.id, {
      message: (message) => this.#hear(message),
      sound: (bytes) => this.#mouth.sound(bytes),
      again: () => this.#startOver(),
      posts: (turn) => {
        turn.isPosted = true;
      },
      whole: (turn, answer) => this.#hearWhole(turn, answer),
      failed: (turn, failure) => this.#fail(turn, failure),
      settled: (turn) => this.#host.settled(turn.session),
      full: () => this.#ears.breakOff(),
    });
    return this.#socket;
  }

  /** Somebody speaks. Who `goesOn` after what was too long does not interrupt it; nor is its answer read to them. */
  #begin(goesOn) {
    const waits = goesOn && this.#isAwaited;
    if (waits) this.#quieten();
    else this.#interrupt();
    const session = this.#host.session();
    const words = this.#host.conversation.listen();
    const turn = { session, words, reply: null, text: "", isAnswered: false, endedAt: null };
    if (waits) this.#waiting.push(turn);
    else this.#turn = turn;
    turn.recording = this.#connection(session).start(turn);
    return turn.recording;
  }

  /** What somebody said is not answered yet. */
  get #isAwaited() {
    const turn = this.#turn;
    return turn?.words && turn.reply && !turn.isAnswered;
  }

  #quieten() {
    this.#turn.isQuiet = true;
    this.#turn.reply.point(null);
    this.#mouth.stop();
  }

  /** The person has ended; now the companion answers. */
  #end(isTooLong) {
    const turn = this.#recorded;
    if (!turn) return;
    turn.endedAt = performance.now();
    turn.isTooLong = isTooLong;
    this.#host.awaits(turn.session, turn.recording.id);
    if (turn === this.#turn) this.#await(turn);
    else this.#show();
  }

  #await(turn) {
    turn.reply = this.#host.conversation.reply();
    turn.text = "";
    turn.isQuiet = this.#waiting.length > 0;
    this.#host.busy(turn.session, true);
    if (!turn.isQuiet) this.#mouth.begin(this.#host.serverSpeaks());
    this.#show();
  }

  /** A turn is over; what was said after it is next. */
  #goOn() {
    this.#turn = this.#waiting.shift() ?? null;
    if (this.#turn && this.#turn.endedAt !== null) this.#await(this.#turn);
    this.#show();
  }

  #hear({ type, text, final, degraded, memories, code, message, interrupted }) {
    const turn = this.#turn;
    if (!turn?.words) return;
    if (type === "transcription") turn.words.hear(text, final);
    if (type === "response_delta") this.#grow(turn, text);
    if (type === "response") this.#answer(turn, text, degraded, { memories });
    if (type === "audio_start") this.#mouth.sentence(text);
    if (type === "audio_end" && !interrupted) this.#complete();
    if (type === "error") this.#fail(turn, { code, message });
  }

  /** The answer to a turn that went as a form. One that was interrupted meanwhile is still read. */
  #hearWhole(turn, { transcription, text, audio_url: url, degraded, memories }) {
    turn.words.hear(transcription, true);
    this.#answer(turn, text, degraded, { audio: url, memories });
    if (turn !== this.#turn) {
      turn.words.end();
      return this.#host.settled(turn.session);
    }
    if (url) this.#mouth.file(url, text);
    else turn.isMute = true;
    this.#complete();
  }

  #grow(turn, piece) {
    turn.text += piece;
    turn.reply?.append(piece);
    this.#mouth.text(piece);
  }

  #answer(turn, text, degraded, facts) {
    turn.isMute = isMute(degraded);
    if (turn === this.#turn && text.startsWith(turn.text)) this.#mouth.text(text.slice(turn.text.length));
    turn.text = text;
    this.#host.has(turn.recording.id);
    turn.reply?.finish(text, facts);
    if (text === "") turn.reply?.discard();
    if (turn === this.#turn) this.#host.busy(turn.session, false);
  }

  /** Nothing more comes. What is said may still be heard for a while. */
  #complete() {
    const turn = this.#turn;
    if (turn.isAnswered) return;
    turn.isAnswered = true;
    if (turn.words) {
      this.#socket.forget(turn);
      turn.words.end();
      this.#host.busy(turn.session, false);
      this.#host.settled(turn.session);
    }
    if (turn.isQuiet) return this.#goOn();
    this.#mouth.end(turn.isMute);
    this.#show();
  }

  /** The connection was lost: the answer comes anew. */
  #startOver() {
    const turn = this.#turn;
    if (!turn?.reply) return;
    turn.reply.discard();
    turn.before = this.#heardOf(turn);
    this.#mouth.stop();
    this.#await(turn);
  }

  /** The most that was heard of its answer: of what comes now, or of what came before a connection was lost. */
  #heardOf({ before }) {
    const { playedMs, heard } = this.#mouth;
    return before?.playedMs > playedMs ? before : { playedMs, heard };
  }

  #fail(turn, failure) {
    this.#host.has(turn.recording.id);
    turn.reply?.discard();
    turn.words.end("(what you said)");
    if (turn !== this.#turn) return;
    if (turn === this.#recorded) this.#ears.discard();
    this.#socket.forget(turn);
    this.#mouth.stop();
    this.#host.busy(turn.session, false);
    this.#goOn();
    this.#host.failed(turn.session, failure, () => this.#retry(turn, failure));
  }

  /** It waits on while somebody speaks; where its conversation is gone, it is taken in the one that is there instead. */
  #retry(turn, failure) {
    if (this.#ears.speaking) return this.#host.failed(turn.session, failure, () => this.#retry(turn, failure));
    this.#interrupt();
    this.#turn = turn;
    const session = this.#host.session();
    const isHere = session === turn.session;
    turn.session = session;
    turn.isPosted = false;
    turn.endedAt = null;
    turn.words.again();
    this.#await(turn);
    if (isHere) turn.recording.retry();
    else turn.recording = turn.recording.into(this.#connection(turn.session));
    this.#host.awaits(session, turn.recording.id);
  }

  /** Ends the turn under way, whatever it has come to. */
  #interrupt() {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = null;
    if (turn.words) this.#host.has(turn.recording.id);
    for (const { words, recording } of this.#waiting.splice(0)) {
      this.#host.has(recording.id);
      words.discard();
    }
    const { playedMs, heard } = this.#heardOf(turn);
    this.#mouth.stop();
    turn.reply?.point(null);
    turn.onEnd?.();
    if (!turn.words) return;
    this.#host.busy(turn.session, false);
    this.#socket.interrupt(playedMs);
    if (turn.isPosted) return;
    turn.words.end();
    turn.reply?.cut(heard);
  }

  #dropRecording() {
    if (!this.#ears.speaking) return;
    this.#ears.discard();
    this.#dropWords();
  }

  #dropWords() {
    const turn = this.#recorded;
    if (!turn) return;
    if (turn === this.#turn) this.#turn = null;
    else this.#waiting.pop();
    turn.words.discard();
    turn.recording.drop();
    this.#show();
  }

  /** It began so many milliseconds ago. */
  #sentenceBegins(text, ago = 0) {
    const turn = this.#turn;
    if (!turn) return;
    if (turn.words && turn.endedAt !== null) this.#firstSound(performance.now() - ago - turn.endedAt);
    turn.endedAt = null;
    turn.reply?.point(text);
    this.#panel.caption(text);
    this.#show();
  }

  #firstSound(afterMs) {
    this.#pace.add(afterMs);
    this.#socket.firstSound(afterMs);
  }

  #fallsSilent() {
    const turn = this.#turn;
    turn?.reply?.point(null);
    if (turn?.isAnswered) this.#turn = null;
    turn?.onEnd?.();
    this.#show();
  }

  #show() {
    this.#panel.show(this.#phase());
    keepAwake(this.active);
    this.#host.changed();
  }

  #phase() {
    const { state, free, deaf } = this.#ears;
    if (!["listening", "off"].includes(state)) return state;
    if (this.#mouth.sounding) return free ? (deaf ? "deaf" : "speaking") : "aloud";
    if (!this.#turn) return state;
    if (this.#turn.isTooLong) return "full";
    return this.#turn.isAgain ? "fetching" : "thinking";
  }
}
