// Review of what limits hold: one pair at a time, both customers side by side, by buttons or keys.

import { request } from "../api.js";
import { fill, h } from "../dom.js";
import { tellProblem } from "../notices.js";
import { can } from "../session.js";
import { showValue } from "../values.js";
import { showTime } from "../words.js";
import { toDecision } from "./decision.js";
import { showDecision } from "./flow.js";
import { acceptHeld, rejectHeld } from "./rulings.js";
import { explainLimit, showLinks, showPart } from "./pieces.js";

const PAGE = 50;
const KEYS = [
  ["a", "Accept: the two are one customer"],
  ["r", "Reject: the pair never counts"],
  ["j or →", "Next pair"],
  ["k or ←", "Previous pair"],
  ["Enter", "Confirm, once a reason is given"],
  ["Escape", "Cancel"],
  ["?", "Show or hide these keys"],
];

/** Show the review until the signal is aborted. */
export async function showHeld(main, signal) {
  document.title = "Review · Identity explorer";
  const heading = h("h1", { tabIndex: -1 }, "Review");
  const place = h("p", { class: "hint", role: "status" });
  const pairView = h("article", { class: "card held", "aria-label": "Held pair" });
  const actions = h("div", { class: "choices" });
  const confirmation = h("div", { class: "confirmation" });
  const keys = h("dl", { class: "keys card", hidden: true }, KEYS.flatMap(showKey));
  const toggle = h("button", { type: "button", class: "plain", "aria-expanded": "false", onclick: toggleKeys }, "Keys");
  let held = [];
  let next = null;
  let at = 0;
  let flow = null;
  let lastReason = "";
  let viewing = new AbortController();
  let deciding = new AbortController();

  /** Read the pairs from the beginning, and show the one that follows an id. */
  async function load(id = 0) {
    ({ held, next } = await request("GET", "held", { query: { limit: PAGE }, signal }));
    while (next !== null && held.at(-1).id < id) await loadMore();
    at = Math.max(held.findIndex((each) => each.id >= id), 0);
  }

  async function loadMore() {
    const page = await request("GET", "held", { query: { limit: PAGE, after: next }, signal });
    held = [...held, ...page.held];
    next = page.next;
  }

  async function show() {
    stop();
    viewing.abort(new DOMException("another pair is shown", "AbortError"));
    const { signal: shown } = (viewing = follow(signal));
    if (held.length === 0) {
      fill(place);
      fill(actions);
      fill(pairView, h("p", null, "No pair waits for review."));
      return;
    }
    const { id } = held[at];
    fill(place, `Pair ${at + 1} of ${held.length}${next === null ? "" : " or more"}`);
    fill(pairView, h("p", { class: "hint" }, "Reading both customers…"));
    fill(actions);
    try {
      const pair = await read(id, shown);
      if (pair === null) {
        drop();
        await show();
        return;
      }
      held[at] = pair.held;
      fill(pairView, showPair(pair));
      fill(actions, createButtons());
    } catch (problem) {
      if (!shown.aborted) throw problem;
    }
  }

  function createButtons() {
    const button = (label, run, style, disabled = false) => (
      h("button", { type: "button", class: style, onclick: run, disabled }, label));
    const isLast = at === held.length - 1 && next === null;
    return [
      can("decide") && button("Accept…", () => decide(acceptHeld), "primary"),
      can("decide") && button("Reject…", () => decide(rejectHeld), null),
      button("Previous", () => go(-1).catch(tellProblem), null, at === 0),
      button("Next", () => go(1).catch(tellProblem), null, isLast),
      toggle,
      !can("decide") && h("p", { class: "hint" }, "Your key reads alone: it does not allow to accept or reject."),
    ];
  }

  async function go(step) {
    if (at + step === held.length && next !== null) await loadMore();
    if (held[at + step] === undefined) return;
    at += step;
    await show();
    heading.focus({ preventScroll: true });
  }

  /** Leave out the pair that is shown: it was decided. */
  function drop() {
    held.splice(at, 1);
    at = Math.min(at, Math.max(held.length - 1, 0));
  }

  /** Open the confirmation in place of the buttons. */
  function decide(describe) {
    const { id, email, phoneNumber } = held[at];
    const decision = toDecision(describe(id, { email }, { phoneNumber }), () => refresh(id));
    confirm({ ...decision, send: (answer, reason) => decision.send(answer, lastReason = reason) }, lastReason);
  }

  function confirm(decision, reason) {
    const id = held[at]?.id;
    deciding = follow(signal);
    actions.hidden = true;
    flow = showDecision(confirmation, decision, {
      reason,
      replace: confirm,
      signal: deciding.signal,
      close: (isOutdated) => {
        stop();
        actions.querySelector("button")?.focus();
        if (isOutdated) refresh(id).catch(tellProblem);
      },
    });
    confirmation.hidden = false;
    flow.focus();
    confirmation.querySelector("input")?.select();
    flow.ready.then(() => confirmation.scrollIntoView({ block: "nearest" }));
  }

  function stop() {
    deciding.abort(new DOMException("the confirmation is closed", "AbortError"));
    flow = null;
    fill(confirmation);
    confirmation.hidden = true;
    actions.hidden = false;
  }

  /** Read anew after a decision or its taking back, as long as the review is shown. */
  async function refresh(id) {
    if (signal.aborted) return;
    await load(id);
    await show();
    heading.focus({ preventScroll: true });
  }

  function toggleKeys() {
    keys.hidden = !keys.hidden;
    toggle.setAttribute("aria-expanded", String(!keys.hidden));
  }

  function press(event) {
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (event.key === "Escape" && flow && !flow.isSending) {
      flow.leave();
      return;
    }
    if (isTyping || flow || document.querySelector("dialog[open]")) return;
    const run = {
      a: () => can("decide") && held.length && actions.firstChild && decide(acceptHeld),
      r: () => can("decide") && held.length && actions.firstChild && decide(rejectHeld),
      j: () => go(1),
      ArrowRight: () => go(1),
      k: () => go(-1),
      ArrowLeft: () => go(-1),
      "?": toggleKeys,
    }[event.key];
    if (!run) return;
    event.preventDefault();
    Promise.resolve(run()).catch(tellProblem);
  }

  fill(
    main,
    h("div", { class: "heading" }, heading, place),
    h("p", { class: "hint" }, "Limits hold these pairs: they do not count until somebody accepts them."),
    pairView, actions, confirmation, keys,
  );
  document.addEventListener("keydown", press, { signal });
  await load();
  await show();
}

/** A controller that is aborted with a signal, or before. */
function follow(signal) {
  const controller = new AbortController();
  signal.addEventListener("abort", () => controller.abort(signal.reason), { signal: controller.signal });
  return controller;
}

/** Read a held pair with both identities; null if nothing holds it any more. */
async function read(id, signal) {
  const page = await request("GET", "held", { query: { after: id - 1, limit: 1 }, signal });
  const held = page.held.find((each) => each.id === id);
  if (!held) return null;
  const find = async (value) => {
    const { identities } = await request("POST", "lookup", { body: value, signal, isRead: true });
    return identities[0] ?? null;
  };
  const [ofEmail, ofPhone] = await Promise.all([find({ email: held.email }), find({ phoneNumber: held.phoneNumber })]);
  return { held, ofEmail, ofPhone };
}

function showKey([key, what]) {
  return [h("dt", null, h("kbd", null, key)), h("dd", null, what)];
}

function showPair({ held, ofEmail, ofPhone }) {
  const [email, phoneNumber] = [{ email: held.email }, { phoneNumber: held.phoneNumber }];
  const side = (value, identity) => h(
    "div", { class: "side" },
    h("h2", null, showValue(value)),
    identity
      ? showPart(identity, { isLinked: true })
      : h("p", { class: "hint" }, "No contact has this value any more."),
  );
  return [
    h("p", { class: "summary" }, explainLimit(held.heldBy), " Seen ", showTime(held.seenAt), "."),
    h("div", { class: "parts" }, side(email, ofEmail), side(phoneNumber, ofPhone)),
    held.chain.length > 0
      ? [h("p", null, "They are one customer without this pair, because this joins them:"), showLinks(held.chain)]
      : h("p", null, "Nothing else joins the two."),
  ].flat();
}
