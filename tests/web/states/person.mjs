// What is kept about a person.

export const states = [
  {
    name: "your data",
    async go(guest) {
      await guest.isAnnounced();
      await guest.press("Your data");
      await guest.page.getByRole("dialog", { name: "Your data" }).waitFor();
    },
  },
];
