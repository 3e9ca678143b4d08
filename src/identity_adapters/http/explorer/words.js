// Numbers, times and the words of the API, as people read them.

import { h } from "./dom.js";

const NUMBERS = new Intl.NumberFormat();
const DAYS = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const MINUTES = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const SECONDS = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Why a link is there, or why it does not count. */
export const STANDINGS = {
  contact: "counts",
  evidence: "counts",
  inherited: "inherited: another program wrote it",
  pin: "pinned as the same customer",
  undone: "undone, does not count",
  held: "held, does not count",
  blocked: "blocked, does not count",
};

const LIMITS = {
  phoneNumbersPerEmail: "phone numbers per email",
  emailsPerPhoneNumber: "emails per phone number",
  valuesPerIdentity: "values per identity",
  valuesOnSmallerSide: "values on the smaller side",
  unchecked: "not checked against the limits yet",
};

/** A number with separators. */
export function formatNumber(number) {
  return NUMBERS.format(number);
}

/** A number of things: `1 contact`, `2 contacts`. */
export function formatCount(number, one, many = `${one}s`) {
  return `${NUMBERS.format(number)} ${number === 1 ? one : many}`;
}

/** A time in the time zone of the reader, to the `days`, `minutes` or `seconds`. */
export function formatTime(time, unit = "minutes") {
  return { days: DAYS, minutes: MINUTES, seconds: SECONDS }[unit].format(new Date(time));
}

/** The element of a time; its title is the time in UTC. */
export function showTime(time, unit) {
  return h("time", { dateTime: time, title: time }, formatTime(time, unit));
}

/** What a limit that holds a pair is about. */
export function describeLimit(limit) {
  return LIMITS[limit] ?? limit;
}
