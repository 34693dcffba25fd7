// Measures how loud the microphone is, and what the page plays meanwhile, frame by frame. Runs beside the page, as an audio
// worklet: whatever keeps the page busy, the two belong to the same moment.

class Levels extends AudioWorkletProcessor {
  #length;
  #squares = [0, 0];
  #samples = 0;

  constructor({ processorOptions: { frameMs } }) {
    super();
    this.#length = Math.round((sampleRate * frameMs) / 1000);
  }

  process([[heard = []], [played = []]]) {
    for (let n = 0; n < heard.length; n += 1) {
      this.#squares[0] += heard[n] ** 2;
      this.#squares[1] += (played[n] ?? 0) ** 2;
      this.#samples += 1;
      if (this.#samples === this.#length) this.#tell();
    }
    return true;
  }

  /** In decibels of full scale. */
  #tell() {
    this.port.postMessage(this.#squares.map((sum) => 10 * Math.log10(sum / this.#samples + 1e-10)));
    this.#squares = [0, 0];
    this.#samples = 0;
  }
}

registerProcessor("levels", Levels);
