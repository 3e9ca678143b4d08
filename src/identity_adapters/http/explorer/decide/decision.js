// A ruling as a decision: its dry run, the ruling itself, and the notice by which it can be taken back.

import { notify } from "../notices.js";
import { findAlternatives } from "./conflict.js";
import { changesNothing, showRuling, summarise } from "./consequences.js";
import { openDialog } from "./dialog.js";
import { foresee, rule } from "./send.js";
import { toSentence } from "./pieces.js";

const TAKEN_BACK = "taken back";

/**
 * Make a decision of a ruling.
 *
 * @param refresh shows anew what the ruling changed.
 */
export function toDecision(ruling, refresh) {
  return {
    ...ruling,
    look: (signal) => foresee(ruling, signal),
    summarise,
    show: showRuling,
    isNothing: changesNothing,
    send: (answer, reason) => rule(ruling, reason, answer.plan),
    finish: async (answer) => {
      announce(ruling.done, () => takeBack(ruling.takeBack(answer), refresh));
      await refresh();
    },
    findAlternatives: async (problem) => (await findAlternatives(problem, ruling.about))
      .map((other) => ({ ...other, decision: toDecision(other.ruling, refresh) })),
  };
}

/** Open the dialog of a ruling. */
export function decide(ruling, refresh) {
  openDialog(toDecision(ruling, refresh), { onOutdated: refresh });
}

/** Tell what was done, and offer to take it back. */
export function announce(text, run) {
  notify({ text, kind: "done", action: { label: "Take back", run } });
}

/** Take something back by a ruling. If it contradicts something by now, the dialog shows that. */
async function takeBack(ruling, refresh) {
  const send = () => rule(ruling, TAKEN_BACK);
  await attempt(send, refresh, { again: () => takeBack(ruling, refresh), settle: () => decide(ruling, refresh) });
}

/**
 * Take something back at once, and tell how it went.
 *
 * @param again does it once more, if it is unknown whether it was done.
 * @param settle shows what it contradicts by now.
 */
export async function attempt(send, refresh, { again, settle = null }) {
  try {
    await send();
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    if (problem.isContradiction && settle) {
      settle();
    } else if (problem.isUnanswered) {
      const text = "The service did not answer, so it is unknown whether this was taken back.";
      notify({ text, kind: "error", action: { label: "Try again", run: again } });
    } else if (problem.status === 404) {
      notify({ text: "This is not in force any more: it was taken back already.", kind: "info" });
      await refresh();
    } else if (problem.status !== 401) {
      notify({ text: `This was not taken back. ${toSentence(problem.message)}`, kind: "error" });
    }
    return;
  }
  notify({ text: "Taken back.", kind: "done" });
  await refresh();
}
