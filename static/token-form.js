// A form that asks for a token: sends it, says what is wrong, and goes on.

/** `signIn` sends the token, and fails with a `Failure` whose message is for the person; `next` tells where to go on. */
export function askForToken({ signIn, Failure, next }) {
  const form = document.getElementById("sign-in");
  const token = document.getElementById("token");
  const problem = form.querySelector(".problem");
  let busy = false;

  function setBusy(now) {
    busy = now;
    // Not `disabled`: that would drop the focus of someone who pressed the button.
    form.querySelector("button").setAttribute("aria-disabled", String(now));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy || token.value === "") return token.focus();
    setBusy(true);
    problem.textContent = "";
    try {
      await signIn(token.value);
      location.replace(next());
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      problem.textContent = failure.message;
      token.select();
      token.focus();
      setBusy(false);
    }
  });
  form.querySelector("button").disabled = false;
}
