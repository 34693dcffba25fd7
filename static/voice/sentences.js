// Cuts a growing text into sentences that can be spoken.

// A full stop and what closes after it, before a space; "3.5" and "e.g." go on. CJK stops need no space.
const END = /(?:[.!?…]+["'”’»)\]]*(?=\s)|[。！？]|\n+)/gu;
const ABBREVIATION =
  /(?:^|\s)(?:\p{L}|\p{L}\.\p{L}|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|approx|No|Nr|bzw|ca|evtl|usw)\.$/u;
// "2. Breathe", "am 3. Oktober": a number that says which one. "I am 30." ends.
const ORDINAL =
  /(?:^\s*|(?<!\bI )\b(?:ab|am|bis|das|de[mnrs]|die|im|seit|vom|zu[mr])\s)\d{1,2}\.$/iu;
const SPEAKABLE = /[\p{L}\p{N}]/u;

export class Sentences {
  #text = "";

  /** Adds a piece; returns the sentences that are complete now. */
  add(piece) {
    this.#text += piece;
    const complete = [];
    let from = 0;
    for (const { 0: stop, index } of this.#text.matchAll(END)) {
      const sentence = this.#text.slice(from, index + stop.length);
      if (ABBREVIATION.test(sentence) || ORDINAL.test(sentence)) continue;
      complete.push(sentence);
      from = index + stop.length;
    }
    this.#text = this.#text.slice(from);
    return spoken(complete);
  }

  /** What is left when the text ends. */
  end() {
    const rest = this.#text;
    this.#text = "";
    return spoken([rest]);
  }
}

const spoken = (sentences) => sentences.map((sentence) => sentence.trim()).filter((sentence) => SPEAKABLE.test(sentence));
