// The page a link leads to, where a recovery code can be typed in, too.

const NO_LINK = "0".repeat(64);

async function codeOfSomebodyElse({ origin }) {
  const ask = (path, headers) => fetch(new URL(`/api/v1/${path}`, origin), { method: "POST", headers });
  const started = await ask("session/start");
  const [, token] = /companion_person=([0-9a-f]+)/.exec(started.headers.get("set-cookie"));
  return (await (await ask("me/recovery", { "X-Companion-Person": token })).json()).recovery_code;
}

export const states = [
  {
    name: "a link",
    path: `/link#${NO_LINK}`,
    async go(guest) {
      await guest.page.getByRole("button", { name: "Be the same person here" }).waitFor();
    },
  },
  {
    name: "a link that is no longer good",
    path: `/link#${NO_LINK}`,
    troubles: /status of 404/,
    async go(guest) {
      await guest.press("Be the same person here");
      await guest.page.getByRole("alert").getByText("This link is no longer good").waitFor();
    },
  },
  {
    name: "this browser has left",
    path: "/link#left",
    async go(guest) {
      await guest.page.getByText("This browser is nobody now").waitFor();
    },
  },
  {
    name: "whoever was here has left in another tab",
    path: "/link#elsewhere",
    async go(guest) {
      await guest.page.getByText("Whoever was here has left in another tab.").waitFor();
    },
  },
  {
    name: "a code mistyped",
    path: "/link",
    troubles: /status of 400/,
    async go(guest) {
      await guest.page.getByLabel("Recovery code").fill("7777-7777");
      await guest.page.getByRole("button", { name: "Go on", exact: true }).click();
      await guest.page.getByRole("alert").getByText("The code has to be 30 letters and digits").waitFor();
    },
  },
  {
    name: "somebody already",
    troubles: /status of 409/,
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("I am somebody.");
      const code = await codeOfSomebodyElse(guest.server);
      await guest.page.goto(new URL("/link", guest.server.origin).href);
      await guest.page.getByLabel("Recovery code").fill(code);
      await guest.page.getByRole("button", { name: "Go on", exact: true }).click();
      await guest.page.getByText("They have 1 conversation.").waitFor();
    },
  },
];
