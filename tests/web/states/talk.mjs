// Talking: from the first word to the network that drops.

import { isAccessible } from "../accessible.mjs";
import { HUMMING } from "../silence.mjs";

const SPEAKS = { TTS_COMMAND: HUMMING };
// It hears only what is never to be understood.
const HEARS = { TTS_COMMAND: HUMMING, STT_COMMAND: "sh -c 'sleep 60'" };

// Whatever is said, it hears the same.
const ANSWERS = { TTS_COMMAND: HUMMING, STT_COMMAND: "sh -c 'cat >/dev/null; echo Hello there'" };
const CLOSED = { ACCESS_TOKEN: "a-token-that-is-long-enough-to-be-one" };

const phase = (guest, name) => guest.page.locator(`#voice[data-phase="${name}"]`).waitFor({ state: "attached" });

/** What lasts less than a tenth of a second is not taken for speech. */
async function speak(guest, talk) {
  await talk.click();
  await phase(guest, "tapped");
  await guest.page.waitForTimeout(1000);
  await talk.click();
}

/** What it takes a long recording, or a loud room, to come to: the page's own panel is told to show it. */
async function shows(guest, name, caption = "") {
  await guest.page.evaluate(async ([name, caption]) => {
    const files = await (await fetch("/sw.js")).text();
    const { Panel } = await import(/\/static\/voice\/panel-\w+\.js/.exec(files)[0]);
    const panel = new Panel(document.querySelector("#voice"), () => {});
    panel.show(name);
    panel.caption(caption);
  }, [name, caption]);
  await phase(guest, name);
}

/** As a model answers that cannot leave its Markdown, and knows something. */
async function answerWith(guest, text, memories = []) {
  await guest.page.route("**/api/v1/chat", async (route) => {
    const answer = await route.fetch({ headers: { ...route.request().headers(), accept: "application/json" } });
    const whole = { ...(await answer.json()), text, memories };
    await route.fulfill({ contentType: "text/event-stream", body: `event: done\ndata: ${JSON.stringify(whole)}\n\n` });
  });
}

export const states = [
  {
    name: "the first visit",
    async go(guest) {
      await guest.isAnnounced();
      await guest.page.getByRole("button", { name: "offline", exact: true }).waitFor();
    },
  },
  {
    name: "taken up again without a word",
    async go(guest) {
      await guest.isAnnounced();
      await guest.page.reload();
      await guest.isAnnounced();
      await guest.page.locator("main.unused").waitFor();
    },
  },
  {
    name: "why it is offline",
    async go(guest) {
      await guest.isAnnounced();
      await guest.press("offline");
      await guest.page.getByText("no AI model").waitFor();
    },
  },
  {
    name: "not remembered",
    async go(guest) {
      await guest.isAnnounced();
      await guest.press("Do not remember this one");
      await guest.page.locator("#unremembered").waitFor();
      await guest.page.getByText("This conversation is not remembered").waitFor();
      await guest.press("not remembered");
    },
  },
  {
    name: "a conversation",
    settings: SPEAKS,
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("Hello! I have just come home from a long walk along the river, and my feet are tired.");
      await guest.say("What should I cook tonight?");
      await guest.page.getByText("This conversation is kept until").waitFor();
      await guest.page.locator(".deeds").nth(1).waitFor();
      await guest.input.fill("I have carrots,\npotatoes\nand half a cabbage.");
    },
  },
  {
    name: "what was remembered",
    settings: SPEAKS,
    async go(guest) {
      await guest.isAnnounced();
      await answerWith(guest, "Then something warm that does not keep you on your feet. A soup with the carrots from your garden, perhaps?", [
        { id: "0", text: "I have a small garden behind the house." },
        { id: "1", text: "My sister's name is Anna, and she does not eat meat." },
        { id: "2", text: "A".repeat(120) },
      ]);
      await guest.say("What should I cook tonight?");
      await guest.page.getByText("Remembered 3 things").click();
      await guest.page.getByText("My sister's name").waitFor();
      await guest.press("Copy");
    },
  },
  {
    name: "a long word",
    async go(guest) {
      await guest.isAnnounced();
      await guest.say(`https://example.org/${"a-very-long-address".repeat(12)}`);
      await guest.say("x".repeat(400));
    },
  },
  {
    name: "thinking",
    async go(guest) {
      await guest.isAnnounced();
      await guest.page.route("**/api/v1/chat", () => {
        // No answer comes.
      });
      await guest.input.fill("What do you think?");
      await guest.input.press("Enter");
      await guest.page.locator(".waiting").waitFor();
    },
  },
  {
    name: "refused",
    troubles: /status of 400/,
    async go(guest) {
      await guest.isAnnounced();
      await guest.input.fill("a".repeat(8001));
      await guest.input.press("Enter");
      await guest.page.locator("#notice:not(:empty)").waitFor();
      await guest.input.fill("What is too long is given back, to be made shorter.");
    },
  },
  {
    name: "signed out meanwhile",
    settings: CLOSED,
    path: "/sign-in",
    troubles: /status of 401/,
    async go(guest) {
      await guest.page.getByLabel("Access token").fill(CLOSED.ACCESS_TOKEN);
      await guest.press("Sign in");
      await guest.isAnnounced();
      await guest.page.evaluate(() => fetch("/api/v1/sign-out", { method: "POST" }));
      await guest.input.fill("Are you still there?");
      await guest.input.press("Enter");
      await guest.page.getByText("You are signed out.").waitFor();
    },
  },
  {
    name: "adrift",
    troubles: /ERR_INTERNET_DISCONNECTED/,
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("We were just talking.");
      await guest.context.setOffline(true);
      await guest.page.getByText("This device is offline.").waitFor();
      await guest.input.fill("Are you still there?");
      await guest.input.press("Enter");
      await guest.page.getByText("What you wrote is still here.").waitFor();
    },
  },
  {
    name: "something waits in another conversation",
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("We were just talking.");
      await guest.page.route("**/api/v1/chat", (route) => route.fulfill({ status: 503, json: { error: "service_unavailable", message: "Not now." } }));
      await guest.input.fill("Are you still there?");
      await guest.input.press("Enter");
      await guest.page.getByText("What you wrote is still here.").waitFor();
      await guest.press("New conversation");
      await guest.page.getByText("What you wrote in another conversation was not answered.").waitFor();
      await guest.log.getByText("We were just talking.").waitFor({ state: "detached" });
      guest.excuse(/status of 503/);
    },
  },
  {
    name: "finding words",
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("The lake was calm today.");
      await guest.say("I swam across the lake and back.");
      await guest.page.keyboard.press("Control+Shift+F");
      await guest.page.getByRole("searchbox", { name: /Words to find/ }).fill("lake");
      await guest.page.locator("#find").getByText(/\d of \d/).waitFor();
    },
  },
  {
    name: "the keys",
    async go(guest) {
      await guest.isAnnounced();
      await guest.page.keyboard.press("Control+/");
      await guest.page.getByRole("dialog", { name: "Keys" }).waitFor();
    },
  },
  {
    name: "listening hands-free",
    settings: HEARS,
    async go(guest) {
      await guest.isAnnounced();
      await guest.press("Hands-free");
      await phase(guest, "listening");
    },
  },
  {
    name: "listening to you",
    settings: HEARS,
    async go(guest) {
      await guest.isAnnounced();
      await guest.page.getByRole("button", { name: /^Talk/ }).focus();
      await guest.page.keyboard.down(" ");
      await phase(guest, "held");
    },
  },
  {
    name: "thinking about what was said",
    settings: HEARS,
    async go(guest) {
      await guest.isAnnounced();
      const talk = guest.page.getByRole("button", { name: /^Talk/ });
      await speak(guest, talk);
      await phase(guest, "thinking");
    },
  },
  {
    name: "how soon it answered",
    settings: ANSWERS,
    async go(guest) {
      await guest.isAnnounced();
      const talk = guest.page.getByRole("button", { name: /^Talk/ });
      await speak(guest, talk);
      const pace = guest.page.getByRole("button", { name: /^First sound after/ });
      await pace.waitFor();
      await guest.press(/^Stop/);
      await pace.click();
      await guest.page.getByText(/^The last answer began within/).waitFor();
    },
  },
  {
    name: "speaking",
    settings: SPEAKS,
    async go(guest) {
      await guest.isAnnounced();
      await guest.press("Read answers aloud");
      await guest.say("Tell me about the river.");
      await phase(guest, "aloud");
    },
  },
  {
    name: "fetching what is heard again",
    settings: SPEAKS,
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("Tell me about the river.");
      await guest.page.route("**/voice/stream-tts", () => {
        // No sound comes.
      });
      await guest.press("Hear it again");
      await phase(guest, "fetching");
    },
  },
  {
    name: "speaking where the microphone hears it as well",
    settings: SPEAKS,
    async go(guest) {
      await guest.isAnnounced();
      await shows(guest, "full");
      await isAccessible(guest.page);
      await shows(guest, "deaf", "A soup of carrots, onions and white beans, which keeps warm for a while.");
    },
  },
];
