// How links, customers and what limits do are shown in dialogs and in the review.

import { h } from "../dom.js";
import { showValue } from "../values.js";
import { formatCount, formatNumber, showTime } from "../words.js";

const SHOWN = 5;
const IDS = 20;
const SOURCES = {
  contact: "contact", evidence: "evidence", inherited: "inherited link", pin: "pin", undone: "undone", held: "held",
  blocked: "blocked",
};
const LIMITS = {
  phoneNumbersPerEmail: "The email would have more phone numbers than the limit allows.",
  emailsPerPhoneNumber: "The phone number would have more emails than the limit allows.",
  valuesPerIdentity: "The customer would have more emails and phone numbers than the limit allows.",
  valuesOnSmallerSide: "The smaller of the two customers has more values than the limit lets a single pair merge.",
  unchecked: "The pair came while one of its values was blocked, so no limit was applied to it yet.",
};

/** Show some values, and how many there are beyond. */
export function showValues(values, limit = IDS) {
  const items = values.slice(0, limit).map((value) => h("li", null, showValue(value)));
  return h("ul", { class: "values" }, items, values.length > limit && h("li", null, countMore(values.length, limit)));
}

/** How many more there are than are shown. */
export function countMore(total, shown) {
  return `and ${formatNumber(total - shown)} more`;
}

/** Ids in words, the first twenty. */
export function listIds(ids, total = ids.length) {
  const shown = ids.slice(0, IDS);
  return shown.join(", ") + (total > shown.length ? ` ${countMore(total, shown.length)}` : "");
}

/** A reason of the API as a sentence. */
export function toSentence(text) {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** Why a limit holds a pair. */
export function explainLimit(heldBy) {
  return LIMITS[heldBy] ?? "A limit holds this pair.";
}

/** Show links as a list, the first of them. */
export function showLinks(links, limit = IDS) {
  const items = links.slice(0, limit).map((link) => h(
    "li", null,
    showValue(link.one), " – ", showValue(link.other),
    h("span", { class: "hint" }, ` ${SOURCES[link.reason] ?? link.reason} ${link.id}, `, showTime(link.seenAt)),
  ));
  return h("ul", { class: "links" }, items, links.length > limit && h("li", null, countMore(links.length, limit)));
}

/** Show a customer: the primary, the totals and the first contacts; if it exists already, its name may be a link. */
export function showPart(identity, { isLinked = false } = {}) {
  const { primaryContactId, totalContacts, totalEmails, totalPhoneNumbers, contacts } = identity;
  const rows = contacts.slice(0, SHOWN).map((contact) => h(
    "li", null,
    h("span", { class: "hint" }, contact.id === 0 ? "new" : String(contact.id)), " ",
    contact.email != null && showValue({ email: contact.email }), " ",
    contact.phoneNumber != null && showValue({ phoneNumber: contact.phoneNumber }),
  ));
  const name = primaryContactId === 0 ? "A new customer" : `Customer ${primaryContactId}`;
  const totals = [formatCount(totalContacts, "contact"), formatCount(totalEmails, "email"),
    formatCount(totalPhoneNumbers, "phone number")];
  const more = totalContacts > rows.length && h("li", { class: "hint" }, countMore(totalContacts, rows.length));
  return h(
    "section", { class: "part" },
    h("h3", null, isLinked ? h("a", { href: `#/identities/${primaryContactId}` }, name) : name),
    h("p", { class: "hint" }, totals.join(", ")),
    h("ul", { class: "contacts" }, rows, more),
  );
}
