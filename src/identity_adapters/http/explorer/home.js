// The start: find a customer, what merged of late, what waits for review, and the numbers of the database.

import { request } from "./api.js";
import { fill, h } from "./dom.js";
import { buildFind } from "./find.js";
import { loadPart, pageThrough } from "./parts.js";
import { can } from "./session.js";
import { showDetails } from "./values.js";
import { describeLimit, formatCount, formatNumber, showTime } from "./words.js";

const MERGES = 8;
const HELD = 5;

/** Show the start page. */
export async function showHome(main, signal) {
  document.title = "Identity explorer";
  if (!can("read")) {
    fill(main, h("section", { class: "card narrow" }, h("h1", null, "Identity explorer"),
      h("p", null, "This key does not allow to read, so there is nothing to show. Sign in with one that does.")));
    return;
  }
  const [merges, held, statistics] = ["merges", "held", "statistics"].map((id) => h("div", { id }));
  fill(
    main,
    h("section", { class: "hero" }, h("h1", null, "Find a customer"), buildFind(signal)),
    h("section", { class: "glance", "aria-labelledby": "numbers" },
      h("h2", { id: "numbers", class: "sr" }, "Numbers at a glance"), statistics),
    h("div", { class: "columns" },
      h("section", { class: "card", "aria-labelledby": "recent" }, h("h2", { id: "recent" }, "Recent merges"), merges),
      h("section", { class: "card", "aria-labelledby": "waiting" }, h("h2", { id: "waiting" }, "Waiting for review"),
        held)),
  );
  document.getElementById("sought").focus({ preventScroll: true });
  const numbers = request("GET", "statistics", { signal });
  await Promise.all([
    loadPart(statistics, signal, async () => showStatistics(await numbers)),
    loadPart(held, signal, () => loadHeld(signal, numbers)),
    showMerges(merges, signal),
  ]);
}

function showStatistics(statistics) {
  const numbers = [
    ["Contacts", statistics.contacts],
    ["Customers", statistics.identities],
    ["Merges", statistics.merges],
    ["Splits", statistics.splits],
    ["Undone pairs", statistics.undonePairs],
    ["Waiting pairs", statistics.waitingPairs],
    ["Pinned apart", statistics.heldPairs],
    ["Blocked pairs", statistics.blockedPairs],
    ["Pins", statistics.pins],
    ["Largest customer", statistics.largestIdentity],
  ];
  return [
    h("dl", { class: "numbers" }, numbers.map(([name, number]) => h(
      "div", null, h("dt", null, name), h("dd", null, formatNumber(number)),
    ))),
    h("p", { class: "hint" },
      "Counted ", showTime(statistics.countedAt), ". ",
      describeRules(statistics)),
  ];
}

function describeRules({ rulesVersion, isSettled }) {
  if (rulesVersion === 0) return "No rules are in force.";
  const end = isSettled ? "." : ", and not yet applied to everything recorded.";
  return `Version ${rulesVersion} of the rules is in force${end}`;
}

async function loadHeld(signal, numbers) {
  const { held, next } = await request("GET", "held", { query: { limit: HELD }, signal });
  const waiting = await numbers.then((statistics) => statistics.waitingPairs, () => null);
  if (held.length === 0) return h("p", { class: "hint" }, "Nothing waits.");
  const total = next === null ? held.length : waiting;
  return [
    h("p", null, total === null ? "Pairs that limits hold wait for you. " :
      `${formatCount(total, "pair")} that limits hold ${total === 1 ? "waits" : "wait"}. `),
    h("ul", { class: "rows" }, held.map((pair) => h(
      "li", null,
      showDetails(pair),
      h("span", { class: "hint" }, describeLimit(pair.heldBy), " · ", showTime(pair.seenAt)),
    ))),
    h("p", null, h("a", { class: "button", href: "#/held" }, can("decide") ? "Review them" : "See all")),
  ];
}

async function showMerges(container, signal) {
  const list = h("ul", { class: "rows" });
  const load = async (before) => {
    const { merges, next } = await request("GET", "merges", { query: { before, limit: MERGES }, signal });
    return { items: merges, next };
  };
  const pages = pageThrough(signal, load, (merges) => list.append(...merges.map(showMerge)));
  fill(container, h("p", { class: "hint loading" }, "Loading…"));
  await pages.start();
  const isEmpty = !list.hasChildNodes() && !pages.container.hasChildNodes();
  fill(container, list, isEmpty && h("p", { class: "hint" }, "Nothing has merged yet."), pages.container);
}

function showMerge(merge) {
  const absorbed = merge.absorbedPrimaryContactIds;
  return h(
    "li", null,
    h("a", { href: `#/identities/${merge.primaryContactId}` }, `Customer ${merge.primaryContactId}`),
    h("span", null, absorbed.length > 3
      ? `took in ${formatCount(absorbed.length, "other")}` : `took in ${absorbed.join(", ")}`),
    showDetails(merge.details),
    h("span", { class: "hint" }, showTime(merge.happenedAt)),
  );
}
