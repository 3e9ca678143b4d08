// The links of the graph as a list, from which everything can be selected without the picture.

import { fill, h } from "../dom.js";
import { buildTable, scrollable } from "../parts.js";
import { showValue } from "../values.js";
import { describeLimit, formatCount, showTime, STANDINGS } from "../words.js";

const PAGE = 50;

/** A list that opens; it is built when it is. */
export function buildLinks({ onLink, onValue }) {
  const summary = h("summary", null, "List of links");
  const body = h("div");
  const details = h("details", { class: "link-list" }, summary, body);
  let answer = null;

  function show(next) {
    answer = next;
    fill(summary, `List of links (${answer.links.length})`);
    if (details.open) build();
  }

  function build() {
    const rows = h("tbody");
    const more = h("div", { class: "more" });
    const add = (start) => {
      rows.append(...answer.links.slice(start, start + PAGE).map(buildRow));
      const left = answer.links.length - start - PAGE;
      fill(more, left > 0 && h("button", { type: "button", onclick: () => add(start + PAGE) },
        `More (${formatCount(left, "link")} left)`));
    };
    add(0);
    fill(body, scrollable("Links", false, buildTable(["One", "Other", "Standing", "Seen", ""], rows)), more);
  }

  function buildRow(link) {
    const value = (index) => h("td", null, h(
      "button", { type: "button", class: "plain", onclick: () => onValue(index) }, showValue(answer.values[index]),
    ));
    const standing = STANDINGS[link.reason] + (link.heldBy ? `: ${describeLimit(link.heldBy)}` : "");
    return h(
      "tr", null, value(link.one), value(link.other), h("td", null, standing), h("td", null, showTime(link.seenAt)),
      h("td", null, h("button", {
        type: "button", class: "small", "aria-label": `Select link ${link.id}`, onclick: () => onLink(link),
      }, "Select")),
    );
  }

  details.addEventListener("toggle", () => details.open && answer && !body.hasChildNodes() && build());
  return { container: details, show };
}
