// What can be done with what is selected, as far as the key allows it.

import { request } from "../api.js";
import { fill, h } from "../dom.js";
import { notify, tellProblem } from "../notices.js";
import { can } from "../session.js";
import { nameValue, showValue } from "../values.js";
import { canBlock, decideBlock } from "./block.js";
import { decide } from "./decision.js";
import { decideErasure } from "./erase.js";
import { acceptHeld, pinTwo, rejectHeld, removePin, restoreLink, splitTwo, toPair, undoPair } from "./rulings.js";
import { findRuling } from "./send.js";
import { explainLimit } from "./pieces.js";

const PINS = 10;

/**
 * Show what can be done with what is selected.
 *
 * @param context.contactId the id that the identity is shown of
 * @param context.graph the answer of `GET /identities/{contactId}/graph`
 * @param context.selection null, `{kind: "link", link}` or `{kind: "values", values: [position, …]}` (one or two)
 * @param context.refresh shows the identity anew; called after something was changed
 */
export function renderActions(container, { contactId, graph, selection, refresh }) {
  if (!["decide", "admin", "erase"].some(can)) {
    fill(container, h("p", { class: "hint" }, "Your key reads alone: it does not allow to change anything."));
    return;
  }
  if (graph.asOf) {
    fill(container, h("p", { class: "hint" }, "This is how it was. To decide anything, go back to the present."));
    return;
  }
  const groups = selection === null ? [] : toGroups(selection, graph, refresh);
  fill(
    container,
    selection !== null && groups.length === 0 && h("p", { class: "hint" }, can("decide")
      ? "Choose a link or a second value to decide anything about it."
      : "Your key allows nothing about this."),
    groups.map(showGroup),
    can("erase") && h(
      "div", { class: "choices last" },
      button("Erase this person…", () => decideErasure(contactId, refresh), "danger"),
    ),
  );
}

function showGroup({ text, buttons }) {
  return h("div", { class: "choices" }, text && h("p", { class: "hint" }, text), buttons);
}

function button(label, run, style = null) {
  return h("button", { type: "button", class: style, onclick: run }, label);
}

/** Groups of `{text, buttons}`. */
function toGroups(selection, graph, refresh) {
  const groups = selection.kind === "link"
    ? ofLink(selection.link, graph, refresh)
    : ofValues(selection.values, graph, refresh);
  return groups.filter(({ buttons, text }) => buttons.length > 0 || text);
}

function ofLink(link, graph, refresh) {
  const [one, other] = [graph.values[link.one], graph.values[link.other]];
  const open = (ruling) => () => decide(ruling, refresh);
  const group = can("decide") ? toLinkGroup(link, one, other, open, refresh) : { buttons: [] };
  const blocked = link.reason === "blocked" ? [one, other].filter((value) => value.isBlocked) : [];
  return [group, ...blocked.map((value) => ofBlocking(value, refresh))];
}

function toLinkGroup(link, one, other, open, refresh) {
  const pair = toPair(one, other);
  if (link.verdict) return { buttons: [button("Remove the pin…", open(removePin({ ...link, one, other })))] };
  if (link.reason === "pin") {
    return { buttons: [button("Remove the pin…", open(removePin({ id: link.id, one, other, verdict: "same" })))] };
  }
  if (link.reason === "undone") {
    return { buttons: [button("Restore this link…", open(restoreLink(link.id, one, other)))] };
  }
  if (link.reason === "held" && link.heldBy) {
    return {
      text: explainLimit(link.heldBy),
      buttons: [
        button("Accept…", open(acceptHeld(link.id, one, other)), "primary"),
        button("Reject…", open(rejectHeld(link.id, one, other))),
      ],
    };
  }
  if (link.reason === "held") {
    return {
      text: "A pin keeps the two apart, so this pair does not count.",
      buttons: [button("Find the pin…", () => removePinBetween(one, other, refresh))],
    };
  }
  if (link.reason === "blocked") {
    return { text: "One of the two values is blocked, so this pair does not count.", buttons: [] };
  }
  if (link.reason === "inherited" || !pair) {
    return {
      text: "Another program wrote this link. It can be undone by a split.",
      buttons: [button("Split the two…", open(splitTwo(one, other)))],
    };
  }
  return { buttons: [button("Undo this pair…", open(undoPair(one, other)), "primary")] };
}

/** Find the pin that keeps two apart, directly or by what they belong to, and open its removal. */
async function removePinBetween(one, other, refresh) {
  try {
    const { pinIds } = await request("POST", "explain", { body: { one: nameValue(one), other: nameValue(other) } });
    const pin = pinIds.length > 0 ? await findRuling(pinIds[0]) : null;
    if (pin) decide(removePin(pin), refresh);
    else notify({ text: "No pin keeps the two apart any more.", kind: "info" });
  } catch (problem) {
    tellProblem(problem);
  }
}

function ofValues(positions, graph, refresh) {
  const values = positions.map((position) => graph.values[position]);
  const isAbout = (pin) => positions.every((position) => position === pin.one || position === pin.other);
  const pins = graph.pins.filter(isAbout);
  const groups = can("decide") ? [ofPins(pins, positions, graph, refresh)] : [];
  if (values.length === 1) return [...groups, ofBlocking(values[0], refresh)];
  const isBetween = (link) => positions.includes(link.one) && positions.includes(link.other);
  const links = graph.links.filter((link) => isBetween(link) && link.reason !== "pin");
  const others = can("decide") && values[0] && values[1] ? [ofTwo(values, pins, refresh)] : [];
  return [...links.flatMap((link) => ofLink(link, graph, refresh)), ...groups, ...others];
}

function ofPins(pins, positions, graph, refresh) {
  return {
    buttons: pins.slice(0, PINS).map((pin) => {
      const [one, other] = [graph.values[pin.one], graph.values[pin.other]];
      const far = positions.length === 1 && (pin.one === positions[0] ? other : one);
      const label = far ? ["Remove the pin with ", showValue(far), "…"] : "Remove the pin…";
      return button(label, () => decide(removePin({ ...pin, one, other }), refresh));
    }),
  };
}

function ofTwo([one, other], pins, refresh) {
  const open = (ruling) => () => decide(ruling, refresh);
  const isMember = (value) => value.isMember !== false;
  const isJoined = isMember(one) && isMember(other);
  const isPinned = pins.length > 0;
  return {
    buttons: [
      isJoined && button("Split them…", open(splitTwo(one, other)), "primary"),
      !isPinned && button("Pin as the same customer…", open(pinTwo(one, other, "same"))),
      !isPinned && !isJoined && button("Pin as different customers…", open(pinTwo(one, other, "different"))),
    ].filter(Boolean),
  };
}

function ofBlocking(value, refresh) {
  if (!can("admin")) return { buttons: [] };
  const isBlocked = value.isBlocked === true;
  if (!isBlocked && !canBlock(value)) {
    return { text: "The rules would take this value for a pattern, so it cannot be blocked here.", buttons: [] };
  }
  const label = isBlocked ? "Unblock this value…" : "Block this value…";
  return { buttons: [button(label, () => decideBlock(nameValue(value), isBlocked, refresh))] };
}
