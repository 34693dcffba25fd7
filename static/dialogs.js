// What opens above the conversation: each part is fetched when it is opened for the first time.

const $ = (id) => document.getElementById(id);

const PARTS = {
  conversations: { module: () => import("/static/conversations.js"), host: hostOfConversations },
  memories: { module: () => import("/static/memories.js"), host: hostOfMemories },
  person: { module: () => import("/static/person.js"), host: hostOfPerson },
  find: { module: () => import("/static/find.js"), host: hostOfFind },
};

/** Opens the part of this name (and of this id) above the `page`, which main.js tells of. */
export async function open(name, page) {
  const { module, host } = PARTS[name];
  const part = await page.loaded(module());
  part.open($(name), host(page));
}

/** A conversation is chosen, and one goes on writing. */
const turnTo = (page) => (id) => {
  $("message").focus();
  page.turnTo(id);
};

function hostOfConversations(page) {
  return {
    current: page.shown?.id,
    kept: page.kept,
    say: page.say,
    notice: $("notice"),
    onOpen: turnTo(page),
    onChanged: (session) => {
      if (session.id !== page.shown?.id) return;
      Object.assign(page.shown, session);
      page.announce();
    },
    onCurrentDeleted: page.leaveShown,
    onFind: page.find,
    onKeys: page.keys,
  };
}

function hostOfMemories(page) {
  return { kept: page.kept, say: page.say, onOpen: turnTo(page) };
}

function hostOfPerson(page) {
  return {
    kept: $("retention").textContent,
    signedIn: page.kept?.signed_in,
    onErased: page.leaveShown,
    onLeft: page.forget,
    onLeftOver: page.askOwed,
    onUnanswered: page.settle,
  };
}

function hostOfFind(page) {
  return { log: $("log"), view: $("view"), loadEarlier: page.loadEarlier, onClose: () => $("message").focus() };
}
