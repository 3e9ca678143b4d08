// How anything is decided: see what would happen, give a reason, confirm once.
//
// A decision is `{title, about, text, verb, isDanger, reasons, look, summarise, show, isNothing, fields, send, finish,
// stale, findAlternatives}`:
// - `look(signal, tell)` finds out what would happen; `tell(text, action)` says what it waits for.
// - `summarise(answer)` is that in a sentence, `show(answer)` in full; `isNothing(answer)` whether nothing would.
// - `fields(answer)`, if any, are more fields: `{nodes, check, read, names}`. `check()` is an error or null.
// - `reasons` are those to choose from; without them, people write one. Null: none is asked for.
// - `send(answer, reason, fields)` does it; `finish(result)` tells so.
// - `stale` says that somebody else changed what is decided about.
// - `findAlternatives(problem)` are decisions to take instead of one that contradicts the record.

import { fill, h } from "../dom.js";
import { tellProblem } from "../notices.js";
import { showValue } from "../values.js";
import { showConflict } from "./conflict.js";
import { toSentence } from "./pieces.js";

const UNKNOWN = "The service did not answer, so it is unknown whether this was done.";
const GONE = "This is not there any more: somebody decided about it or erased it meanwhile.";
const STALE = "Somebody changed this customer meanwhile.";
const PATIENCE = 2000;
let lastId = 0;

/**
 * Show a decision and follow it to its end.
 *
 * @param close called once it is over, with whether what is shown beside it may be out of date.
 * @param replace called with the decision to take instead.
 * @param reason what the reason starts with.
 * @returns `{isSending, ready, heading, leave, focus}`; `ready` is resolved once what would happen is shown.
 */
export function showDecision(host, decision, { close, replace, reason = "", signal }) {
  const id = `decision-${(lastId += 1)}`;
  const heading = h("h2", { id: `${id}-title`, tabIndex: -1 }, decision.title);
  const alert = h("div", { role: "alert" });
  const summary = h("p", { class: "summary", role: "status", id: `${id}-summary` });
  const consequences = h("div", { class: "consequences" });
  const more = h("div", { class: "fields" });
  const reasonField = createReason(decision, id, reason);
  const confirm = h("button", { type: "submit", class: decision.isDanger ? "danger" : "primary" }, decision.verb);
  const cancel = h("button", { type: "button", class: "plain", onclick: () => leave() }, "Cancel");
  const form = h(
    "form", { class: "decision", noValidate: true, onsubmit: submit, "aria-labelledby": heading.id },
    alert, summary, consequences, more,
    h("div", { class: "foot" }, reasonField.nodes, h("div", { class: "buttons" }, confirm, cancel)),
  );
  fill(
    host,
    heading,
    decision.about && h("p", { class: "pair" }, decision.about.map(showValue)),
    h("p", { class: "hint" }, decision.text),
    form,
  );
  let answer = null;
  let fields = null;
  let isSending = false;
  let isUnknown = false;
  let isOutdated = false;

  function leave() {
    if (!isSending) close(isUnknown || isOutdated);
  }

  function tell(text, action = null) {
    const button = action && h("button", { type: "button", class: "small", onclick: action.run }, action.label);
    fill(summary, text, button && [" ", button]);
  }

  async function look() {
    answer = null;
    confirm.disabled = true;
    tell("Finding out what would happen…");
    fill(consequences);
    const waiting = setTimeout(() => tell("The service takes long to answer. Waiting…"), PATIENCE);
    try {
      answer = await decision.look(signal, tell);
    } catch (problem) {
      if (signal.aborted) return;
      tell("");
      await fail(problem);
      return;
    } finally {
      clearTimeout(waiting);
    }
    tell(decision.summarise(answer));
    fill(consequences, decision.show(answer));
    const isNothing = decision.isNothing?.(answer) ?? false;
    fields = isNothing ? null : decision.fields?.(answer, id) ?? null;
    fill(more, fields?.nodes ?? []);
    setOver(isNothing);
  }

  /** Whether there is nothing left to confirm. */
  function setOver(isOver) {
    confirm.hidden = reasonField.nodes.hidden = more.hidden = isOver;
    confirm.disabled = isOver || answer === null;
    fill(cancel, isOver ? "Close" : "Cancel");
    if (isOver) cancel.focus();
  }

  async function submit(event) {
    event.preventDefault();
    if (isSending || answer === null) return;
    fill(alert);
    const errors = [reasonField.check(), fields?.check() ?? null].filter((field) => field !== null);
    if (errors.length > 0) {
      errors[0].focus();
      return;
    }
    setSending(true);
    let result;
    try {
      result = await decision.send(answer, reasonField.read(), fields?.read() ?? {});
    } catch (problem) {
      setSending(false);
      await fail(problem, true);
      return;
    }
    setSending(false);
    close(false);
    await Promise.resolve(decision.finish(result)).catch(tellProblem);
    // What had the focus may have been replaced.
    if (document.activeElement === document.body) document.getElementById("main").focus();
  }

  function setSending(value) {
    isSending = value;
    confirm.disabled = cancel.disabled = value;
    fill(confirm, value ? "Sending…" : decision.verb);
  }

  /** Say what went wrong, and go on from there. */
  async function fail(problem, isSent = false) {
    if (problem.status === undefined) throw problem;
    if (problem.status === 401) {
      close(false);
    } else if (problem.isStale) {
      isOutdated = true;
      say(`${decision.stale ?? STALE} This is what would happen now:`);
      await look();
    } else if (isSent && problem.isUnanswered) {
      isUnknown = true;
      say(UNKNOWN);
      await look();
      if (answer !== null) say(`${UNKNOWN} This is what would happen now:`);
    } else if (problem.isContradiction) {
      await offerAlternatives(problem);
    } else if (!showFieldErrors(problem)) {
      const isGone = [404, 410].includes(problem.status);
      const why = isUnknown ? `${UNKNOWN} It seems that it was.` : GONE;
      fill(alert, h("p", { class: "error" }, isGone ? why : explain(problem)));
      if (isGone) {
        isOutdated = true;
        tell("");
        fill(consequences);
      }
      if (answer === null || isGone) setOver(true);
    }
  }

  /** What is wrong; of the two values, with the one that it is about. */
  function explain({ message, errors }) {
    const ends = { one: decision.about?.[0], other: decision.about?.[1] };
    const named = errors.filter(({ field }) => ends[field]);
    if (named.length === 0) return toSentence(message);
    return named.map(({ field, reason: why }) => [showValue(ends[field]), ` ${why}. `]).flat();
  }

  function say(text) {
    fill(alert, h("p", { class: "warning" }, text));
  }

  function showFieldErrors({ errors }) {
    const shown = errors.filter(({ field, reason: why }) => {
      const known = field === "reason" ? reasonField : fields?.names.includes(field) && fields;
      if (known) known.showError(toSentence(why), field);
      return known;
    });
    return errors.length > 0 && shown.length === errors.length;
  }

  async function offerAlternatives(problem) {
    setOver(true);
    tell("");
    fill(consequences);
    const others = h("div", { class: "alternatives" });
    fill(alert, isUnknown && h("p", { class: "warning" }, UNKNOWN), showConflict(problem), others);
    const found = await decision.findAlternatives(problem).catch(() => []);
    if (signal.aborted) return;
    fill(others, found.map(({ label, about, decision: other }) => [
      about,
      h("button", { type: "button", onclick: () => replace(other, reasonField.read()) }, label),
    ]).flat());
  }

  const ready = look();
  const focus = () => (reasonField.input ?? heading).focus();
  return { get isSending() { return isSending; }, ready, heading, leave, focus };
}

/** The field for the reason: to be written, to be chosen, or none. */
function createReason({ reasons }, id, text) {
  if (reasons === null) {
    return { nodes: h("div", { hidden: true }), check: () => null, read: () => null, showError() {}, input: null };
  }
  const error = h("p", { class: "error", id: `${id}-reason-error` });
  const described = { id: `${id}-reason`, required: true, "aria-describedby": `${error.id} ${id}-summary` };
  const input = reasons
    ? h("select", described, reasons.map((each) => h("option", null, each)))
    : h("input", { ...described, type: "text", maxLength: 500, autocomplete: "off", value: text });
  const showError = (why) => {
    fill(error, why);
    input.setAttribute("aria-invalid", why ? "true" : "false");
    if (why) input.focus();
  };
  const check = () => {
    const isBlank = input.value.trim() === "";
    showError(isBlank ? "Say why. The reason is recorded." : "");
    return isBlank ? input : null;
  };
  const nodes = h("div", { class: "field" }, h("label", { for: input.id }, "Reason"), input, error);
  return { nodes, check, read: () => input.value.trim(), showError, input };
}
