// A proxy that knows no WebSockets: what asks for one reaches the server as an ordinary request. While the server is `away` it says so, with this status.

import { once } from "node:events";
import { createServer, request } from "node:http";

export class Proxy {
  /** Puts itself between this server and whoever comes from now on. */
  static async to(server) {
    const proxy = new Proxy();
    const { hostname, port } = new URL(server.origin);
    proxy.away = null;
    proxy.listener = createServer((asked, answer) => {
      if (proxy.away) return answer.writeHead(proxy.away, { "content-type": "text/html" }).end("<h1>Not here</h1>");
      const { upgrade, connection, ...headers } = asked.headers;
      const onward = request({ hostname, port, method: asked.method, path: asked.url, headers }, (answered) => {
        answer.writeHead(answered.statusCode, answered.headers);
        answered.pipe(answer);
      });
      // Who leaves in the midst of something is no trouble of the proxy's.
      onward.on("error", () => answer.destroy());
      answer.on("close", () => onward.destroy());
      asked.pipe(onward);
    });
    proxy.listener.listen(0, "127.0.0.1");
    await once(proxy.listener, "listening");
    server.origin = `http://127.0.0.1:${proxy.listener.address().port}`;
    return proxy;
  }

  close() {
    this.listener.close();
    this.listener.closeAllConnections();
  }
}
