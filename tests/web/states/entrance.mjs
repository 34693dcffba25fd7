// The way in, where not everybody is let in.

const CLOSED = { ACCESS_TOKEN: "a-token-that-is-long-enough-to-be-one" };

export const states = [
  {
    name: "sign in",
    settings: CLOSED,
    path: "/sign-in",
    async go(guest) {
      await guest.page.getByLabel("Access token").waitFor();
    },
  },
  {
    name: "a wrong token",
    settings: CLOSED,
    path: "/sign-in",
    troubles: /status of 401/,
    async go(guest) {
      await guest.page.getByLabel("Access token").fill("not this one");
      await guest.press("Sign in");
      await guest.page.locator(".problem:not(:empty)").waitFor();
    },
  },
];
