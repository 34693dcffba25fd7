// Waits for the answer to what was said before the page was loaded anew: its sound is gone, but the server knows the turn by its name.

import { address } from "/static/voice/socket.js";

const PAUSES_MS = [250, 1000, 3000];

/** Tries once: the answer as `{ said, text }`; null when there is none; undefined when the connection is lost before that is known. */
function joinsOnce(session, id) {
  return new Promise((resolve) => {
    const socket = new WebSocket(address(session));
    let said = "";
    const end = (answer) => {
      resolve(answer);
      socket.close();
    };
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "start_listening", turn_id: id }));
      socket.send(JSON.stringify({ type: "stop_listening" }));
    };
    socket.onmessage = ({ data }) => {
      const { type, text } = typeof data === "string" ? JSON.parse(data) : {};
      if (type === "transcription") said = text;
      // Who joins a turn is told all of it at once; its sound, which nobody has asked for, is not waited for.
      if (type === "response_delta") end({ said, text });
      if (["response", "error"].includes(type)) end(null);
    };
    socket.onclose = () => resolve(undefined);
  });
}

/** The same, in four tries; null as well when no connection can be had. */
export async function join(session, id) {
  for (const wait of PAUSES_MS) {
    const answer = await joinsOnce(session, id);
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return (await joinsOnce(session, id)) ?? null;
}
