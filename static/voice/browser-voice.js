// Reads an answer with the browser's own voice, where the server has none.
//
// Bound: 256 sentences waiting; what comes beyond is not read, its text is still on the page.

import { Sentences } from "/static/voice/sentences.js";

const MOST_SENTENCES = 256;
// Some browsers have a voice in name only: nothing begins, and nothing fails.
const BEGINS_WITHIN_MS = 4000;

export class BrowserVoice {
  #onSentence;
  #onSilent;
  #onMute;
  #sentences = null;
  #waiting = [];
  #now = null;
  #ended = true;
  #timer;

  /** `onMute` hears that the browser has no voice after all. */
  constructor({ onSentence, onSilent, onMute }) {
    this.#onSentence = onSentence;
    this.#onSilent = onSilent;
    this.#onMute = onMute;
  }

  static get exists() {
    return typeof speechSynthesis !== "undefined";
  }

  /** There is an answer that has not been read to its end. */
  get playing() {
    return this.#sentences !== null;
  }

  /** Some of it can be heard. */
  get sounding() {
    return this.#now !== null;
  }

  begin() {
    this.stop();
    this.#sentences = new Sentences();
    this.#ended = false;
  }

  /** The next piece of the text. */
  add(piece) {
    if (!this.playing || this.#ended) return;
    this.#take(this.#sentences.add(piece));
  }

  /** There is no more text. */
  end() {
    if (!this.playing || this.#ended) return;
    this.#ended = true;
    this.#take(this.#sentences.end());
    this.#next();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#sentences = null;
    this.#waiting = [];
    this.#ended = true;
    if (!this.#now) return;
    this.#now = null;
    speechSynthesis.cancel();
  }

  #take(sentences) {
    this.#waiting.push(...sentences.slice(0, MOST_SENTENCES - this.#waiting.length));
    this.#next();
  }

  #next() {
    if (!this.playing || this.#now) return;
    const text = this.#waiting.shift();
    if (text !== undefined) return this.#read(text);
    if (!this.#ended) return;
    this.stop();
    this.#onSilent();
  }

  #read(text) {
    const reading = new SpeechSynthesisUtterance(text);
    reading.lang = navigator.language;
    reading.onstart = () => {
      clearTimeout(this.#timer);
      if (this.#now === reading) this.#onSentence(text);
    };
    reading.onend = () => this.#goOn(reading);
    reading.onerror = () => this.#fail(reading);
    this.#now = reading;
    this.#timer = setTimeout(() => this.#fail(reading), BEGINS_WITHIN_MS);
    speechSynthesis.speak(reading);
  }

  #goOn(reading) {
    if (this.#now !== reading) return;
    this.#now = null;
    this.#next();
  }

  #fail(reading) {
    if (this.#now !== reading) return;
    this.stop();
    this.#onMute();
  }
}
