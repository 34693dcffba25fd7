// The page that shows the API.

const SHOWN = { ENABLE_API_DOCS: "true" };

export const states = [
  {
    name: "all routes",
    settings: SHOWN,
    path: "/api/v1/docs",
    async go(guest) {
      await guest.page.locator("main:not([aria-busy])").waitFor();
    },
  },
  {
    name: "one route",
    settings: SHOWN,
    path: "/api/v1/docs",
    async go(guest) {
      await guest.page.locator("main:not([aria-busy])").waitFor();
      await guest.page.locator("summary").filter({ hasText: "/api/v1/chat" }).first().click();
      await guest.page.locator("details[open]").first().waitFor();
    },
  },
];
