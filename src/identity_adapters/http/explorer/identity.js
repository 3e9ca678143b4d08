// The view of one identity: its graph, what is selected of it, its contacts, its history, and how it was before.

import { Problem, request } from "./api.js";
import { showContacts } from "./contacts.js";
import { fill, h } from "./dom.js";
import { takeSought } from "./find.js";
import { buildLinks } from "./graph/links.js";
import { createGraphView } from "./graph/view.js";
import { buildHistory, loadEvents } from "./history.js";
import { loadPart, showProblem } from "./parts.js";
import { createSelectionPanel } from "./selection.js";
import { createTimeline } from "./timeline.js";
import { formatCount, formatTime } from "./words.js";

/** Show the identity of a contact. */
export async function showIdentity(main, contactId, signal) {
  document.title = `Customer ${contactId} · Identity explorer`;
  const sought = takeSought();
  const heading = h("div", { class: "heading" }, h("h1", null, `Customer ${contactId}`));
  const body = h("div");
  fill(main, heading, body);
  // Both are asked for at once: to draw a large one takes time.
  const graph = request("GET", `identities/${contactId}/graph`, { signal });
  graph.catch(() => {});
  let identity;
  try {
    identity = await request("GET", `identities/${contactId}`, { query: { limit: 1 }, signal });
  } catch (problem) {
    if (!(problem instanceof Problem) || ![404, 410].includes(problem.status)) throw problem;
    showAbsence(body, contactId, problem);
    return;
  }
  await showParts({ heading, body, contactId, identity, graph, sought, signal });
}

function showAbsence(body, contactId, problem) {
  fill(body, h(
    "section", { class: "card narrow" },
    h("p", null, problem.status === 410 ? `Contact ${contactId} was erased.`
      : `There is no customer of contact ${contactId}: there never was such a contact, or all of it was deleted.`),
    h("p", null, h("a", { href: "#/" }, "Find another")),
  ));
}

function showHeading(heading, contactId, identity, asOf) {
  const primary = identity.primaryContactId;
  fill(
    heading,
    h("h1", null, `Customer ${primary}`),
    h("p", { class: "totals" }, [
      formatCount(identity.totalContacts, "contact"), formatCount(identity.totalEmails, "email"),
      formatCount(identity.totalPhoneNumbers, "phone number"),
    ].join(" · ")),
    primary !== contactId && h("p", { class: "hint" },
      `Contact ${contactId} ${asOf ? "belonged" : "belongs"} to it.`),
  );
}

function buildCard(id, title, ...children) {
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), children);
}

async function showParts({ heading, body, contactId, identity: first, graph, sought, signal }) {
  let identity = first;
  let asOf = null;
  let loading = new AbortController();
  const time = h("div");
  const banner = h("div", { role: "status" });
  const trouble = h("div");
  const contacts = h("div");
  const history = buildHistory();
  const historyTrouble = h("div");
  const view = createGraphView({ banner, onSelect: (selection) => panel.show(selection, { isPast: asOf !== null }) });
  const links = buildLinks({ onLink: view.selectLink, onValue: view.pick });
  const panel = createSelectionPanel({ contactId, view, refresh, signal });
  const timeline = createTimeline({ onTime: showTime });

  fill(time, timeline.container);
  showHeading(heading, contactId, identity, asOf);
  fill(
    body,
    h("div", { class: "identity" },
      h("section", { class: "card picture", "aria-labelledby": "evidence" },
        h("h2", { id: "evidence" }, "Evidence"), trouble, time, view.container, links.container),
      h("div", { class: "beside" },
        panel.container,
        buildCard("contacts", "Contacts", contacts),
        buildCard("history", "History", history.container, historyTrouble))),
  );
  view.container.hidden = true;
  links.container.hidden = true;
  signal.addEventListener("abort", leave, { once: true });

  function leave() {
    timeline.stop();
    document.body.classList.remove("past");
  }

  /** Load what depends on the time. A later call ends an earlier one. */
  async function load({ isAnimated = true, early = null } = {}) {
    loading.abort();
    loading = new AbortController();
    const one = AbortSignal.any([signal, loading.signal]);
    // In the past, the primary is asked for: others may not have been there yet.
    const id = asOf === null ? contactId : identity.primaryContactId;
    const onPage = (page) => showHeading(heading, contactId, page, asOf);
    await Promise.all([
      loadGraph(id, one, { isAnimated, early }),
      showContacts(contacts, { contactId: id, asOf, onPage, signal: one }),
    ]);
  }

  async function loadGraph(id, one, { isAnimated, early }) {
    try {
      const answer = await (early ?? request("GET", `identities/${id}/graph`, { query: { asOf }, signal: one }));
      if (one.aborted) return;
      fill(trouble);
      time.hidden = false;
      view.container.hidden = false;
      links.container.hidden = false;
      links.show(answer);
      await view.show(answer, { isAnimated });
      if (!one.aborted) panel.show(view.getSelection(), { isPast: asOf !== null });
    } catch (problem) {
      if (one.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      view.container.hidden = true;
      links.container.hidden = true;
      if (problem.status === 422) {
        time.hidden = true;
        fill(trouble, h("p", { class: "notice-line" },
          "This customer is too large to draw. Its contacts and its history are beside."));
        panel.showWithoutGraph();
      } else showProblem(trouble, problem, () => load());
    }
  }

  async function showTime(moment) {
    if (signal.aborted) return;
    asOf = moment;
    document.body.classList.toggle("past", asOf !== null);
    fill(banner, asOf !== null && h("p", { class: "banner" },
      `As of ${formatTime(asOf, "seconds")}. Nothing can be changed here.`));
    await load();
  }

  async function loadHistory() {
    await loadPart(historyTrouble, signal, async () => {
      const areAll = await loadEvents(contactId, signal, (events) => {
        history.add(events);
        timeline.add(events);
        fill(historyTrouble);
      });
      timeline.finish(areAll);
      return areAll ? [] : h("p", { class: "hint" }, "Only the first events are shown.");
    });
  }

  /** Show the identity anew, after something was changed. */
  async function refresh() {
    try {
      identity = await request("GET", `identities/${contactId}`, { query: { limit: 1 }, signal });
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      if ([404, 410].includes(problem.status)) showAbsence(body, contactId, problem);
      else showProblem(trouble, problem, refresh);
      return;
    }
    history.clear();
    timeline.clear();
    await Promise.all([showTime(null), loadHistory()]);
  }

  fill(trouble, h("p", { class: "hint loading" }, "Loading…"));
  fill(historyTrouble, h("p", { class: "hint loading" }, "Loading…"));
  await load({ isAnimated: false, early: graph });
  if (sought && view.getGraph()) await view.point(sought);
  await loadHistory();
}
