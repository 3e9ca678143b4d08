// Emails and phone numbers, as chips. They were typed by strangers: they are isolated, and only ever text.

import { h } from "./dom.js";

/** `email` or `phone`. */
export function kindOf(value) {
  return value.email === undefined || value.email === null ? "phone" : "email";
}

/** The value itself. */
export function textOf(value) {
  return value.email ?? value.phoneNumber;
}

/** The member of a request that names a value. */
export function nameValue(value) {
  return kindOf(value) === "email" ? { email: value.email } : { phoneNumber: value.phoneNumber };
}

/** A name of a value that tells an email from a phone number. */
export function keyOf(value) {
  return `${kindOf(value)} ${textOf(value)}`;
}

/** A chip of a value, or of a contact that a chain names. */
export function showValue(value) {
  if (textOf(value) === undefined || textOf(value) === null) {
    return h("span", { class: "value" }, value.contactId ? `contact ${value.contactId}` : "–");
  }
  return h("span", { class: `value ${kindOf(value)}` }, h("bdi", null, breakable(textOf(value))));
}

/** A text that may go on in another line before an @. */
function breakable(text) {
  const at = text.lastIndexOf("@");
  return at > 0 ? [text.slice(0, at), h("wbr"), text.slice(at)] : [text];
}

/** The chips of the details of a contact or an event. */
export function showDetails(details) {
  if (!details) return [];
  const { email, phoneNumber } = details;
  return [email && showValue({ email }), phoneNumber && showValue({ phoneNumber })].filter(Boolean);
}
