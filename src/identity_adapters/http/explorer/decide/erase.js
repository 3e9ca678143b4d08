// Erasing a person: what would go, a typed confirmation, and the receipt.

import { request } from "../api.js";
import { fill, h } from "../dom.js";
import { showValue } from "../values.js";
import { formatCount, showTime } from "../words.js";
import { openDialog } from "./dialog.js";
import { describe } from "./conflict.js";
import { showValues } from "./pieces.js";

const RULINGS = 5;

/** Open the dialog that erases the person of a contact. */
export function decideErasure(contactId, refresh) {
  openDialog({
    title: "Erase this person",
    text: "Everything on record of them is removed for good. This cannot be taken back.",
    verb: "Erase",
    isDanger: true,
    reasons: null,
    look: async (signal) => {
      const options = { query: { dryRun: true }, body: { contactId }, signal, isRead: true };
      return (await request("POST", "erase", options)).preview;
    },
    summarise,
    show,
    fields: (preview, id) => createFields(findPrimary(preview) ?? contactId, id),
    send: async ({ plan }, reason, { suppress }) => {
      return (await request("POST", "erase", { body: { contactId, plan, ...(suppress && { suppress }) } })).receipt;
    },
    finish: showReceipt,
    findAlternatives: async () => [],
  }, { onOutdated: refresh });
}

/** The primary contact: the oldest of those that were not deleted. */
function findPrimary({ contacts }) {
  const live = contacts.filter((contact) => contact.deletedAt === null);
  live.sort((one, other) => new Date(one.createdAt) - new Date(other.createdAt) || one.id - other.id);
  return live[0]?.id ?? null;
}

function summarise({ contacts, values, pairs, rulings }) {
  const parts = [formatCount(contacts.length, "contact"), formatCount(values.length, "value"),
    formatCount(pairs.length, "other pair"), formatCount(rulings.length, "ruling")];
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)} would be erased.`;
}

function show({ values, weakValues, blocked, rulings }) {
  return [
    weakValues.length > 0 && h(
      "div", { class: "warning" },
      h("p", null, "These may be two people. If so, split them first:"),
      h("ul", null, weakValues.map(showWeakValue)),
    ),
    h("p", null, "Their values:"),
    showValues(values),
    blocked.length > 0 && [h("p", null, "The rules would no longer block:"), showValues(blocked)],
    rulings.length > 0 && [h("p", null, "Rulings that would go:"), ...rulings.slice(0, RULINGS).map(describe)],
  ].flat();
}

function showWeakValue({ value, contacts, one, other }) {
  return h(
    "li", null,
    showValue(one), " and ", showValue(other), " are joined by ", showValue(value),
    ` alone; without it, ${formatCount(contacts, "contact")} would leave.`,
  );
}

function createFields(primary, id) {
  const suppress = h("input", { type: "checkbox", id: `${id}-suppress`, "aria-describedby": `${id}-suppress-error` });
  const typed = h("input", {
    type: "text", id: `${id}-typed`, autocomplete: "off", spellcheck: false, required: true,
    "aria-describedby": `${id}-typed-error`,
  });
  const errors = {
    suppress: h("p", { class: "error", id: `${id}-suppress-error` }),
    typed: h("p", { class: "error", id: `${id}-typed-error` }),
  };
  const inputs = { suppress, typed };
  const showError = (text, field) => {
    fill(errors[field], text);
    inputs[field].setAttribute("aria-invalid", text ? "true" : "false");
    if (text) inputs[field].focus();
  };
  const check = () => {
    showError("", "suppress");
    const isTyped = [String(primary), `erase ${primary}`].includes(typed.value.trim().toLowerCase());
    showError(isTyped ? "" : `Type ${primary}.`, "typed");
    return isTyped ? null : typed;
  };
  const nodes = [
    h(
      "div", { class: "field check" },
      suppress,
      h("label", { for: suppress.id }, "Keep their values out: orders with them are refused"),
      errors.suppress,
    ),
    h(
      "div", { class: "field" },
      h("label", { for: typed.id }, `Type ${primary}, the number of the primary contact, to confirm`),
      typed,
      errors.typed,
    ),
  ];
  return { nodes, check, read: () => ({ suppress: suppress.checked }), showError, names: ["suppress"] };
}

/** Show the receipt; whoever closes it goes home, since there is nothing left to see here. */
function showReceipt({ id, erasedAt, contactIds, evidenceIds, rulingIds, suppressedUntil, leftToDo }) {
  const heading = h("h2", { id: "receipt-title", tabIndex: -1 }, "This person was erased");
  const counts = [formatCount(contactIds.length, "contact"), formatCount(evidenceIds.length, "other pair"),
    formatCount(rulingIds.length, "ruling")];
  const dialog = h(
    "dialog", { class: "decide", "aria-labelledby": heading.id },
    h(
      "div", { class: "content" },
      heading,
      h("p", null, `Receipt ${id}, `, showTime(erasedAt), `: ${counts.join(", ")}.`),
      suppressedUntil && h("p", null, "Their values are kept out until ", showTime(suppressedUntil), "."),
      h("p", null, "You still have to see to this:"),
      h("ul", null, leftToDo.map((each) => h("li", null, each))),
      h("div", { class: "foot" }, h(
        "div", { class: "buttons" },
        h("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Done"),
      )),
    ),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    location.hash = "#/";
    document.getElementById("main").focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  heading.focus();
}
