// A ruling that contradicts what is recorded: why, in words, and what could be done instead.

import { h } from "../dom.js";
import { showValue } from "../values.js";
import { showTime } from "../words.js";
import { removePin, restoreLink, restoreSplit, splitTwo } from "./rulings.js";
import { findRuling } from "./send.js";
import { showLinks, toSentence } from "./pieces.js";

const PINS = 3;

/** Show the links of a contradiction. */
export function showConflict({ message, chain, undo }) {
  return [
    h("p", { class: "error" }, toSentence(message)),
    chain.length > 0 && [h("p", null, "This joins the two:"), showLinks(chain)],
    undo.length > 0 && [h("p", null, "A split would undo:"), showLinks(undo)],
  ].flat();
}

/** Find what could be done instead: a list of `{label, about, ruling}`. */
export async function findAlternatives(problem, [one, other]) {
  if (problem.undo.length > 0) return [{ label: "Split them instead", ruling: splitTwo(one, other) }];
  const pins = problem.chain.filter((link) => link.reason === "pin").slice(0, PINS).map((link) => link.id);
  const ids = problem.rulingId === null ? pins : [problem.rulingId];
  const rulings = await Promise.all(ids.map((id) => findRuling(id)));
  return rulings.filter((ruling) => ruling !== null).flatMap(toAlternatives);
}

function toAlternatives(found) {
  const about = describe(found);
  if (found.verdict === "undone") {
    return [{ label: "Restore it instead", about, ruling: restoreLink(found.id, found.one, found.other) }];
  }
  if (found.verdict === "inherited") return [];
  const pin = { label: "Remove this pin", ruling: removePin(found) };
  if (!found.hasUndone) return [{ about, ...pin }];
  return [{ label: "Take the whole split back", about, ruling: restoreSplit(found) }, pin];
}

const VERDICTS = {
  undone: "Undone", inherited: "Restored", same: "Pinned as the same", different: "Pinned as different",
};

/** Show who ruled what on whom, when and why. */
export function describe({ verdict, one, other, decidedAt, decidedBy, reason }) {
  return h(
    "p", { class: "ruling" },
    `${VERDICTS[verdict]}: `, showValue(one), " – ", showValue(other), ", ", showTime(decidedAt),
    decidedBy ? ` by ${decidedBy}` : "", ": ", h("q", null, h("bdi", null, reason)),
  );
}
