// A language model, as the network would have one: it answers what a test tells it to.

import { once } from "node:events";
import { createServer } from "node:http";

export class Model {
  /** Its `settings` lead a server to it. It says its `pieces`, once what `holds` it is over; or it `fails`. */
  static async start() {
    const model = new Model();
    model.pieces = ["Yes."];
    model.holds = null;
    model.fails = false;
    model.listener = createServer(async (asked, answer) => {
      const chunks = await asked.toArray();
      const { stream } = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString("utf8")) : {};
      if (model.fails) return answer.writeHead(500).end();
      if (asked.method !== "POST") return answer.setHeader("Content-Type", "application/json").end('{"data":[]}');
      if (!stream) {
        // The small one finds nothing to remember.
        answer.setHeader("Content-Type", "application/json");
        return answer.end(JSON.stringify({ choices: [{ message: { role: "assistant", content: "{}" }, finish_reason: "stop" }] }));
      }
      await model.holds;
      answer.setHeader("Content-Type", "text/event-stream");
      for (const content of model.pieces) answer.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
      answer.write(`data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: "stop" }] })}\n\n`);
      answer.end("data: [DONE]\n\n");
    });
    model.listener.listen(0, "127.0.0.1");
    await once(model.listener, "listening");
    model.settings = { LLM_BASE_URL: `http://127.0.0.1:${model.listener.address().port}/v1`, LLM_API_KEY: "sk-of-a-test" };
    return model;
  }

  close() {
    this.listener.close();
    this.listener.closeAllConnections();
  }
}
