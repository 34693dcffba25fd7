// Measures the loudness of sound, frame by frame. Runs beside the page, as an audio worklet.

class Levels extends AudioWorkletProcessor {
  #length;
  #squares = 0;
  #samples = 0;

  constructor({ processorOptions: { frameMs } }) {
    super();
    this.#length = Math.round((sampleRate * frameMs) / 1000);
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.#squares += sample * sample;
      this.#samples += 1;
      if (this.#samples === this.#length) this.#tell();
    }
    return true;
  }

  #tell() {
    this.port.postMessage(10 * Math.log10(this.#squares / this.#samples + 1e-10));
    this.#squares = 0;
    this.#samples = 0;
  }
}

registerProcessor("levels", Levels);
