// The search for a customer. A value is sent in the body of a request; only an id is ever part of an address.

import { Problem, request } from "./api.js";
import { fill, h } from "./dom.js";
import { showProblem } from "./parts.js";
import { formatCount } from "./words.js";
import { showDetails, showValue } from "./values.js";

const ID = /^\d{1,18}$/;
let sought = null;

/** The value that led to the view, for the view to point at; it is told once. */
export function takeSought() {
  const value = sought;
  sought = null;
  return value;
}

/** What a text names: `{contactId}`, `{email}` or `{phoneNumber}`. */
export function readSearch(text, kind) {
  const trimmed = text.trim();
  const id = trimmed.replace(/^#\s*/, "");
  if (kind === "id" || trimmed.startsWith("#")) return ID.test(id) ? { contactId: Number(id) } : null;
  return trimmed.includes("@") ? { email: trimmed } : { phoneNumber: trimmed };
}

/** The search field and its results. */
export function buildFind(signal) {
  const input = h("input", {
    id: "sought", type: "search", autocomplete: "off", autocapitalize: "none", spellcheck: false, required: true,
    "aria-describedby": "sought-hint", maxLength: 400,
  });
  const kind = h(
    "select", { id: "sought-kind", "aria-label": "What it is" },
    h("option", { value: "value" }, "Email or phone number"),
    h("option", { value: "id" }, "Contact id"),
  );
  const results = h("div", { class: "results", role: "status" });
  let current = new AbortController();

  async function find(event) {
    event.preventDefault();
    current.abort();
    current = new AbortController();
    const one = AbortSignal.any([signal, current.signal]);
    const named = readSearch(input.value, kind.value);
    if (named === null) {
      fill(results, h("p", { class: "error" }, "A contact id is a whole number, such as 12."));
      return;
    }
    if (named.contactId !== undefined) {
      open(named.contactId, null);
      return;
    }
    fill(results, h("p", { class: "hint loading" }, "Searching…"));
    try {
      const { identities } = await request("POST", "lookup", { body: named, signal: one, isRead: true });
      if (identities.length === 1) open(identities[0].primaryContactId, named);
      else if (identities.length === 0) showNothing(named);
      else showSeveral(identities, named);
    } catch (problem) {
      if (one.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      showProblem(results, problem);
    }
  }

  function showNothing(named) {
    const isId = ID.test(named.phoneNumber ?? "");
    fill(
      results,
      h("p", null, "Nobody is known by ", showValue(named), "."),
      isId && h("button", { type: "button", onclick: () => open(Number(named.phoneNumber), null) },
        `Open contact ${named.phoneNumber} instead`),
    );
  }

  function showSeveral(identities, named) {
    fill(
      results,
      h("p", null, `${formatCount(identities.length, "customer matches", "customers match")} `, showValue(named), "."),
      h("ul", { class: "rows" }, identities.map((identity) => h(
        "li", null,
        h("a", { href: `#/identities/${identity.primaryContactId}`, onclick: () => { sought = named; } },
          `Customer ${identity.primaryContactId}`),
        h("span", { class: "hint" }, formatCount(identity.totalContacts, "contact")),
        showDetails(identity.contacts[0]),
      ))),
    );
  }

  return h(
    "form", { class: "find", role: "search", onsubmit: find },
    h("label", { for: "sought" }, "Email, phone number or contact id"),
    h("div", { class: "field" }, input, kind, h("button", { type: "submit", class: "primary" }, "Find")),
    h("p", { id: "sought-hint", class: "hint" },
      "With an @ it is an email. Digits are a phone number, unless you choose “Contact id” or write #12."),
    results,
  );
}

function open(contactId, named) {
  sought = named;
  location.hash = `#/identities/${contactId}`;
}
