// A modal dialog for a decision. Escape closes it, and the focus returns to where it came from.

import { h } from "../dom.js";
import { tellProblem } from "../notices.js";
import { showDecision } from "./flow.js";

/**
 * Open a dialog for a decision.
 *
 * @param onOutdated called if, when it is closed, what is shown beside it may be out of date.
 */
export function openDialog(decision, { onOutdated = () => {}, reason = "" } = {}) {
  const leaving = new AbortController();
  const opener = document.activeElement;
  const content = h("div", { class: "content" });
  const dialog = h("dialog", { class: "decide" }, content);
  let flow;
  let isOutdated = false;

  function show(shown, text) {
    flow = showDecision(content, shown, { close, replace: show, reason: text, signal: leaving.signal });
    dialog.setAttribute("aria-labelledby", flow.heading.id);
    flow.focus();
  }

  function close(value) {
    isOutdated = value;
    dialog.close();
  }

  dialog.addEventListener("cancel", (event) => flow.isSending && event.preventDefault());
  dialog.addEventListener("close", () => {
    leaving.abort(new DOMException("the dialog is closed", "AbortError"));
    dialog.remove();
    // Unless something else has the focus already, such as the question for a key.
    const target = opener?.isConnected ? opener : document.getElementById("main");
    if (document.activeElement === document.body) target.focus();
    if (isOutdated) Promise.resolve(onOutdated()).catch(tellProblem);
  });
  window.addEventListener("hashchange", () => dialog.close(), { signal: leaving.signal });
  document.body.append(dialog);
  dialog.showModal();
  show(decision, reason);
}
