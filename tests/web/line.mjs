// A line between browser and server that can be cut, and can hang.

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Line {
  /** Puts itself between this server and whoever comes from now on. */
  static async to(server) {
    const line = new Line();
    const { port } = new URL(server.origin);
    line.ends = new Set();
    line.hangs = false;
    line.listener = createServer((near) => {
      const far = connect(Number(port), "127.0.0.1");
      if (!line.hangs) near.pipe(far).pipe(near);
      for (const end of [near, far]) {
        line.ends.add(end);
        // Both ends of one that is cut say so; that is what was wanted.
        end.on("error", () => {});
        end.on("close", () => {
          line.ends.delete(end);
          near.destroy();
          far.destroy();
        });
      }
    });
    line.listener.listen(0, "127.0.0.1");
    await once(line.listener, "listening");
    line.beyond = server.origin;
    server.origin = `http://127.0.0.1:${line.listener.address().port}`;
    return line;
  }

  /** Cuts every connection; new ones are let through. */
  cut() {
    for (const end of this.ends) end.destroy();
  }

  /** From now on nothing comes through, and nobody is told. */
  hang() {
    this.hangs = true;
    for (const end of this.ends) end.unpipe();
  }

  /** New connections are let through again; what hangs stays so. */
  goOn() {
    this.hangs = false;
  }

  close() {
    this.listener.close();
    this.cut();
  }
}
