// What is remembered of a person.

const dialog = (guest) => guest.page.getByRole("dialog", { name: "What I remember" });

const learned = (guest, count) =>
  guest.until(async (wanted) => (await (await fetch("/api/v1/memories")).json()).memories.length >= wanted, count);

async function openMemories(guest) {
  await guest.isAnnounced();
  await guest.say("I live in Lisbon.");
  await learned(guest, 1);
  await guest.say("I moved to Porto.");
  await learned(guest, 2);
  await guest.page.evaluate(async () => {
    const long = "My sister Eleonora, who is three years older than I am, teaches mathematics at a school in Braga";
    for (const memory of [{ text: long, source: "diary" }, { text: "A".repeat(120) }]) {
      const headers = { "Content-Type": "application/json" };
      await fetch("/api/v1/memories", { method: "POST", headers, body: JSON.stringify(memory) });
    }
  });
  await guest.press("Memories");
  await dialog(guest).getByRole("listitem").nth(3).waitFor();
}

export const states = [
  {
    name: "nothing yet",
    async go(guest) {
      await guest.isAnnounced();
      await guest.press("Memories");
      await dialog(guest).getByText("I remember nothing of you yet.").waitFor();
    },
  },
  { name: "some", go: openMemories },
  {
    name: "one corrected, one forgotten and not yet gone",
    async go(guest) {
      await openMemories(guest);
      await dialog(guest).getByRole("button", { name: "Forget: I moved to Porto" }).click();
      await dialog(guest).getByRole("button", { name: "Correct: My sister" }).click();
      await dialog(guest).getByRole("textbox", { name: "What is right" }).waitFor();
    },
  },
];
