// Plays an answer sentence by sentence, each as soon as it can be decoded, and knows what was heard of it.
//
// Bounds: 32 MiB of sound and 256 sentences waiting; what comes beyond is not played, its text is still on the page.

const MOST_BYTES = 32 << 20;
const MOST_SENTENCES = 256;
// A sentence whose sound is still coming is played as far as it is there, once so much time is left of what plays.
const LEAD_S = 0.25;
// A whole one is decoded once so much is left.
const AHEAD_S = 2;
// What of an unfinished file the decoder may not have to itself yet.
const HELD_BACK_S = 0.05;
// Thirty decibels quieter: a cough can make echo cancellation lose its way, and then nothing may come back as if it were speech.
const DUCKED = 0.03;
const RAMP_S = 0.01;
const LOOK_MS = 50;

/** The length a WAV file says it has; it is whole when it is there. */
function saidLength(bytes) {
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(0, 4)) !== "RIFF") return Infinity;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true) + 8;
}

function joined(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export class Player {
  #sound;
  #gain;
  #onSentence;
  #onSilent;
  // Sentences that are not scheduled to their end.
  #waiting = [];
  #bytes = 0;
  // What is scheduled: `{ sentence, at, lasts, source }` in the sound's own time.
  #parts = [];
  #ended = true;
  #busy = false;
  #look = null;
  #current = null;
  #pointed = null;

  /** `onSentence` gets the text of the sentence that plays and how many milliseconds ago it began; `onSilent` hears that all has been played. */
  constructor(sound, { onSentence, onSilent }) {
    this.#sound = sound;
    this.#onSentence = onSentence;
    this.#onSilent = onSilent;
    this.#gain = sound.createGain();
    this.#gain.connect(sound.destination);
  }

  /** There is an answer that has not been played to its end. */
  get playing() {
    return this.#look !== null;
  }

  /** Some of it can be heard. */
  get sounding() {
    return this.#parts.length > 0;
  }

  /** What it plays, as it is heard. */
  get output() {
    return this.#gain;
  }

  /** How much of the answer was heard, in milliseconds of its sound. */
  get playedMs() {
    const now = this.#now();
    const heard = this.#parts.map(({ at, lasts }) => Math.min(Math.max(now - at, 0), lasts));
    return Math.round(1000 * heard.reduce((sum, part) => sum + part, 0));
  }

  /** The sentence that plays, or played last, and how much of it was heard, from 0 to 1. Its text is null before the first. */
  get position() {
    const now = this.#now();
    const part = this.#parts.findLast(({ at }) => at <= now);
    if (!part) return { text: null, share: 0 };
    const { text, scheduled } = part.sentence;
    return { text, share: this.#heardOf(part.sentence, now) / scheduled };
  }

  /** An answer begins; its sentences follow. */
  begin() {
    this.stop();
    this.#ended = false;
    this.#gain.gain.value = 1;
    this.#look = setInterval(() => this.#go(), LOOK_MS);
  }

  /** The next sentence; its sound follows. Several that lie in one sound are given `within` it: they are told as its time passes. */
  sentence(text, within = []) {
    if (this.#ended) return;
    const last = this.#waiting.at(-1);
    if (last) last.whole = true;
    if (this.#waiting.length < MOST_SENTENCES) {
      this.#waiting.push({ text, within, pieces: [], size: 0, tried: 0, decoded: 0, scheduled: 0, whole: false });
    }
    this.#go();
  }

  /** The next piece of its sound. */
  add(bytes) {
    const sentence = this.#waiting.at(-1);
    if (this.#ended || !sentence || sentence.whole || this.#bytes + bytes.length > MOST_BYTES) return;
    sentence.pieces.push(bytes);
    sentence.size += bytes.length;
    this.#bytes += bytes.length;
    sentence.whole = sentence.size >= saidLength(sentence.pieces[0]);
    this.#go();
  }

  /** There are no more sentences. */
  end() {
    const last = this.#waiting.at(-1);
    if (last) last.whole = true;
    this.#ended = true;
    this.#go();
  }

  /** Quieter, while somebody may be speaking. */
  duck() {
    this.#fade(DUCKED);
  }

  unduck() {
    this.#fade(1);
  }

  /** Falls silent at once. */
  stop() {
    for (const { source } of this.#parts) source.stop();
    this.#parts = [];
    this.#waiting = [];
    this.#bytes = 0;
    this.#ended = true;
    clearInterval(this.#look);
    this.#look = null;
    this.#current = null;
    this.#pointed = null;
  }

  #now() {
    return this.#sound.currentTime - (this.#sound.outputLatency || 0);
  }

  #fade(gain) {
    this.#gain.gain.setTargetAtTime(gain, this.#sound.currentTime, RAMP_S);
  }

  #until() {
    const last = this.#parts.at(-1);
    return last ? last.at + last.lasts : 0;
  }

  /** Decodes what is next, points to what plays, and notices the end. */
  #go() {
    if (!this.playing) return;
    const now = this.#now();
    const playing = this.#parts.findLast(({ at }) => at <= now);
    if (playing) this.#point(playing.sentence, now);
    if (!this.#busy) this.#decodeNext();
    if (this.#ended && !this.#busy && this.#waiting.length === 0 && now >= this.#until()) {
      this.stop();
      this.#onSilent();
    }
  }

  #point(sentence, now) {
    const text = this.#textAt(sentence, now);
    if (sentence === this.#current && text === this.#pointed) return;
    this.#current = sentence;
    this.#pointed = text;
    const { at } = this.#parts.find((part) => part.sentence === sentence);
    this.#onSentence(text, 1000 * (now - at));
  }

  /** For how many seconds it was heard. */
  #heardOf(sentence, now) {
    const parts = this.#parts.filter((part) => part.sentence === sentence);
    return parts.reduce((sum, { at, lasts }) => sum + Math.min(Math.max(now - at, 0), lasts), 0);
  }

  /** What of it is being said: of several sentences the one that its share of the text has come to, once its length is known. */
  #textAt(sentence, now) {
    const { text, within, whole, scheduled, size, decoded } = sentence;
    if (!whole || within.length === 0) return within[0] ?? text;
    const share = this.#heardOf(sentence, now) / ((scheduled * size) / decoded);
    let left = share * within.reduce((sum, { length }) => sum + length, 0);
    return within.find(({ length }) => (left -= length) < 0) ?? within.at(-1);
  }

  /** Decodes what will be needed soon, not more: decoded sound is large. */
  async #decodeNext() {
    const sentence = this.#waiting[0];
    if (!sentence || !this.#isTime(sentence)) return;
    this.#busy = true;
    const { whole, size } = sentence;
    sentence.tried = size;
    const decoded = await this.#sound.decodeAudioData(joined(sentence.pieces).buffer).catch(() => null);
    this.#busy = false;
    // It may have been stopped meanwhile.
    if (this.#waiting[0] !== sentence) return this.#go();
    if (decoded) this.#schedule(sentence, decoded, whole);
    sentence.decoded = size;
    if (whole) this.#drop(sentence);
    this.#go();
  }

  #isTime({ whole, size, tried }) {
    const left = this.#until() - this.#sound.currentTime;
    return whole ? left < AHEAD_S : size > tried && left < LEAD_S;
  }

  #drop(sentence) {
    this.#waiting.shift();
    this.#bytes -= sentence.size;
  }

  #schedule(sentence, decoded, whole) {
    const lasts = decoded.duration - sentence.scheduled - (whole ? 0 : HELD_BACK_S);
    if (lasts <= 0) return;
    const source = this.#sound.createBufferSource();
    source.buffer = decoded;
    source.connect(this.#gain);
    const at = Math.max(this.#until(), this.#sound.currentTime + 0.01);
    source.start(at, sentence.scheduled, lasts);
    source.onended = () => {
      source.buffer = null;
    };
    this.#parts.push({ sentence, at, lasts, source });
    sentence.scheduled += lasts;
  }
}
