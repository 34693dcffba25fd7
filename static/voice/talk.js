// A conversation by voice: who speaks now, and what happens when the other begins.

import { Ears } from "/static/voice/ears.js";
import { Mouth } from "/static/voice/mouth.js";
import { Panel } from "/static/voice/panel.js";
import { VoiceSocket } from "/static/voice/socket.js";

const KEPT_DELAYS = 100;

/** The server has not spoken, or not to the end. */
const isMute = (degraded) => degraded?.includes("speech") ?? false;

/**
 * Talks in the page's conversation. `host` is the page: `session()` is the conversation on it, shown by `conversation`;
 * `serverSpeaks()`; `busy(session, is)` that an answer is awaited; `settled(session)` hears that a turn is over; `failed(session, failure, retry)` that it could not be taken; `note(text)` says a word to the
 * person; `changed()`.
 */
export class Talk {
  #host;
  #panel;
  #mouth;
  #ears;
  #socket = null;
  // The turn that is spoken or answered: `{ session, words, reply, text, isAnswered, endedAt }`. A typed one has no words.
  #turn = null;
  // Its end has to come before anything that is said belongs to a later turn.
  #interrupted = null;
  #delays = [];

  constructor(sound, root, host) {
    this.#host = host;
    this.#panel = new Panel(root, () => this.stop());
    this.#mouth = new Mouth(sound, {
      onSentence: (text) => this.#sentenceBegins(text),
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
      begins: () => this.#begin(),
      ending: () => this.#end(),
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
    return this.#ears.press();
  }

  release() {
    this.#ears.release();
  }

  listen(wanted) {
    this.#host.note("");
    if (wanted) this.#connection(this.#host.session()).warmUp();
    return this.#ears.listen(wanted);
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
    this.#interrupted = null;
  }

  /** Says the answer to a turn that was typed: returns where its text goes, the files of its sentences, and its end. */
  readAloud(session, reply) {
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
      fail: ifStill(() => this.#interrupt()),
    };
  }

  #connection(session) {
    if (this.#socket?.session === session.id) return this.#socket;
    this.#socket?.close();
    this.#socket = new VoiceSocket(session.id, {
      message: (message) => this.#hear(message),
      sound: (bytes) => {
        if (!this.#interrupted) this.#mouth.sound(bytes);
      },
      again: () => this.#startOver(),
      lost: () => this.#fail({ code: "unreachable", message: "The companion cannot be reached right now." }),
      full: () => this.#ears.finish(),
    });
    return this.#socket;
  }

  #begin() {
    this.#interrupt();
    const session = this.#host.session();
    const words = this.#host.conversation.listen();
    this.#turn = { session, words, reply: null, text: "", isAnswered: false, endedAt: null };
    return this.#connection(session).start();
  }

  /** The person has ended; now the companion answers. */
  #end() {
    const turn = this.#turn;
    if (!turn) return;
    turn.endedAt = performance.now();
    this.#await(turn);
  }

  #await(turn) {
    turn.reply = this.#host.conversation.reply();
    turn.text = "";
    this.#host.busy(turn.session, true);
    this.#mouth.begin(this.#host.serverSpeaks());
    this.#show();
  }

  #hear({ type, text, final, degraded, code, message, interrupted }) {
    if (this.#interrupted) {
      if (type === "audio_end" || type === "error") this.#interruptionEnded();
      return;
    }
    const turn = this.#turn;
    if (!turn?.words) return;
    if (type === "transcription") turn.words.hear(text, final);
    if (type === "response_delta") this.#grow(turn, text);
    if (type === "response") this.#answer(turn, text, degraded);
    if (type === "audio_start") this.#mouth.sentence(text);
    if (type === "audio_end" && !interrupted) this.#complete();
    if (type === "error") this.#fail({ code, message });
  }

  #grow(turn, piece) {
    turn.text += piece;
    turn.reply?.append(piece);
    this.#mouth.text(piece);
  }

  #answer(turn, text, degraded) {
    turn.isMute = isMute(degraded);
    if (text.startsWith(turn.text)) this.#mouth.text(text.slice(turn.text.length));
    turn.text = text;
    turn.reply?.finish(text);
    if (text === "") turn.reply?.discard();
    this.#host.busy(turn.session, false);
  }

  /** Nothing more comes. What is said may still be heard for a while. */
  #complete() {
    const turn = this.#turn;
    if (turn.isAnswered) return;
    turn.isAnswered = true;
    if (turn.words) {
      this.#socket.forget();
      turn.words.end();
      this.#host.busy(turn.session, false);
      this.#host.settled(turn.session);
    }
    this.#mouth.end(turn.isMute);
    this.#show();
  }

  /** The connection was lost: the answer comes anew. */
  #startOver() {
    const turn = this.#turn;
    if (!turn?.reply) return;
    turn.reply.discard();
    this.#mouth.stop();
    this.#await(turn);
  }

  #fail(failure) {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = null;
    this.#mouth.stop();
    this.#ears.discard();
    turn.reply?.discard();
    turn.words.end("(what you said)");
    this.#host.busy(turn.session, false);
    this.#show();
    this.#host.failed(turn.session, failure, () => this.#retry(turn));
  }

  #retry(turn) {
    this.#interrupt();
    this.#turn = turn;
    turn.words.again();
    this.#await(turn);
    this.#socket.retry();
  }

  /** Ends the turn under way, whatever it has come to. */
  #interrupt() {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = null;
    const [played, heard] = [this.#mouth.playedMs, this.#mouth.heard];
    this.#mouth.stop();
    turn.reply?.point(null);
    if (!turn.words) return;
    this.#host.busy(turn.session, false);
    this.#socket.interrupt(played);
    turn.words.end();
    turn.reply?.cut(heard);
    // Its end has not been heard yet.
    if (turn.reply && !turn.isAnswered) this.#interrupted = turn;
  }

  #interruptionEnded() {
    const { session } = this.#interrupted;
    this.#interrupted = null;
    this.#host.settled(session);
  }

  #dropRecording() {
    if (!this.#ears.speaking) return;
    this.#ears.discard();
    this.#dropWords();
  }

  #dropWords() {
    const turn = this.#turn;
    if (!turn?.words || turn.reply) return;
    this.#turn = null;
    turn.words.discard();
    this.#socket.interrupt();
    this.#show();
  }

  #sentenceBegins(text) {
    const turn = this.#turn;
    if (!turn) return;
    if (turn.endedAt !== null) this.#told(performance.now() - turn.endedAt);
    turn.endedAt = null;
    turn.reply?.point(text);
    this.#panel.caption(text);
    this.#show();
  }

  #told(delay) {
    this.#delays.push(delay);
    if (this.#delays.length > KEPT_DELAYS) this.#delays.shift();
    this.#panel.pace(this.#delays);
  }

  #fallsSilent() {
    const turn = this.#turn;
    turn?.reply?.point(null);
    if (turn?.isAnswered) this.#turn = null;
    this.#show();
  }

  #show() {
    this.#panel.show(this.#phase());
    this.#host.changed();
  }

  #phase() {
    const { state, free, deaf } = this.#ears;
    if (!["listening", "off"].includes(state)) return state;
    if (this.#mouth.sounding) return free ? (deaf ? "deaf" : "speaking") : "aloud";
    if (this.#turn) return "thinking";
    return state;
  }
}
