// The evidence graph of an identity: what of it is shown, what is selected, and the tools around it.

import { fill, h } from "../dom.js";
import { notify } from "../notices.js";
import { keyOf, showValue } from "../values.js";
import { formatCount, formatNumber } from "../words.js";
import { createCanvas, sizeNodes } from "./draw.js";
import { copy, download, toMermaid, toSvg } from "./export.js";
import { layOut } from "./layout.js";
import { buildLegend } from "./legend.js";
import * as model from "./model.js";

const MATCHES = 12;
const NEAR = 12;

/**
 * The view of a graph.
 *
 * @param banner an element that is put over the graph
 * @param onSelect gets null, `{kind: "link", link}` or `{kind: "values", values: [position, …]}`
 * @returns the container, and functions to use it with
 */
export function createGraphView({ banner, onSelect }) {
  const places = new Map();
  let graph = null;
  let drawn = null;
  let shown = new Set();
  let shownKeys = new Set();
  let selection = null;
  let chain = [];
  let layout = new AbortController();

  const canvas = createCanvas({
    places,
    // While another graph is laid out, what is on the canvas is not of this one.
    onToggle: (node) => drawn === graph && toggle(node.index),
    onEdge: (edge) => drawn === graph && selectEdge(edge),
    onOpen: (bundle) => drawn === graph && open(bundle),
  });
  const weakest = h("p", { class: "weakest-line" });
  const legend = h("div");
  const status = h("p", { class: "hint", role: "status" });
  const foldUp = h("button", { type: "button", class: "small", hidden: true, onclick: fold }, "Fold up");
  const matches = h("ul", { class: "matches" });
  const search = h("input", {
    id: "inside", type: "search", autocomplete: "off", spellcheck: false, placeholder: "Find in this customer",
    "aria-label": "Find a value in this customer", oninput: showMatches,
  });
  const tool = (label, text, run) =>
    h("button", { type: "button", class: "small", "aria-label": label, title: label, onclick: run }, text);
  const container = h(
    "div", { class: "graph-view" },
    h("div", { class: "tools" },
      h("div", { class: "search-inside" }, search, matches),
      h("div", { class: "buttons" },
        foldUp, tool("Zoom out", "−", () => canvas.scale(1 / 1.4)), tool("Zoom in", "+", () => canvas.scale(1.4)),
        tool("Show everything", "Fit", () => canvas.fit()))),
    h("div", { class: "canvas" }, canvas.element, banner),
    weakest,
    h("p", { id: "graph-keys", class: "sr" },
      "Arrow keys move between values. Enter selects one, or opens what is hidden. "
      + "Plus and minus zoom, 0 shows everything. All links are in a list below."),
    legend,
    status,
    h("div", { class: "buttons exports" },
      h("button", { type: "button", class: "small", onclick: copyMermaid }, "Copy as Mermaid"),
      h("button", { type: "button", class: "small", onclick: saveJson }, "Download JSON"),
      h("button", { type: "button", class: "small", onclick: saveSvg }, "Download SVG")),
  );

  /** Show an answer of `GET /identities/{contactId}/graph`. What is shown and selected stays, as far as it is there. */
  async function show(answer, { isAnimated = true } = {}) {
    const isFirst = graph === null;
    const before = selection && graph ? nameSelection() : null;
    graph = model.readGraph(answer);
    const kept = graph.nodes.filter(({ key }) => shownKeys.has(key)).map(({ index }) => index);
    const isWhole = graph.nodes.length <= model.WHOLE;
    shown = isWhole || kept.length === 0 ? model.chooseFirst(graph) : new Set(kept);
    if (isFirst) rememberShown();
    restoreSelection(before);
    fill(legend, buildLegend(graph));
    showWeakest();
    await draw({ isAnimated: isAnimated && !isFirst, isFitted: isFirst });
  }

  async function draw({ isAnimated = true, isFitted = false, isFollowed = true } = {}) {
    layout.abort();
    layout = new AbortController();
    const { signal } = layout;
    const drawing = model.collapse(graph, shown);
    sizeNodes(drawing);
    await layOut(drawing, places, { ratio: canvas.getRatio(), signal });
    if (signal.aborted) return;
    canvas.render(drawing, { isAnimated });
    drawn = graph;
    mark();
    if (isFitted || (isFollowed && !canvas.isTouched())) canvas.fit({ isAnimated: !isFitted, isReadable: true });
    tellCount(drawing.nodes.filter(({ node }) => node).length);
  }

  function tellCount(count) {
    const all = graph.nodes.length;
    fill(
      status,
      count === all ? `${formatCount(all, "value")}. `
        : `${formatNumber(count)} of ${formatCount(all, "value")} are shown. Choose a +N to see more. `,
      h("span", { class: "wheel" }, "Ctrl and the wheel zoom."),
    );
    foldUp.hidden = all <= model.WHOLE;
  }

  function rememberShown() {
    shownKeys = new Set([...shown].map((index) => graph.nodes[index].key));
  }

  async function open(bundle) {
    if (shown.size + model.STEP > model.MOST) {
      notify({ text: "That is as much as can be drawn. Fold up the graph first, or look for a value in it." });
      return;
    }
    const before = shown;
    shown = model.openBundle(graph, shown, bundle);
    rememberShown();
    await draw({ isFollowed: false });
    const opened = [...shown].filter((index) => !before.has(index));
    canvas.fit({ keys: new Set([...bundle.attachments, ...opened].map(keyAt)), isReadable: true });
  }

  async function fold() {
    shown = model.chooseFirst(graph);
    if (selection?.kind === "values") shown = model.reveal(graph, shown, selection.values);
    rememberShown();
    await draw();
    canvas.fit();
  }

  /** Show some values, and look at them where they would be too small or out of sight. */
  async function reveal(indices) {
    if (!indices.every((index) => shown.has(index))) {
      shown = model.reveal(graph, shown, indices);
      rememberShown();
      await draw({ isFollowed: false });
    }
    const around = indices.length > 2 ? indices : indices.flatMap((index) =>
      [index, ...graph.nodes[index].edges.slice(0, NEAR).map((edge) => model.otherEnd(edge, index))]);
    canvas.look(new Set(indices.map(keyAt)), new Set(around.map(keyAt)));
  }

  function mark() {
    const selected = new Set(selection?.kind === "values" ? selection.values.map(keyAt) : []);
    let edge = null;
    if (selection?.kind === "link") {
      edge = model.findEdge(graph, selection.link.one, selection.link.other)?.key ?? null;
      selected.add(keyAt(selection.link.one)).add(keyAt(selection.link.other));
    }
    canvas.mark({ selected, edge, weakest: graph.weakest === null ? null : keyAt(graph.weakest), chain: findChain() });
  }

  function findChain() {
    const keys = new Set();
    for (const link of chain) {
      const [one, other] = [link.one, link.other].map((value) => graph.byKey.get(keyOf(value)));
      if (!one || !other) continue;
      keys.add(one.key).add(other.key);
      const edge = model.findEdge(graph, one.index, other.index);
      if (edge) keys.add(edge.key);
    }
    return keys;
  }

  function keyAt(index) {
    return graph.nodes[index].key;
  }

  function nameSelection() {
    const { kind, link, values } = selection;
    if (kind === "values") return { kind, keys: values.map(keyAt) };
    return { kind, id: link.id, keys: [link.one, link.other].map(keyAt) };
  }

  function restoreSelection(named) {
    if (named === null) return;
    const indices = named.keys.map((key) => graph.byKey.get(key)?.index);
    chain = [];
    if (indices.includes(undefined)) selection = null;
    else if (named.kind === "values") selection = { kind: "values", values: indices };
    else {
      const link = model.findEdge(graph, ...indices)?.links.find(({ id }) => id === named.id);
      selection = link ? { kind: "link", link } : null;
    }
  }

  function select(next) {
    selection = next;
    chain = [];
    mark();
    onSelect(selection);
  }

  function toggle(index) {
    const values = selection?.kind === "values" ? selection.values : [];
    const next = values.includes(index) ? values.filter((other) => other !== index) : [...values.slice(-1), index];
    select(next.length ? { kind: "values", values: next } : null);
  }

  function selectEdge(edge) {
    if (edge.links.length === 0) select({ kind: "values", values: [edge.one, edge.other] });
    else selectLink(edge.links.find(model.isCounting) ?? edge.links[0]);
  }

  function selectLink(link) {
    const isSelected = selection?.kind === "link" && selection.link === link;
    select(isSelected ? null : { kind: "link", link });
    reveal([link.one, link.other]);
  }

  /** Select a value by its position, and show it. */
  async function pick(index) {
    const values = selection?.kind === "values" ? selection.values : [];
    if (!values.includes(index)) toggle(index);
    await reveal([index]);
  }

  /** Point at a value that somebody looked for. */
  async function point(value) {
    const node = graph?.byKey.get(keyOf(value)) ?? graph?.nodes.find(({ text }) => isAlike(text, value));
    if (node) await pick(node.index);
  }

  /** Highlight the links of a chain. */
  async function highlight(links) {
    chain = links;
    const values = links.flatMap(({ one, other }) => [one, other]);
    const indices = values.map((value) => graph.byKey.get(keyOf(value))?.index);
    await reveal(indices.filter((index) => index !== undefined).slice(0, 2 * model.STEP));
    mark();
  }

  function showWeakest() {
    const found = graph.answer.weakest;
    fill(weakest, found && [
      h("span", null, "Without "), h("button", { type: "button", class: "plain", onclick: () => pick(found.value) },
        showValue(graph.answer.values[found.value])),
      h("span", null, ` ${formatCount(found.leavingContacts, "contact")} would leave.`),
    ]);
  }

  function showMatches() {
    const text = search.value.trim().toLowerCase();
    const found = [];
    if (text && graph) {
      for (const node of graph.nodes) {
        if (node.text.toLowerCase().includes(text)) found.push(node);
        if (found.length > MATCHES) break;
      }
    }
    fill(
      matches,
      found.slice(0, MATCHES).map((node) => h("li", null, h(
        "button", { type: "button", class: "plain", onclick: () => goTo(node) },
        showValue(graph.answer.values[node.index]),
      ))),
      found.length > MATCHES && h("li", { class: "hint" }, "There are more; type on."),
      text && found.length === 0 && h("li", { class: "hint" }, "No such value."),
    );
  }

  async function goTo(node) {
    closeMatches();
    await pick(node.index);
    canvas.focusOn(node.key);
  }

  function closeMatches() {
    search.value = "";
    fill(matches);
  }

  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeMatches();
    else if (event.key === "Enter") matches.querySelector("button")?.click();
  });

  async function copyMermaid() {
    if (await copy(toMermaid(graph.answer))) notify({ text: "The graph is copied as Mermaid.", kind: "done" });
  }

  function saveJson() {
    download(JSON.stringify(graph.answer, null, 2), "application/json", `${nameFile()}.json`);
  }

  function saveSvg() {
    download(toSvg(canvas.getStage()), "image/svg+xml", `${nameFile()}.svg`);
  }

  function nameFile() {
    return `identity-${graph.answer.primaryContactId}`;
  }

  return {
    container, show, select, selectLink, pick, point, highlight,
    getGraph: () => graph, getSelection: () => selection,
  };
}

function isAlike(text, value) {
  const plain = (phone) => phone.replace(/[^0-9a-z@.+]/gi, "").toLowerCase();
  return plain(text) === plain(value.email ?? value.phoneNumber);
}
