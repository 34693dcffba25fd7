// Records speech in pieces that follow each other into one file.

// The first that the browser can write; Safari writes MP4.
const FORMATS = ["audio/webm;codecs=opus", "audio/mp4;codecs=mp4a.40.2", "audio/mp4", "audio/ogg;codecs=opus"];
const PIECE_MS = 100;
const BITS_PER_SECOND = 32_000;

/** A recording that runs from now on, of a stream in which everything is `late` by so many milliseconds. */
export class Recording {
  #recorder;
  #late;
  #stopped;
  #onPiece = null;
  #kept = [];

  constructor(stream, late = 0) {
    this.#late = late;
    const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
    this.#recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
    this.#recorder.ondataavailable = ({ data }) => {
      if (data.size > 0) this.#take(data);
    };
    this.#stopped = new Promise((resolve) => {
      this.#recorder.onstop = resolve;
    });
    this.#recorder.start(PIECE_MS);
  }

  /** It is wanted: hands over what there is, and what comes. */
  send(onPiece) {
    this.#onPiece = onPiece;
    this.#kept.splice(0).forEach(onPiece);
  }

  /** Ends it where there have been so many milliseconds of silence; the last piece has been handed over then. */
  async finish(silent) {
    if (silent < this.#late) await new Promise((resolve) => setTimeout(resolve, this.#late - silent));
    this.#stop();
    await this.#stopped;
  }

  discard() {
    this.#recorder.ondataavailable = null;
    this.#kept = [];
    this.#stop();
  }

  #take(piece) {
    if (this.#onPiece) this.#onPiece(piece);
    else this.#kept.push(piece);
  }

  #stop() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }
}
