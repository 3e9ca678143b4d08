// The question for an API key, where keys are configured.

import { fill, h } from "./dom.js";
import { signIn } from "./session.js";

// Other characters cannot be sent, and no key has them.
const KEY = /^[\x21-\x7e]+$/;
const UNKNOWN = "The service does not know this key.";

/**
 * Ask for a key until one is known, and go on.
 *
 * @param why why it is asked for, if that is not obvious.
 */
export function showSignIn(main, proceed, why = "") {
  const error = h("p", { class: "error", role: "alert" }, why);
  const input = h("input", {
    id: "key", type: "password", autocomplete: "off", spellcheck: false, required: true, "aria-describedby": "key-hint",
  });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = h(
    "form", { class: "card narrow" },
    h("h1", null, "Sign in"),
    h("label", { for: "key" }, "API key"),
    input,
    h("p", { id: "key-hint", class: "hint" },
      "It is kept in the memory of this page alone, and forgotten when you close or reload it."),
    error,
    button,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const secret = input.value.trim();
    fill(error, KEY.test(secret) ? "" : UNKNOWN);
    if (!KEY.test(secret)) return;
    button.disabled = true;
    try {
      await signIn(secret);
    } catch (problem) {
      button.disabled = false;
      fill(error, problem.status === 401 ? UNKNOWN : problem.message);
      input.select();
      return;
    }
    await proceed();
  });
  fill(main, form);
  input.focus();
}
