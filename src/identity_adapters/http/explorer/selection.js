// The panel beside the graph: what is selected, why two are one customer, and what can be done about it.

import { renderActions } from "./decide/actions.js";
import { fill, h } from "./dom.js";
import { isCounting } from "./graph/model.js";
import { loadPart } from "./parts.js";
import { showValue } from "./values.js";
import { loadWhy } from "./why.js";
import { describeLimit, formatCount, formatNumber, showTime, STANDINGS } from "./words.js";

const LINKS = 12;

/**
 * A panel for what is selected.
 *
 * @param view of `createGraphView`
 * @param refresh shows the identity anew
 */
export function createSelectionPanel({ contactId, view, refresh, signal }) {
  const chosen = h("div", { class: "chosen" });
  const clear = h("button", { type: "button", class: "small", onclick: () => view.select(null) }, "Clear");
  const why = h("div", { class: "why", role: "status" });
  const actions = h("div", { class: "offers" });
  const container = h(
    "section", { class: "card", "aria-labelledby": "selection" },
    h("div", { class: "title" }, h("h2", { id: "selection" }, "Selection"), clear), chosen, why, actions,
  );
  let current = new AbortController();

  /** Show what can be done with an identity that is not drawn. */
  function showWithoutGraph() {
    clear.hidden = true;
    renderActions(actions, { contactId, graph: { values: [], links: [], pins: [] }, selection: null, refresh });
  }

  /** Show what is selected; in the past, nothing can be done about it. */
  function show(selection, { isPast }) {
    current.abort();
    current = new AbortController();
    const one = AbortSignal.any([signal, current.signal]);
    const graph = view.getGraph();
    fill(why);
    fill(actions);
    if (!graph) return;
    fill(chosen, describe(graph, selection));
    clear.hidden = selection === null;
    if (selection?.kind === "values" && selection.values.length === 2) {
      if (isPast) fill(why, h("p", { class: "hint" }, "Why two are one customer is told of now."));
      else {
        const [left, right] = selection.values.map((index) => graph.answer.values[index]);
        loadPart(why, one, () => loadWhy(left, right, one, view.highlight));
      }
    }
    if (!isPast) renderActions(actions, { contactId, graph: graph.answer, selection, refresh });
  }

  function describe(graph, selection) {
    if (selection === null) {
      return h("p", { class: "hint" },
        "Choose a value, two values to see why they are one customer, or a link between them.");
    }
    if (selection.kind === "link") return describeLink(graph, selection.link);
    return selection.values.flatMap((index) => describeNode(graph, graph.nodes[index], selection));
  }

  function describeNode(graph, node, selection) {
    const value = graph.answer.values[node.index];
    const parts = [
      h("p", { class: "details" }, showValue(value),
        h("span", { class: "hint" }, node.kind === "email" ? "email" : "phone number")),
    ];
    const flags = [
      node.index === graph.weakest && "the weakest value",
      !node.isMember && "not of this customer",
      node.isBlocked && "blocked by the rules: it identifies nobody",
    ].filter(Boolean);
    if (flags.length) parts.push(h("p", null, `It is ${flags.join(", and ")}.`));
    if (selection.values.length === 1) parts.push(listLinks(graph, node));
    else parts.push(...describePins(graph, node.edges.filter((edge) =>
      selection.values.includes(edge.one) && selection.values.includes(edge.other) && node.index === edge.one)));
    return parts;
  }

  function listLinks(graph, node) {
    const left = node.edges.length - LINKS;
    const links = node.edges.slice(0, LINKS).flatMap((edge) => edge.links);
    return h("div", null, h("p", { class: "hint" }, formatCount(node.edges.length, "link")), h(
      "ul", { class: "chips" },
      links.map((link) => h("li", null,
        h("button", { type: "button", class: "plain", onclick: () => view.selectLink(link), title: "Select the link" },
          showValue(graph.answer.values[link.one === node.index ? link.other : link.one])),
        !isCounting(link) && h("span", { class: "hint" }, link.reason))),
      left > 0 && h("li", { class: "hint" }, `and ${formatNumber(left)} more`),
    ), describePins(graph, node.edges));
  }

  function describeLink(graph, link) {
    const edge = graph.nodes[link.one].edges.find(({ links }) => links.includes(link));
    return [
      h("p", { class: "details" }, [link.one, link.other].map((index) => showValue(graph.answer.values[index]))),
      h("dl", { class: "facts" },
        h("dt", null, "Standing"), h("dd", null, STANDINGS[link.reason]),
        link.heldBy && [h("dt", null, "Held by"), h("dd", null, describeLimit(link.heldBy))],
        h("dt", null, "Record"), h("dd", null, `${link.reason === "contact" ? "contact" : "pair"} ${link.id}`),
        h("dt", null, "Seen"), h("dd", null, showTime(link.seenAt))),
      ...describePins(graph, [edge]),
      edge.links.length > 1 && h("p", { class: "hint" }, "Other links of these two: ", edge.links
        .filter((other) => other !== link)
        .map((other) => h("button", { type: "button", class: "plain", onclick: () => view.selectLink(other) },
          `${other.reason} ${other.id}`))),
    ];
  }

  return { container, show, showWithoutGraph };
}

function describePins(graph, edges) {
  return edges.flatMap((edge) => edge.pins).slice(0, LINKS).map((pin) => h(
    "p", { class: "pin" },
    "Pinned as ", h("strong", null, pin.verdict === "same" ? "the same customer" : "different customers"), ": ",
    showValue(graph.answer.values[pin.one]), " ", showValue(graph.answer.values[pin.other]),
    h("span", { class: "hint" },
      ` “${pin.reason}”, ${pin.decidedBy ? `${pin.decidedBy}, ` : ""}`, showTime(pin.decidedAt)),
  ));
}
