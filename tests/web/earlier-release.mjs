// The release before this one: the same page with other files, which a server that was upgraded finds in its data directory, as
// that release's server has left them; and that server itself.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { join } from "node:path";

const NAME = "0.0.1-0123456789abcdef";
const REFERRED = /\/static\/([\w./+-]*\w)/g;

/** The file a server keeps for an asset. */
const fileOf = (asset) => asset.replaceAll("/", "+");

export class EarlierRelease {
  /** Makes it of this server's page, and of the files it left when it was stopped; `change(name, text)` gives what they said. */
  static async of(server, page, change) {
    const release = new EarlierRelease();
    const kept = join(server.home, "data", "assets");
    const [own] = await readdir(kept);
    const assets = new Map();
    for (const file of await readdir(join(kept, own))) {
      if (!/\.(br|gz)$/.test(file)) assets.set(file.replaceAll("+", "/"), await readFile(join(kept, own, file)));
    }
    release.files = new Map();
    const named = new Map();
    /** Its files are finished each after those they refer to, as `build.rs` does. */
    const finish = (asset) => {
      if (named.has(asset)) return named.get(asset);
      const binary = asset.endsWith(".png");
      const text = binary ? null : release.#rename(assets.get(asset).toString("utf8"), finish);
      const content = binary ? assets.get(asset) : Buffer.from(change(asset, text));
      const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
      const name = asset.replace(/-[0-9a-f]{16}(\.\w+)$/, `-${hash}$1`);
      named.set(asset, name);
      release.files.set(name, content);
      return name;
    };
    for (const asset of assets.keys()) finish(asset);
    release.finish = finish;
    release.page = change("index.html", release.#rename(page, finish));
    return release;
  }

  /** Browsers keep it, by a worker as this server has one. */
  keepsItself(worker) {
    this.worker = this.#rename(worker, this.finish).replace(/companion-[0-9a-f]{16}/, "companion-earlier");
  }

  #rename(text, finish) {
    return text.replaceAll(REFERRED, (_, asset) => `/static/${finish(asset)}`);
  }

  /** Leaves its files for the releases after it. */
  async leaveIn(server) {
    const place = join(server.home, "data", "assets", NAME);
    await mkdir(place, { mode: 0o700 });
    for (const [name, content] of this.files) await writeFile(join(place, fileOf(name)), content, { mode: 0o600 });
  }

  /** Serves its page and files, and what is said goes to the server; until `upgrade`, then that has all of it. */
  async serve(server) {
    const { hostname, port } = new URL(server.origin);
    this.listener = createServer((asked, answer) => {
      const file = this.upgraded ? undefined : this.#fileFor(asked.url);
      if (file) return answer.writeHead(200, file.head).end(file.content);
      const onward = request({ hostname, port, method: asked.method, path: asked.url, headers: asked.headers }, (answered) => {
        answer.writeHead(answered.statusCode, answered.headers);
        answered.pipe(answer);
      });
      onward.on("error", () => answer.destroy());
      asked.pipe(onward);
    });
    this.listener.listen(0, "127.0.0.1");
    await once(this.listener, "listening");
    server.origin = `http://127.0.0.1:${this.listener.address().port}`;
  }

  #fileFor(url) {
    const kinds = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", png: "image/png", webmanifest: "application/manifest+json" };
    if (url === "/") {
      const etag = `"${createHash("sha256").update(this.page).digest("hex").slice(0, 32)}"`;
      return { content: this.page, head: { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "public, max-age=300", ETag: etag } };
    }
    if (url === "/sw.js" && this.worker) return { content: this.worker, head: { "Content-Type": "text/javascript", "Cache-Control": "no-store" } };
    const content = this.files.get(url.replace("/static/", ""));
    return content && { content, head: { "Content-Type": kinds[url.split(".").at(-1)], "Cache-Control": "public, max-age=31536000, immutable" } };
  }

  upgrade() {
    this.upgraded = true;
  }

  close() {
    this.listener?.close();
    this.listener?.closeAllConnections();
  }
}
