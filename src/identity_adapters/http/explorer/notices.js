// Notices tell what was done; one that can be taken back stays until it is closed.

import { h } from "./dom.js";

const SECONDS = 8;
const NOTICES = 4;

/** Tell of a problem that nothing else shows. */
export function tellProblem(problem) {
  if (problem.name === "AbortError" || problem.status === 401) return;
  if (problem.status === undefined) throw problem;
  notify({ text: problem.message, kind: "error" });
}

/**
 * Show a notice.
 *
 * @param kind `info`, `done` or `error`.
 * @param action `{label, run}`: a button on it.
 */
export function notify({ text, kind = "info", action = null }) {
  const close = () => notice.remove();
  const act = () => {
    close();
    Promise.resolve(action.run()).catch(tellProblem);
  };
  const notice = h(
    "div", { class: `notice ${kind}` },
    h("p", null, text),
    action && h("button", { type: "button", onclick: act }, action.label),
    h("button", { type: "button", class: "plain", "aria-label": "Close the notice", onclick: close }, "×"),
  );
  const shown = document.getElementById("notices");
  shown.append(notice);
  while (shown.childElementCount > NOTICES) shown.firstElementChild.remove();
  if (!action && kind !== "error") setTimeout(close, SECONDS * 1000);
  return close;
}
