// The list of conversations, and what is done with one.

const list = (guest) => guest.page.getByRole("dialog", { name: "Your conversations" });

/** Three conversations, the last one open, the list above it. */
async function openList(guest) {
  await guest.isAnnounced();
  for (const words of ["The garden behind the house, and what to plant in it", "How to sleep better when it is hot", "Rivers"]) {
    await guest.say(words);
    await guest.page.getByText("This conversation is kept until").waitFor();
    if (words === "Rivers") break;
    await guest.press("New conversation");
    await guest.page.getByText(words).waitFor({ state: "detached" });
  }
  await guest.press("Conversations");
  await list(guest).getByRole("listitem").nth(2).waitFor();
}

export const states = [
  {
    name: "the list",
    async go(guest) {
      await openList(guest);
      await list(guest).getByRole("button", { name: "Pin: How to sleep" }).click();
      await list(guest).getByRole("heading", { name: "Pinned" }).waitFor();
    },
  },
  {
    name: "searched",
    async go(guest) {
      await openList(guest);
      await list(guest).getByRole("searchbox").fill("sleep");
      await list(guest).getByText("1 found in 3 titles.").waitFor();
    },
  },
  {
    name: "renamed",
    async go(guest) {
      await openList(guest);
      await list(guest).getByRole("button", { name: "Rename: Rivers" }).click();
      await list(guest).getByRole("textbox", { name: /title/ }).waitFor();
    },
  },
  {
    name: "asked before deleting",
    async go(guest) {
      await openList(guest);
      await list(guest).getByRole("button", { name: /^Delete: How/ }).click();
      await list(guest).getByText("Forget what I learned from it, too").waitFor();
    },
  },
  {
    name: "deleted and not yet gone",
    async go(guest) {
      await openList(guest);
      await list(guest).getByRole("button", { name: /^Delete: How/ }).click();
      await list(guest).getByRole("button", { name: "Delete", exact: true }).click();
      await list(guest).getByRole("button", { name: "Undo" }).waitFor();
    },
  },
  {
    name: "a long title is deleted",
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("Rivers");
      await guest.page.evaluate(async () => {
        const { sessions } = await (await fetch("/api/v1/sessions")).json();
        const headers = { "Content-Type": "application/json" };
        await fetch(`/api/v1/sessions/${sessions[0].id}`, { method: "PATCH", headers, body: JSON.stringify({ title: "W".repeat(200) }) });
      });
      await guest.press("Conversations");
      await list(guest).getByRole("button", { name: /^Delete: W/ }).click();
      await list(guest).getByRole("button", { name: "Delete", exact: true }).click();
      await list(guest).waitFor({ state: "hidden" });
      await guest.press("Conversations");
      await list(guest).getByRole("button", { name: "Undo" }).waitFor();
    },
  },
  {
    name: "the open one is deleted",
    async go(guest) {
      await openList(guest);
      await list(guest).getByRole("button", { name: "Delete: Rivers" }).click();
      await list(guest).getByRole("button", { name: "Delete", exact: true }).click();
      await list(guest).waitFor({ state: "hidden" });
      await guest.page.locator("#notice").getByRole("button", { name: "Undo" }).waitFor();
    },
  },
  {
    name: "one could not be deleted",
    troubles: /status of 503/,
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("W".repeat(40));
      await guest.press("Conversations");
      await list(guest).getByRole("button", { name: /^Delete: W/ }).click();
      await list(guest).getByRole("button", { name: "Delete", exact: true }).click();
      await list(guest).waitFor({ state: "hidden" });
      const told = { status: 503, json: { error: "unavailable", message: "Not now." } };
      await guest.page.route("**/api/v1/sessions/*", (route) => (route.request().method() === "DELETE" ? route.fulfill(told) : route.continue()));
      // As whoever goes on from the page and comes back to it, which ends the time to undo it.
      await guest.page.evaluate(() => {
        dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
        dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      });
      await guest.page.locator("#notice").getByText("could not be deleted: Not now.").waitFor();
    },
  },
  {
    name: "one that could not be deleted as the page went is asked about",
    async go(guest) {
      await guest.isAnnounced();
      await guest.say("W".repeat(40));
      await guest.page.evaluate(() => localStorage.setItem("companion.owed", `/sessions/${localStorage.getItem("companion.session")}?keep_memories=false`));
      await guest.page.reload();
      await guest.page.getByRole("button", { name: "Delete now" }).waitFor();
    },
  },
];
