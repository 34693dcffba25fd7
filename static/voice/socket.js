// The voice socket: recordings out, the answer in. A turn is taken once, also when the connection is lost in its midst.
//
// Bound: a recording of 8 MiB, kept until its turn is answered; beyond it the recording ends.

import { turnId } from "/static/api.js";

const MOST_BYTES = 8 << 20;
const PAUSES_MS = [250, 1000, 3000];

function address(session) {
  const url = new URL("/api/v1/voice/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("session_id", session);
  return url;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class VoiceSocket {
  #session;
  #on;
  #socket = null;
  #opening = null;
  // The turn that is not answered yet: `{ id, pieces, size, ended }`.
  #turn = null;
  #closed = false;

  /**
   * `on` hears what the server says: `message` gets each object, `sound` each piece of sound; `again` that the answer begins
   * anew after the connection was lost, `lost` that it cannot be had (what was said is kept for `retry`), `full` that the
   * recording has become too long.
   */
  constructor(session, on) {
    this.#session = session;
    this.#on = on;
  }

  get session() {
    return this.#session;
  }

  /** Connects ahead of the first word. That it cannot be done is told when it matters. */
  warmUp() {
    this.#connected().catch(() => {});
  }

  /** A recording begins; returns where its pieces go, and its end. */
  start() {
    const turn = { id: turnId(), pieces: [], size: 0, ended: false, delivered: false };
    this.#turn = turn;
    this.#deliver();
    return {
      piece: (piece) => this.#add(turn, piece),
      end: () => this.#end(turn),
    };
  }

  /** The turn is over, or given up. */
  forget() {
    this.#turn = null;
  }

  /** Ends the turn under way; of its answer so much was heard. */
  interrupt(playedMs) {
    this.forget();
    if (this.#isOpen) this.#say({ type: "interrupt", played_ms: playedMs });
  }

  /** Tries again what was lost. */
  retry() {
    this.#deliver();
  }

  close() {
    this.#closed = true;
    this.forget();
    this.#socket?.close();
  }

  #add(turn, piece) {
    if (turn !== this.#turn || turn.ended) return;
    turn.pieces.push(piece);
    turn.size += piece.size;
    if (turn.delivered) this.#socket.send(piece);
    if (turn.size > MOST_BYTES) this.#on.full();
  }

  #end(turn) {
    if (turn !== this.#turn || turn.ended) return;
    turn.ended = true;
    if (turn.delivered) this.#say({ type: "stop_listening" });
  }

  get #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #say(message) {
    this.#socket.send(JSON.stringify(message));
  }

  /** Sends what there is of the turn over a connection that has seen none of it. */
  async #deliver() {
    const turn = this.#turn;
    for (const wait of [0, ...PAUSES_MS]) {
      await pause(wait);
      if (turn !== this.#turn || this.#closed) return;
      try {
        await this.#connected();
      } catch {
        continue;
      }
      if (turn !== this.#turn) return;
      this.#say({ type: "start_listening", turn_id: turn.id });
      for (const piece of turn.pieces) this.#socket.send(piece);
      if (turn.ended) this.#say({ type: "stop_listening" });
      turn.delivered = true;
      return;
    }
    if (turn === this.#turn && !this.#closed) this.#on.lost();
  }

  #connected() {
    if (this.#isOpen) return Promise.resolve();
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  #open() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(address(this.#session));
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        this.#socket = socket;
        resolve();
      };
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onclose = () => {
        reject(new Error("closed"));
        if (this.#socket === socket) this.#lose();
      };
      if (this.#closed) socket.close();
    });
  }

  #hear(data) {
    if (typeof data === "string") this.#on.message(JSON.parse(data));
    else this.#on.sound(new Uint8Array(data));
  }

  #lose() {
    this.#socket = null;
    if (!this.#turn || this.#closed) return;
    this.#turn.delivered = false;
    this.#on.again();
    this.#deliver();
  }
}
