// What shapes, lines and marks of the graph mean; of the lines, those that occur.

import { h, svg } from "../dom.js";

const LINES = {
  counts: "counts",
  inherited: "inherited",
  same: "pinned: same customer",
  different: "pinned: different customers",
  held: "held, does not count",
  undone: "undone, does not count",
  blocked: "blocked, does not count",
};

/** The legend of a graph. */
export function buildLegend(graph) {
  const kinds = new Set(graph.edges.map(({ standing }) => standing));
  for (const edge of graph.edges) edge.pins.forEach(({ verdict }) => kinds.add(verdict));
  const has = (test) => graph.nodes.some(test);
  return h(
    "ul", { class: "legend", "aria-label": "Legend" },
    has(({ kind }) => kind === "email") && entry(shape("email", 9), "email"),
    has(({ kind }) => kind === "phone") && entry(shape("phone", 2), "phone number"),
    has(({ isMember }) => !isMember) && entry(shape("outside", 9), "of somebody else"),
    has(({ isBlocked }) => isBlocked) && entry(shape("forbidden", 2), "blocked by the rules"),
    Object.keys(LINES).filter((kind) => kinds.has(kind)).map((kind) => entry(
      swatch(svg("g", { class: `edge ${kind}` }, svg("line", { class: "line", x1: 1, y1: 9, x2: 31, y2: 9 }))),
      LINES[kind],
    )),
    graph.weakest !== null && entry(shape("weakest", 9), "weakest value"),
  );
}

function entry(picture, text) {
  return h("li", null, picture, text);
}

function shape(kind, rx) {
  const box = { x: 4, y: 3, width: 24, height: 12, rx };
  return swatch(svg(
    "g", { class: `node ${kind}` },
    svg("rect", { class: "ring", x: 1, y: 0.5, width: 30, height: 17, rx: rx + 2 }),
    svg("rect", { class: "box", ...box }),
  ));
}

function swatch(content) {
  return svg("svg", { class: "swatch", width: 32, height: 18, viewBox: "0 0 32 18", "aria-hidden": "true" }, content);
}
