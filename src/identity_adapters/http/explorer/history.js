// The history of an identity: its events in words.

import { request } from "./api.js";
import { fill, h } from "./dom.js";
import { scrollable } from "./parts.js";
import { showDetails } from "./values.js";
import { formatCount, showTime } from "./words.js";

const PAGE = 1000;
const MOST = 20_000;
const ROWS = 25;
const IDS = 5;

/** Load the events in order, page by page; each page is told as it comes. Returns whether these are all. */
export async function loadEvents(contactId, signal, onEvents) {
  let after;
  let limit = 100;
  for (let loaded = 0; loaded < MOST;) {
    const query = { after, limit };
    const { events, next } = await request("GET", `identities/${contactId}/history`, { query, signal });
    onEvents(events);
    if (next === null || next === undefined) return true;
    loaded += events.length;
    after = next;
    limit = PAGE;
  }
  return false;
}

/** The list of events: oldest first, with a button for more. */
export function buildHistory() {
  const list = h("ol", { class: "history" });
  const more = h("div", { class: "more" });
  const container = scrollable("Events", true, list, more);
  const events = [];
  let shown = 0;

  function add(next) {
    events.push(...next);
    if (shown === 0) turn();
    else showButton();
  }

  function turn() {
    list.append(...events.slice(shown, shown + ROWS).map(buildEvent));
    shown = Math.min(events.length, shown + ROWS);
    showButton();
  }

  function showButton() {
    fill(more, shown < events.length && h("button", { type: "button", onclick: turn },
      `More (${formatCount(events.length - shown, "event")} left)`));
  }

  function clear() {
    events.length = 0;
    shown = 0;
    fill(list);
    fill(more);
  }

  return { container, add, clear };
}

function buildEvent(event) {
  return h(
    "li", { class: event.kind },
    h("p", null, describe(event)),
    h("p", { class: "hint" }, showTime(event.happenedAt, "seconds")),
    event.details && h("p", { class: "details" }, showDetails(event.details)),
  );
}

/** What happened, in a few words and without any value. */
export function nameEvent(event) {
  return describe(event).flat().filter(Boolean).map((part) => part.textContent ?? part).join("");
}

function describe(event) {
  const { contactId, evidenceId, absorbedPrimaryContactIds: absorbed, movedContactIds: moved } = event;
  const subject = contactId === null ? `Pair ${evidenceId}` : `Contact ${contactId}`;
  const pairOfContact = contactId === null ? "link" : `pair of contact ${contactId}`;
  const pair = evidenceId === null ? pairOfContact : `pair ${evidenceId}`;
  const ruling = event.rulingId === null ? "" : ` by ruling ${event.rulingId}`;
  const origin = event.originPrimaryContactId;
  switch (event.kind) {
    case "created": return [`${subject} began a new customer.`];
    case "linked": return [`${subject} joined.`];
    case "merged": return [`${subject} joined this customer with `, ...linkIds(absorbed), "."];
    case "repaired": return ["What other programs wrote was repaired",
      absorbed.length > 0 && "; it joined ", ...linkIds(absorbed), "."];
    case "corroborated":
      return [`${subject} ${contactId === null ? "confirmed this customer" : "turned out to be older"}.`];
    case "undone": return [`The ${pair} was undone${ruling}.`];
    case "held": return [`The ${pair} is held and does not count.`];
    case "restored": return [`The ${pair} counts again${ruling}.`,
      absorbed.length > 0 && " It joined ", ...linkIds(absorbed), absorbed.length > 0 && "."];
    case "released": return [`The ${pair} counts${ruling ? `, accepted${ruling}` : " now"}.`];
    case "pinned": return [`A value was pinned${ruling}.`];
    case "unpinned": return [`A pin was removed${ruling}.`];
    case "split": return [`${formatCount(moved.length, "contact")} left `, ...linkIds(origin === null ? [] : [origin]),
      " for ", ...linkIds([event.primaryContactId]), `${ruling}.`];
    case "erased": return [`A person with ${formatCount(moved.length, "contact")} was erased.`];
    default: return [event.kind];
  }
}

function linkIds(ids) {
  const links = ids.slice(0, IDS).flatMap((id, at) =>
    [at > 0 && ", ", h("a", { href: `#/identities/${id}` }, String(id))]);
  return ids.length > IDS ? [...links, ` and ${formatCount(ids.length - IDS, "other")}`] : links;
}
