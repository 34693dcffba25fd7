// A network of the test's own, for those modules of the page that need no browser.

/** The server's end of a connection, which opens, says and closes as the test wants. */
export class Connection {
  static OPEN = 1;
  static all = [];

  /** From now on the page's connections are these, and there has been none yet. */
  static replace() {
    Connection.all = [];
    globalThis.WebSocket = Connection;
    globalThis.location = { href: "https://companion.example/" };
  }

  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = url;
    Connection.all.push(this);
  }

  send(data) {
    this.sent.push(typeof data === "string" ? JSON.parse(data) : data);
  }

  close() {
    this.readyState = 3;
    this.onclose?.();
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  says(...messages) {
    for (const message of messages) this.onmessage({ data: message instanceof ArrayBuffer ? message : JSON.stringify(message) });
  }

  get types() {
    return this.sent.map((sent) => (sent instanceof Blob ? sent.size : sent.type));
  }
}

/** Whatever was to follow at once has followed. */
export const settles = () => new Promise((resolve) => setImmediate(resolve));
