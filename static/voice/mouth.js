// Says an answer: with the server's sound where it comes, and with the browser's own voice what came without.

import { BrowserVoice } from "/static/voice/browser-voice.js";
import { Player } from "/static/voice/player.js";
import { Sentences } from "/static/voice/sentences.js";

// A sentence whose file does not come within that time is left out; its text is on the page.
const FILE_MS = 20_000;

function sentencesOf(text) {
  const sentences = new Sentences();
  return [...sentences.add(text), ...sentences.end()];
}

export class Mouth {
  #player;
  #voice;
  #onSilent;
  #serverSpeaks = true;
  #isMute = false;
  // The answer so far, and up to where the server has said it itself.
  #text = "";
  #said = 0;
  #ended = true;
  // Which answer it is, so that what comes late for an earlier one is not taken for this one's.
  #answer = 0;
  #files = Promise.resolve();

  /** `onSentence` gets what begins to be said, and how many milliseconds ago if it is late; `onSilent` hears the end, `onMute` that nobody can say it. */
  constructor(sound, { onSentence, onSilent, onMute }) {
    this.#onSilent = onSilent;
    this.#player = new Player(sound, { onSentence, onSilent: () => this.#readTheRest() });
    this.#voice = new BrowserVoice({ onSentence, onSilent, onMute });
  }

  /** There is something left to say. */
  get busy() {
    return this.#player.playing || this.#voice.playing;
  }

  /** It can be heard. */
  get sounding() {
    return this.#player.sounding || this.#voice.sounding;
  }

  /** No echo cancellation knows of the browser's own voice. */
  get isUncancelled() {
    return this.#voice.sounding;
  }

  /** The server's sound, as it is heard. */
  get output() {
    return this.#player.output;
  }

  /** How much of the server's sound was heard, in milliseconds; undefined where there is none, or where the browser goes on after it. */
  get playedMs() {
    return this.#serverSpeaks && !this.#voice.sounding ? this.#player.playedMs : undefined;
  }

  /** What was heard of the text: whole words, as far as the sentence that plays has come. All of it where nobody can tell. */
  get heard() {
    if (!this.#serverSpeaks || this.#voice.sounding) return this.#text;
    const { text, share } = this.#player.position;
    const at = text === "" ? -1 : this.#text.lastIndexOf(text, this.#said);
    if (at < 0) return text === null ? "" : this.#text;
    const words = text.slice(0, Math.floor(text.length * share));
    const isWhole = /^(\s|$)/.test(text.slice(words.length));
    return this.#text.slice(0, at) + (isWhole ? words : words.replace(/\S*$/, "")).trimEnd();
  }

  /** An answer begins. */
  begin(serverSpeaks) {
    this.stop();
    this.#serverSpeaks = serverSpeaks;
    this.#text = "";
    this.#said = 0;
    this.#ended = false;
    if (serverSpeaks) this.#player.begin();
    else if (BrowserVoice.exists) this.#voice.begin();
  }

  /** Its text grows. */
  text(piece) {
    this.#text += piece;
    this.#voice.add(piece);
  }

  /** The server says this sentence; the sound follows. */
  sentence(text) {
    const at = this.#text.indexOf(text, this.#said);
    if (at >= 0) this.#said = at + text.length;
    this.#player.sentence(text);
  }

  sound(bytes) {
    this.#player.add(bytes);
  }

  /** The next sentence, or all of `whole`, lies in this file. Files are fetched at once and played in their order. */
  file(url, whole = "") {
    const answer = this.#answer;
    const fetched = fetch(url, { signal: AbortSignal.timeout(FILE_MS) }).then((file) => (file.ok ? file.arrayBuffer() : null)).catch(() => null);
    this.#files = this.#files.then(async () => {
      const bytes = await fetched;
      if (!bytes || answer !== this.#answer) return;
      this.#said = this.#text.length;
      this.#player.sentence("", sentencesOf(whole));
      this.#player.add(new Uint8Array(bytes));
    });
  }

  /** All of it lies in this answer of the server's, or null: played as it comes. */
  stream(asked) {
    const answer = this.#answer;
    this.#files = this.#files.then(async () => {
      const pieces = (await asked)?.body.getReader();
      if (!pieces) return;
      if (answer === this.#answer) this.#player.sentence("", sentencesOf(this.#text));
      for (;;) {
        const { value, done } = await pieces.read();
        if (done || answer !== this.#answer) return pieces.cancel();
        this.#said = this.#text.length;
        this.#player.add(value);
      }
    }).catch(() => {
      // It broke off: what came of it is heard.
    });
  }

  /** The answer is complete; `isMute` tells that the server could not say all of it. */
  end(isMute) {
    if (this.#ended) return;
    this.#ended = true;
    this.#isMute = isMute;
    this.#voice.end();
    const answer = this.#answer;
    this.#files.then(() => {
      if (answer === this.#answer) this.#player.end();
    });
  }

  duck() {
    this.#player.duck();
  }

  unduck() {
    this.#player.unduck();
  }

  stop() {
    this.#answer += 1;
    this.#files = Promise.resolve();
    this.#ended = true;
    this.#player.stop();
    this.#voice.stop();
  }

  /** The server has nothing more to say. Where it fell silent before the end, the browser goes on. */
  #readTheRest() {
    const rest = this.#text.slice(this.#said);
    if (!this.#isMute || !/[\p{L}\p{N}]/u.test(rest) || !BrowserVoice.exists) return this.#onSilent();
    this.#voice.begin();
    this.#voice.add(rest);
    this.#voice.end();
  }
}
