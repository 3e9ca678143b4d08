// The rulings, each described once: what it is about, the request that makes it, and the one that takes it back.
//
// A ruling is `{title, about, text, verb, isDanger, done, method, path, body, reasons, takeBack}`. `takeBack` makes
// of the answer the ruling that takes it back. One with `reasons` lets people choose a reason instead of writing one.

import { nameValue } from "../values.js";

/** Of two values, the body that names them as a pair; null if they are of one kind. */
export function toPair(one, other) {
  const pair = { ...nameValue(one), ...nameValue(other) };
  return Object.keys(pair).length === 2 ? pair : null;
}

export function undoPair(one, other) {
  return {
    title: "Undo this pair",
    about: [one, other],
    text: "It does not count, now and whenever it comes again. Both values stay known.",
    verb: "Undo",
    isDanger: true,
    done: "The pair was undone.",
    path: "undo",
    body: toPair(one, other),
    takeBack: (answer) => restoreLink(answer.rulingIds[0], one, other),
  };
}

/** Restore an undone link: a pair by its values, any other by the ruling that undid it. */
export function restoreLink(rulingId, one, other) {
  return {
    title: "Restore this link",
    about: [one, other],
    text: "It counts again, as if it had never been undone.",
    verb: "Restore",
    done: "The link was restored.",
    path: "restore",
    body: toPair(one, other) ?? { rulingId },
    takeBack: () => (toPair(one, other) ? undoPair(one, other) : splitTwo(one, other)),
  };
}

/** Restore all that a split undid, and remove its pin. */
export function restoreSplit(pin) {
  return {
    title: "Take the whole split back",
    about: [pin.one, pin.other],
    text: "All links that the split undid count again, and the two are no longer pinned apart.",
    verb: "Restore",
    done: "The split was taken back.",
    path: "restore",
    body: { rulingId: pin.id },
    takeBack: () => splitTwo(pin.one, pin.other),
  };
}

export function splitTwo(one, other) {
  return {
    title: "Split these two",
    about: [one, other],
    text: "The smallest set of links whose undoing parts them is undone, and they are pinned apart.",
    verb: "Split",
    isDanger: true,
    done: "The two were split.",
    path: "split",
    body: { one: nameValue(one), other: nameValue(other) },
    // The pin has the smallest id, and leads to everything that it came with.
    takeBack: (answer) => restoreSplit({ id: Math.min(...answer.rulingIds), one, other }),
  };
}

export function pinTwo(one, other, verdict) {
  const isSame = verdict === "same";
  return {
    title: isSame ? "Pin as the same customer" : "Pin as different customers",
    about: [one, other],
    text: isSame ? "They are one customer, whatever was seen." : "No identity ever holds both.",
    verb: "Pin",
    done: isSame ? "The two are pinned as the same customer." : "The two are pinned as different customers.",
    path: "pins",
    body: { one: nameValue(one), other: nameValue(other), verdict },
    takeBack: (answer) => removePin({ id: answer.rulingIds[0], one, other, verdict }),
  };
}

export function removePin(pin) {
  return {
    title: pin.verdict === "same" ? "Remove the pin that joins these two" : "Remove the pin that keeps these two apart",
    about: [pin.one, pin.other],
    text: "What it held is reconsidered, and what it joined may come apart.",
    verb: "Remove",
    isDanger: true,
    done: "The pin was removed.",
    method: "DELETE",
    path: `pins/${pin.id}`,
    // The reason goes into the address, so it is not for people to write.
    reasons: ["no longer right", "set by mistake", "agreed with the customer"],
    takeBack: () => pinTwo(pin.one, pin.other, pin.verdict),
  };
}

export function acceptHeld(id, one, other) {
  return {
    title: "Accept this held pair",
    about: [one, other],
    text: "The two are pinned as the same customer, although a limit holds their pair.",
    verb: "Accept",
    done: "The held pair was accepted.",
    path: `held/${id}/accept`,
    body: {},
    takeBack: (answer) => removePin({ id: answer.rulingIds[0], one, other, verdict: "same" }),
  };
}

export function rejectHeld(id, one, other) {
  return {
    title: "Reject this held pair",
    about: [one, other],
    text: "The pair is undone, so it never counts.",
    verb: "Reject",
    done: "The held pair was rejected.",
    path: `held/${id}/reject`,
    body: {},
    takeBack: (answer) => restoreLink(answer.rulingIds[0], one, other),
  };
}
