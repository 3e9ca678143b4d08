// Draws a collapsed graph as SVG, and tells what is done with it. What it shows is decided elsewhere.

import { svg } from "../dom.js";
import { formatCount, formatNumber, STANDINGS } from "../words.js";
import { measure, shorten } from "./labels.js";
import { findHubs } from "./model.js";

const HEIGHT = 28;
const FAR = 0.45;
const HUBS = 6;
const NARROW = 600;
const READABLE = 0.55;
const MOVE = 350;
const ICONS = {
  email: "M-7,-5h14v10h-14z M-7,-5l7,6l7,-6",
  phone: "M-4.5,-7.5h9v15h-9z M-1.5,5h3",
};
const MARKS = {
  held: "held", undone: "undone", blocked: "blocked", inherited: "inherited", same: "=", different: "≠",
};
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/** Set the size that the nodes of a drawing need. */
export function sizeNodes(drawing) {
  for (const drawn of drawing.nodes) {
    drawn.label = drawn.node ? shorten(drawn.node.text) : `+${formatNumber(drawn.bundle.hidden.length)}`;
    drawn.width = measure(drawn.label) + (drawn.node ? 40 : 30);
    drawn.height = HEIGHT;
  }
}

/**
 * A canvas for drawings.
 *
 * @param onToggle gets a drawn node of a value that was chosen
 * @param onEdge gets an edge of the graph that was chosen
 * @param onOpen gets a bundle
 * @returns the element, and functions to use it with
 */
export function createCanvas({ places, onToggle, onEdge, onOpen }) {
  const { drag, easeCubicOut, select, timer, zoom, zoomIdentity } = globalThis.d3;
  const edgeLayer = svg("g", { class: "edges" });
  const nodeLayer = svg("g", { class: "nodes" });
  const labelLayer = svg("g", { class: "labels" });
  const stage = svg("g", null, edgeLayer, nodeLayer, labelLayer);
  const element = svg("svg", {
    class: "graph", role: "application", "aria-label": "Evidence graph", "aria-describedby": "graph-keys",
  }, stage);
  const nodes = new Map();
  const edges = new Map();
  const labels = new Map();
  const shownAt = new Map();
  let drawing = { nodes: [], edges: [] };
  let hubs = new Set();
  let sizes = new Map();
  let marks = {};
  let stop = 0;
  let isTouched = false;
  let moving = null;

  const zooming = zoom()
    .scaleExtent([0.03, 4])
    .filter((event) => !event.button && (event.type !== "wheel" || event.ctrlKey || event.metaKey
      || element.contains(document.activeElement)))
    .on("zoom", ({ transform, sourceEvent }) => {
      stage.setAttribute("transform", transform);
      element.classList.toggle("far", transform.k < FAR);
      element.style.setProperty("--zoom", transform.k);
      if (sourceEvent) isTouched = true;
    });
  select(element).call(zooming).on("dblclick.zoom", null);
  const dragging = drag()
    .container(stage)
    .subject((event, drawn) => ({ ...shownAt.get(drawn.key) }))
    .on("drag", ({ x, y }, drawn) => {
      places.set(drawn.key, { x, y });
      shownAt.set(drawn.key, { x, y });
      place();
    });

  function isStill() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /** Show a drawing whose nodes have places. */
  function render(next, { isAnimated = true } = {}) {
    const focused = document.activeElement?.closest?.(".graph .node")?.dataset.key;
    drawing = next;
    hubs = findHubs(drawing, HUBS);
    sizes = new Map(drawing.nodes.map((drawn) => [drawn.key, drawn]));
    sync(edges, edgeLayer, drawing.edges, buildEdge);
    sync(nodes, nodeLayer, drawing.nodes, buildNode);
    sync(labels, labelLayer, drawing.edges.filter(markOf), buildLabel);
    const starts = new Map();
    for (const { key } of drawing.nodes) {
      starts.set(key, shownAt.get(key) ?? findStart(key) ?? places.get(key));
    }
    for (const key of shownAt.keys()) if (!nodes.has(key)) shownAt.delete(key);
    moving?.stop();
    if (isAnimated && !isStill()) {
      moving = timer((elapsed) => {
        const part = easeCubicOut(Math.min(1, elapsed / MOVE));
        moveTo(starts, part);
        if (elapsed >= MOVE) moving.stop();
      });
      moveTo(starts, 0);
    } else {
      moveTo(starts, 1);
    }
    mark(marks);
    setStop(drawing.nodes.findIndex(({ key }) => key === focused));
    if (focused !== undefined) nodes.get(drawing.nodes[stop]?.key)?.focus({ preventScroll: true });
  }

  function sync(elements, layer, items, build) {
    const wanted = new Set(items.map(({ key }) => key));
    for (const [key, old] of elements) {
      if (wanted.has(key)) continue;
      old.remove();
      elements.delete(key);
    }
    for (const item of items) {
      const fresh = build(item);
      const old = elements.get(item.key);
      if (old) old.replaceWith(fresh);
      else layer.append(fresh);
      elements.set(item.key, fresh);
    }
  }

  function findStart(key) {
    const edge = drawing.edges.find((item) =>
      (item.source === key && shownAt.has(item.target)) || (item.target === key && shownAt.has(item.source)));
    return edge && shownAt.get(edge.source === key ? edge.target : edge.source);
  }

  function moveTo(starts, part) {
    for (const { key } of drawing.nodes) {
      const [from, to] = [starts.get(key), places.get(key)];
      shownAt.set(key, { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part });
    }
    place();
  }

  function place() {
    for (const { key } of drawing.nodes) {
      const { x, y } = shownAt.get(key);
      nodes.get(key).setAttribute("transform", `translate(${x.toFixed(1)},${y.toFixed(1)})`);
    }
    for (const { key, source, target } of drawing.edges) {
      const [from, to] = [shownAt.get(source), shownAt.get(target)];
      const group = edges.get(key);
      for (const line of group.querySelectorAll("line")) {
        line.setAttribute("x1", from.x.toFixed(1));
        line.setAttribute("y1", from.y.toFixed(1));
        line.setAttribute("x2", to.x.toFixed(1));
        line.setAttribute("y2", to.y.toFixed(1));
      }
      const text = labels.get(key)?.firstChild;
      if (!text) continue;
      const middle = (1 + cover(sizes.get(source), from, to) - cover(sizes.get(target), from, to)) / 2;
      text.setAttribute("x", (from.x + (to.x - from.x) * middle).toFixed(1));
      text.setAttribute("y", (from.y + (to.y - from.y) * middle + 4).toFixed(1));
    }
  }

  function buildEdge(drawn) {
    const { edge, standing, count } = drawn;
    return svg(
      "g", {
        class: `edge ${standing}`, "aria-hidden": "true",
        onclick: edge ? () => onEdge(edge) : undefined,
      },
      edge && svg("line", { class: "reach" }),
      svg("line", { class: "line" }),
      svg("title", null, edge ? describeEdge(edge) : formatCount(count, "link")),
    );
  }

  function buildLabel(drawn) {
    return svg("g", { class: `mark ${drawn.standing}`, "aria-hidden": "true" },
      svg("text", { "text-anchor": "middle" }, markOf(drawn)));
  }

  function buildNode(drawn) {
    const { key, node, bundle, label, width } = drawn;
    const kind = node ? node.kind : "bundle";
    const flags = node ? [!node.isMember && "outside", node.isBlocked && "forbidden"].filter(Boolean) : [];
    const radius = kind === "phone" ? 3 : HEIGHT / 2;
    const box = { x: -width / 2, y: -HEIGHT / 2, width, height: HEIGHT, rx: radius };
    const ring = { x: -width / 2 - 5, y: -HEIGHT / 2 - 5, width: width + 10, height: HEIGHT + 10, rx: radius + 4 };
    const group = svg(
      "g", {
        class: ["node", kind, ...flags].join(" "), role: "button", tabindex: -1,
        onclick: () => choose(drawn, true), onfocus: () => setStop(drawing.nodes.indexOf(drawn)),
      },
      svg("rect", { class: "ring", ...ring }),
      bundle && svg("rect", { class: "behind", ...box, x: box.x + 4, y: box.y + 4 }),
      svg("rect", { class: "box", ...box }),
      node && svg("path", { class: "icon", d: ICONS[kind], transform: `translate(${-width / 2 + 17},0)` }),
      svg("text", { class: "label", x: node ? 10 : 0, y: 4.5, "text-anchor": "middle" }, label),
      svg("text", { class: "badge", y: -HEIGHT / 2 - 10, "text-anchor": "middle" }),
      svg("title", null, node ? node.text : `Show more of ${formatCount(bundle.hidden.length, "hidden value")}`),
    );
    group.dataset.key = key;
    select(group).datum(drawn).call(dragging);
    return group;
  }

  function choose(drawn, isFocused) {
    if (isFocused) nodes.get(drawn.key)?.focus({ preventScroll: true });
    if (drawn.node) onToggle(drawn.node);
    else onOpen(drawn.bundle);
  }

  /**
   * Mark what is selected.
   *
   * @param selected the keys of nodes, and `edge` the key of an edge
   * @param weakest the key of a node
   * @param chain the keys of nodes and of edges of a chain
   */
  function mark({ selected = new Set(), edge = null, weakest = null, chain = new Set() }) {
    marks = { selected, edge, weakest, chain };
    element.classList.toggle("chained", chain.size > 0);
    for (const drawn of drawing.nodes) {
      const group = nodes.get(drawn.key);
      const isSelected = selected.has(drawn.key);
      group.classList.toggle("selected", isSelected);
      group.classList.toggle("weakest", drawn.key === weakest);
      group.classList.toggle("chain", chain.has(drawn.key));
      // What is named from far is drawn last, over the others. Moving a node would take the focus from it.
      const isNamed = hubs.has(drawn.key) || isSelected;
      if (isNamed && nodeLayer.lastChild !== group && group !== document.activeElement) nodeLayer.append(group);
      group.classList.toggle("hub", hubs.has(drawn.key));
      if (drawn.node) group.setAttribute("aria-pressed", isSelected);
      group.setAttribute("aria-label", describeNode(drawn, drawn.key === weakest));
      group.querySelector(".badge").textContent = drawn.key === weakest ? "weakest" : "";
    }
    for (const drawn of drawing.edges) {
      for (const group of [edges.get(drawn.key), labels.get(drawn.key)]) {
        group?.classList.toggle("selected", drawn.key === edge);
        group?.classList.toggle("chain", chain.has(drawn.key));
      }
    }
  }

  /** Of all nodes, Tab stops at one. */
  function setStop(position) {
    if (position < 0) position = Math.min(stop, drawing.nodes.length - 1);
    drawing.nodes.forEach(({ key }, at) => nodes.get(key).setAttribute("tabindex", at === position ? 0 : -1));
    stop = position;
  }

  element.addEventListener("keydown", (event) => {
    const drawn = drawing.nodes[stop];
    if (!drawn || !event.target.closest(".node") || event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = ARROWS[event.key];
    if (direction) focus(findNext(drawn, direction));
    else if (event.key === "Enter" || event.key === " ") choose(drawn, true);
    else if (event.key === "+" || event.key === "=") scale(1.3);
    else if (event.key === "-") scale(1 / 1.3);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
  });

  /** The node in a direction: of those that are linked if there is one, else of all. */
  function findNext(from, [right, down]) {
    const start = shownAt.get(from.key);
    const linked = new Set(drawing.edges.flatMap(({ source, target }) =>
      source === from.key ? [target] : target === from.key ? [source] : []));
    const nearest = (isCandidate) => {
      let best = null;
      for (const drawn of drawing.nodes) {
        if (drawn === from || !isCandidate(drawn)) continue;
        const { x, y } = shownAt.get(drawn.key);
        const along = (x - start.x) * right + (y - start.y) * down;
        const aside = Math.abs((x - start.x) * down) + Math.abs((y - start.y) * right);
        const cost = along + 2 * aside;
        if (along > 1 && aside <= 2.5 * along && (best === null || cost < best.cost)) best = { drawn, cost };
      }
      return best?.drawn;
    };
    return nearest(({ key }) => linked.has(key)) ?? nearest(() => true) ?? from;
  }

  function focus(drawn) {
    nodes.get(drawn.key).focus({ preventScroll: true });
    const { x, y } = shownAt.get(drawn.key);
    const { k, x: left, y: top } = globalThis.d3.zoomTransform(element);
    const [atX, atY] = [x * k + left, y * k + top];
    const isInside = atX > 40 && atY > 30 && atX < element.clientWidth - 40 && atY < element.clientHeight - 30;
    if (!isInside) go((target) => target.call(zooming.translateTo, x, y));
  }

  function go(move) {
    const target = select(element);
    move(isStill() ? target : target.transition().duration(250));
  }

  function scale(factor) {
    isTouched = true;
    go((target) => target.call(zooming.scaleBy, factor));
  }

  /** Show all of the drawing, or the nodes of some keys; on a narrow canvas only the middle, if that is to be read. */
  function fit({ keys = null, isAnimated = true, isReadable = false } = {}) {
    isTouched = keys !== null;
    const [width, height] = [element.clientWidth, element.clientHeight];
    const boxes = drawing.nodes.filter(({ key }) => !keys || keys.has(key)).map((drawn) => {
      const { x, y } = places.get(drawn.key);
      return [x - drawn.width / 2, y - HEIGHT, x + drawn.width / 2, y + HEIGHT];
    });
    if (!boxes.length || !width || !height) return;
    const [left, top] = [0, 1].map((at) => boxes.reduce((least, box) => Math.min(least, box[at]), Infinity));
    const [right, bottom] = [2, 3].map((at) => boxes.reduce((most, box) => Math.max(most, box[at]), -Infinity));
    const whole = Math.min(1.15, (width - 32) / (right - left), (height - 32) / (bottom - top));
    const k = isReadable && width < NARROW ? Math.max(READABLE, whole) : whole;
    const transform = zoomIdentity
      .translate(width / 2 - k * (left + right) / 2, height / 2 - k * (top + bottom) / 2).scale(k);
    if (isAnimated) go((target) => target.call(zooming.transform, transform));
    else select(element).call(zooming.transform, transform);
  }

  /** Look at some nodes, and those around them, if they are too small to be read, or out of sight. */
  function look(keys, around) {
    const { k, x, y } = globalThis.d3.zoomTransform(element);
    const isReadable = k >= READABLE && drawing.nodes.every(({ key }) => {
      if (!keys.has(key)) return true;
      const place = places.get(key);
      const [left, top] = [place.x * k + x, place.y * k + y];
      return left > 0 && top > 0 && left < element.clientWidth && top < element.clientHeight;
    });
    if (!isReadable) fit({ keys: around });
  }

  new ResizeObserver(() => { if (!isTouched) fit({ isAnimated: false, isReadable: true }); }).observe(element);
  return {
    element, render, mark, fit, look, scale, getStage: () => stage,
    getRatio: () => Math.max(0.5, Math.min(2, element.clientWidth / element.clientHeight || 1.3)),
    isTouched: () => isTouched,
    focusOn: (key) => focus(drawing.nodes.find((drawn) => drawn.key === key)),
  };
}

/** How much of a line from one place to another a box in the middle of one end covers. */
function cover({ width, height }, from, to) {
  return Math.min(0.5, width / 2 / Math.abs(to.x - from.x), height / 2 / Math.abs(to.y - from.y));
}

function markOf({ edge, standing }) {
  if (!edge) return null;
  const words = [MARKS[standing]];
  if (edge.pins.some(({ verdict }) => verdict === "different") && standing !== "different") words.push("≠");
  if (edge.pins.some(({ verdict }) => verdict === "same") && standing !== "same") words.push("=");
  return words.filter(Boolean).join(" ") || null;
}

function describeEdge(edge) {
  const pins = edge.pins.map(({ verdict }) => (verdict === "same" ? "pinned as the same customer"
    : "pinned as different customers"));
  return [...new Set([...edge.links.map(({ reason }) => STANDINGS[reason]), ...pins])].join("; ");
}

function describeNode({ node, bundle }, isWeakest) {
  if (bundle) return `${formatCount(bundle.hidden.length, "hidden value")}, open`;
  return [
    `${node.kind === "email" ? "Email" : "Phone number"} ${node.text}`,
    formatCount(node.edges.length, "link"),
    isWeakest && "weakest value",
    !node.isMember && "not of this customer",
    node.isBlocked && "blocked by the rules",
  ].filter(Boolean).join(", ");
}
