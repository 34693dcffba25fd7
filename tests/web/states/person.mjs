// What is kept about a person, who else is them, and the way back.

const dialog = (guest) => guest.page.getByRole("dialog", { name: "Your data" });

async function openData(guest) {
  await guest.isAnnounced();
  await guest.press("Your data");
  await dialog(guest).getByText("No other browser is you.").waitFor();
}

async function makeCode(guest) {
  await guest.press("Make a recovery code");
  await dialog(guest).getByRole("textbox", { name: /^Keep it/ }).waitFor();
}

export const states = [
  { name: "your data", go: openData },
  {
    name: "a link for another device, and a recovery code",
    async go(guest) {
      await openData(guest);
      await makeCode(guest);
      await guest.press("Show a link");
      await dialog(guest).getByRole("img", { name: "The link as a QR code" }).waitFor();
    },
  },
  {
    name: "asked before the token is replaced, and before leaving without a way back",
    async go(guest) {
      await openData(guest);
      await guest.press("Replace my token");
      await guest.press("Leave this browser");
      await dialog(guest).getByText("You have no recovery code").waitFor();
    },
  },
  {
    name: "everything is erased",
    async go(guest) {
      await openData(guest);
      await dialog(guest).getByRole("textbox", { name: /type erase/ }).fill("erase");
      await dialog(guest).getByRole("button", { name: "Erase everything" }).click();
      await dialog(guest).getByText("Everything kept about you was erased.").waitFor();
    },
  },
];
