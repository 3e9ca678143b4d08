// Why two values are one customer: the chain that joins them, in sentences.

import { request } from "./api.js";
import { h } from "./dom.js";
import { nameValue, showValue } from "./values.js";
import { formatCount, showTime } from "./words.js";

const VERBS = {
  contact: "came with",
  evidence: "came with",
  inherited: "was linked by another program to",
  pin: "is pinned to",
  undone: "came with, but it is undone,",
  held: "came with, but it is held,",
  blocked: "came with, but one of the two is blocked,",
};

/**
 * Ask why two values are one customer.
 *
 * @param highlight gets the links of the chain
 */
export async function loadWhy(one, other, signal, highlight) {
  const body = { one: nameValue(one), other: nameValue(other) };
  const answer = await request("POST", "explain", { body, signal, isRead: true });
  if (!signal.aborted) await highlight(answer.chain);
  const { isConnected, chain, weakestLink, pinIds } = answer;
  return [
    h("h3", null, isConnected ? "Why they are one customer" : "They are not one customer"),
    pinIds.length > 0 && h("p", null,
      `${formatCount(pinIds.length, "pin keeps", "pins keep")} them apart: ${pinIds.join(", ")}.`),
    !isConnected && chain.length > 0 && h("p", null, "They share a history, but not all of it counts:"),
    h("ol", { class: "chain" }, chain.map((link) => h(
      "li", null,
      showValue(link.one), ` ${VERBS[link.reason] ?? link.reason} `, showValue(link.other),
      h("span", { class: "hint" },
        ` ${link.reason} ${link.id}`, link.seenAt && [", ", showTime(link.seenAt)]),
    ))),
    isConnected && showWeakest(weakestLink),
  ];
}

function showWeakest(weakest) {
  if (!weakest) return h("p", { class: "hint" }, "No single value separates them.");
  return h(
    "p", { class: "weak" },
    "The weakest link is ", showValue(weakest.identifier), `: ${formatCount(weakest.pairs, "pair")}. Without it, `,
    `${formatCount(weakest.contactsBefore, "contact")} and `,
    `${formatCount(weakest.contactsAfter, "contact")} would part.`,
  );
}
