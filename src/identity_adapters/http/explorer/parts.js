// Parts of a view load on their own, and each shows its own error.

import { Problem } from "./api.js";
import { fill, h } from "./dom.js";

/** Tell an error where it happened, unless the key is not known any more: that concerns the whole page. */
export function showProblem(container, problem, retry = null) {
  if (problem.status === 401) return;
  fill(
    container,
    h("p", { class: "error", role: "alert" }, problem.message),
    retry && h("button", { type: "button", onclick: retry }, "Try again"),
  );
}

/**
 * Fill a part with what a function returns, once it has it.
 *
 * @param build is awaited, and returns the children.
 */
export async function loadPart(container, signal, build) {
  container.setAttribute("aria-busy", "true");
  if (!container.hasChildNodes()) fill(container, h("p", { class: "hint loading" }, "Loading…"));
  try {
    const children = await build();
    if (!signal.aborted) fill(container, children);
  } catch (problem) {
    if (signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    showProblem(container, problem, () => loadPart(container, signal, build));
  } finally {
    container.removeAttribute("aria-busy");
  }
}

/** A part that scrolls, also by keyboard. */
export function scrollable(label, isLong, ...children) {
  const properties = { class: isLong ? "scroll tall" : "scroll", tabIndex: 0, role: "region", "aria-label": label };
  return h("div", properties, children);
}

/** A table: the names of its columns, and its body. */
export function buildTable(columns, rows) {
  return h(
    "table", null,
    h("thead", null, h("tr", null, columns.map((name) => (name ? h("th", { scope: "col" }, name) : h("td"))))),
    rows,
  );
}

/**
 * A list that goes on: its pages are added one after the other.
 *
 * @param load gets the cursor of a page, and returns `{items, next}`; the first cursor is undefined.
 * @param add gets the items of a page.
 * @returns an element: the button for more, or an error
 */
export function pageThrough(signal, load, add, label = "More") {
  const container = h("div", { class: "more" });
  async function turn(cursor) {
    const button = container.querySelector("button");
    if (button) button.disabled = true;
    try {
      const { items, next } = await load(cursor);
      if (signal.aborted) return;
      add(items);
      const isMore = next !== null && next !== undefined;
      fill(container, isMore && h("button", { type: "button", onclick: () => turn(next) }, label));
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      showProblem(container, problem, () => turn(cursor));
    }
  }
  return { container, start: () => turn(undefined) };
}
