// Blocking a value, and no longer doing so: a change of the rules.

import { request } from "../api.js";
import { h } from "../dom.js";
import { notify, tellProblem } from "../notices.js";
import { kindOf, textOf } from "../values.js";
import { formatCount } from "../words.js";
import { announce, attempt } from "./decision.js";
import { openDialog } from "./dialog.js";
import { listIds } from "./pieces.js";

const PATIENCE = 3000;
const AFFECTED = 5;
const POLLS = 30;
let stopWaiting = () => {};

/** Open the dialog that blocks a value, or no longer does. */
export function decideBlock(value, isBlocked, refresh) {
  const change = isBlocked ? unblock : block;
  openDialog({
    title: isBlocked ? "Unblock this value" : "Block this value",
    about: [value],
    text: isBlocked
      ? "It identifies somebody again: its pairs count, unless something else keeps them from it."
      : "It identifies nobody: none of its pairs counts, now and whenever they come again. They stay recorded.",
    verb: isBlocked ? "Unblock" : "Block",
    isDanger: !isBlocked,
    stale: "Somebody changed the rules, or a customer whom they concern, meanwhile.",
    look: (signal, tell) => look(value, change, signal, tell),
    summarise,
    show,
    isNothing: ({ next }) => next === null,
    send: async ({ before, next, preview }, reason) => {
      const after = await apply(next, before.version, reason, preview?.plan);
      return { before, after };
    },
    finish: async ({ before, after }) => {
      const text = isBlocked ? "The value is no longer blocked." : "The value is blocked.";
      const isSettled = after.isSettled ? "" : " Existing records are settled in the background.";
      announce(text + isSettled, () => takeBack(before, after.version, refresh));
      if (!after.isSettled) waitUntilSettled(refresh).catch(tellProblem);
      await refresh();
    },
  }, { onOutdated: refresh });
}

/** Whether a value means itself in the rules, and is no pattern. */
export function canBlock(value) {
  return !/[*?]/.test(textOf(value));
}

const toMember = (value) => (kindOf(value) === "email" ? "emails" : "phoneNumbers");

function block({ blocked, limits }, value) {
  const member = toMember(value);
  return { blocked: { ...blocked, [member]: [...blocked[member], textOf(value)] }, limits };
}

/** The rules without a value; null if they do not name it. */
function unblock({ blocked, limits }, value) {
  const member = toMember(value);
  const left = blocked[member].filter((text) => text !== textOf(value));
  return left.length === blocked[member].length ? null : { blocked: { ...blocked, [member]: left }, limits };
}

async function look(value, change, signal, tell) {
  const before = await request("GET", "rules", { signal });
  const next = change(before, value);
  return { before, next, preview: next && await foresee(next, signal, tell) };
}

/** Find out what rules would do; null if that takes too long for somebody, or the service is too busy for it. */
async function foresee(rules, signal, tell) {
  const skipping = new AbortController();
  const offer = setTimeout(() => tell("Reading every identity that would change. This may take minutes.", {
    label: "Go on without knowing", run: () => skipping.abort(new DOMException("skipped", "AbortError")),
  }), PATIENCE);
  try {
    const both = AbortSignal.any([signal, skipping.signal]);
    return await request("POST", "rules/preview", { body: rules, signal: both, isRead: false });
  } catch (problem) {
    if (!signal.aborted && (skipping.signal.aborted || problem.status === 503)) return null;
    throw problem;
  } finally {
    clearTimeout(offer);
  }
}

function summarise({ next, preview }) {
  if (next === null) return "A pattern or a preset blocks it. Change the rules on the command line.";
  if (preview === null) return "What would change was not looked at.";
  const { split, merged, blocked, unblocked, held, released } = preview;
  const changes = [
    split && `${formatCount(split, "customer")} would come apart`,
    merged && `${formatCount(merged, "customer")} would become one with others`,
    blocked && `${formatCount(blocked, "pair")} would stop counting`,
    unblocked && `${formatCount(unblocked, "pair")} would count again`,
    held && `${formatCount(held, "pair")} would be held`,
    released && `${formatCount(released, "held pair")} would count`,
  ].filter(Boolean);
  return changes.length ? `${changes.join("; ")}.` : "No customer would change.";
}

function show({ preview }) {
  const affected = preview?.mostAffected.slice(0, AFFECTED) ?? [];
  if (affected.length === 0) return [];
  return [h("p", null, "Most affected:"), h("ul", null, affected.map((each) => h("li", null, describe(each))))];
}

function describe({ primaryContactId, totalContacts, parts, contactsOfParts, joined, joinedPrimaryContactIds }) {
  const changes = [
    parts > 1 && `would become ${parts}, with so many contacts: ${listIds(contactsOfParts, parts)}`,
    joined > 0 && `would become one with ${listIds(joinedPrimaryContactIds, joined)}`,
  ].filter(Boolean);
  const text = changes.join(", and ") || "would stay one";
  return `Customer ${primaryContactId}, of ${formatCount(totalContacts, "contact")}, ${text}.`;
}

function apply({ blocked, limits }, version, reason, plan) {
  return request("PUT", "rules", { body: { blocked, limits, version, reason, ...(plan && { plan }) } });
}

/** Put the rules back as they were, unless somebody changed them since. */
async function takeBack(before, version, refresh) {
  let after;
  const run = async () => { after = await apply(before, version, "taken back"); };
  await attempt(run, refresh, { again: () => takeBack(before, version, refresh) });
  if (after && !after.isSettled) await waitUntilSettled(refresh);
}

/** Refresh once all that is recorded is in line with the rules, if the same view is shown until then. */
async function waitUntilSettled(refresh) {
  stopWaiting();
  const waiting = new AbortController();
  const { signal } = waiting;
  stopWaiting = () => waiting.abort(new DOMException("nobody waits any more", "AbortError"));
  window.addEventListener("hashchange", stopWaiting, { signal });
  try {
    for (let poll = 0; poll < POLLS; poll += 1) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(250 * 1.5 ** poll, 10_000)));
      if (signal.aborted) return;
      if ((await request("GET", "rules", { signal })).isSettled) {
        notify({ text: "Existing records are settled." });
        await refresh();
        return;
      }
    }
  } catch (problem) {
    if (!signal.aborted) throw problem;
  }
}
