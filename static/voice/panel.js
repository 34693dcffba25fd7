// Shows how the voice fares: what happens now, how loud it is, and what is being said.

const QUIETEST = -60;

const WORDS = {
  off: "",
  opening: "Opening the microphone…",
  listening: "Listening. Just speak.",
  held: "Listening. Let go when you are done.",
  tapped: "Listening. Tap again when you are done.",
  free: "Listening to you…",
  thinking: "Thinking…",
  full: "That was as long as one turn can be. Thinking…",
  fetching: "One moment…",
  speaking: "Speaking. Talk to interrupt.",
  aloud: "Speaking.",
  deaf: "Speaking. Your microphone hears me as well: press Stop to interrupt.",
};

export class Panel {
  #root;
  #phase;
  #caption;
  #stop;

  constructor(root, onStop) {
    const part = (name) => root.querySelector(name);
    this.#root = root;
    this.#phase = part(".phase");
    this.#caption = part(".caption");
    this.#stop = part(".stop");
    this.#stop.addEventListener("click", onStop);
  }

  /** What happens now: one of the names above. */
  show(phase) {
    const before = this.#root.dataset.phase;
    if (before === phase) return;
    this.#root.dataset.phase = phase;
    this.#root.hidden = phase === "off";
    this.#phase.textContent = WORDS[phase];
    if (!["speaking", "aloud", "deaf"].includes(phase)) this.caption("");
    if (["off", "thinking", "full", "fetching"].includes(phase)) this.level(-Infinity);
  }

  /** How loud the microphone is, in decibels of full scale. */
  level(decibels) {
    const share = Math.min(1, Math.max(0, 1 - decibels / QUIETEST));
    this.#root.style.setProperty("--level", share.toFixed(2));
  }

  /** The sentence that is being said. */
  caption(text) {
    this.#caption.textContent = text;
  }
}
