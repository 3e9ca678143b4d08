// What a ruling would do, from the answer to its dry run.

import { h } from "../dom.js";
import { formatCount } from "../words.js";
import { listIds, showLinks, showPart } from "./pieces.js";

const PARTS = 4;
const NUMBERS = { 1: "One", 2: "Two", 3: "Three" };

/** Whether a ruling would change anything. */
export function changesNothing({ rulingIds, withdrawnRulingIds }) {
  return rulingIds.length === 0 && withdrawnRulingIds.length === 0;
}

/** Say what a ruling would do, in a sentence. */
export function summarise(answer) {
  if (changesNothing(answer)) return "Nothing would change: this is in force already.";
  const { primariesBefore, primariesAfter, chain } = answer;
  const [before, after] = [primariesBefore.length, primariesAfter.length];
  const start = before === 1 ? "One customer" : `${NUMBERS[before] ?? before} customers`;
  if (before !== after) return `${start} would become ${(NUMBERS[after] ?? String(after)).toLowerCase()}.`;
  if (chain.length > 0) return "They would stay one customer.";
  const isSame = primariesBefore.every((id, index) => id === primariesAfter[index]);
  return isSame ? "The customers would stay as they are." : `${start} would be ordered anew.`;
}

/** Show what a ruling would do, in full. */
export function showRuling(answer) {
  if (changesNothing(answer)) return [];
  const { identities, chain, undone, movedContacts, movedContactIds } = answer;
  const more = identities.length - PARTS;
  const moved = formatCount(movedContacts, "contact gets", "contacts get");
  return [
    chain.length > 0 && [h("p", null, "This still joins the two:"), showLinks(chain)],
    h("div", { class: "parts" }, identities.slice(0, PARTS).map((identity) => showPart(identity))),
    more > 0 && h("p", null, `And ${formatCount(more, "more customer", "more customers")}.`),
    undone.length > 0 && [h("p", null, `${formatCount(undone.length, "link")} would be undone:`), showLinks(undone)],
    movedContacts > 0 && h("p", null, `${moved} another primary: ${listIds(movedContactIds, movedContacts)}.`),
  ].flat();
}
