// The evidence graph as values, and how a large one collapses. Nothing here knows of a page.
//
// A graph is collapsed by choosing the values that are shown. All others are in bundles: hidden values that hang
// together, or at the same shown values, are one bundle ("+120"). A bundle is joined to whatever its values are joined
// to, so a collapsed graph never shows two parts as separate that are not.

import { keyOf, kindOf, textOf } from "../values.js";

/** How many values are shown at first, at most, if not all are. */
export const FIRST = 16;
/** How many more a bundle shows when it is opened. */
export const STEP = 50;
/** A graph up to this size is shown whole. */
export const WHOLE = 36;
/** How many may be shown at all. */
export const MOST = 1500;

const LEAVES = 12;
const BUNDLES = 24;
const PATH = 12;
const NOTABLE = 24;
const IDLE = new Set(["undone", "held", "blocked"]);

/** Whether a link joins its values. */
export function isCounting(link) {
  return !IDLE.has(link.reason);
}

/**
 * Read the answer of `GET /identities/{contactId}/graph`.
 *
 * There is one edge for all links and pins of two values. The `standing` of an edge is what it is drawn as.
 */
export function readGraph(answer) {
  const nodes = answer.values.map((value, index) => ({
    index, key: keyOf(value), kind: kindOf(value), text: textOf(value), edges: [],
    isMember: value.isMember ?? true, isBlocked: value.isBlocked ?? false,
  }));
  const byPair = new Map();
  const edges = [];
  const edgeOf = (one, other) => {
    const pair = one < other ? `${one} ${other}` : `${other} ${one}`;
    let edge = byPair.get(pair);
    if (edge === undefined) {
      edge = { index: edges.length, key: `${nodes[one].key}\n${nodes[other].key}`, one, other, links: [], pins: [] };
      byPair.set(pair, edge);
      edges.push(edge);
      nodes[one].edges.push(edge);
      if (one !== other) nodes[other].edges.push(edge);
    }
    return edge;
  };
  answer.links.forEach((link) => edgeOf(link.one, link.other).links.push(link));
  answer.pins.forEach((pin) => edgeOf(pin.one, pin.other).pins.push(pin));
  edges.forEach((edge) => { edge.standing = judge(edge); });
  const byKey = new Map(nodes.map((node) => [node.key, node]));
  return { answer, nodes, edges, byKey, weakest: answer.weakest?.value ?? null };
}

function judge(edge) {
  const counting = edge.links.filter(isCounting).map((link) => link.reason);
  if (counting.some((reason) => reason === "contact" || reason === "evidence")) return "counts";
  if (counting.includes("pin")) return "same";
  if (counting.length) return "inherited";
  return edge.links[0]?.reason ?? edge.pins[0].verdict;
}

/** The other end of an edge. */
export function otherEnd(edge, index) {
  return edge.one === index ? edge.other : edge.one;
}

/** The edge of two values, or undefined. */
export function findEdge(graph, one, other) {
  const [few, far] = graph.nodes[one].edges.length < graph.nodes[other].edges.length ? [one, other] : [other, one];
  return graph.nodes[few].edges.find((edge) => otherEnd(edge, few) === far);
}

/** The keys of the nodes of a drawing that most others hang at. */
export function findHubs(drawing, count) {
  const degrees = new Map();
  for (const end of drawing.edges.flatMap(({ source, target }) => [source, target])) {
    degrees.set(end, (degrees.get(end) ?? 0) + 1);
  }
  const hubs = drawing.nodes.filter(({ key, node }) => node && degrees.get(key) > 2);
  hubs.sort((one, other) => degrees.get(other.key) - degrees.get(one.key));
  return new Set(hubs.slice(0, count).map(({ key }) => key));
}

/** The values that are shown at first: those around the largest hubs, and what is notable. */
export function chooseFirst(graph) {
  const all = graph.nodes.map((node) => node.index);
  if (all.length <= WHOLE) return new Set(all);
  const hub = all.reduce((best, index) => (degree(graph, index) > degree(graph, best) ? index : best), 0);
  const shown = new Set([hub]);
  if (graph.weakest !== null) shown.add(graph.weakest);
  for (const edge of graph.edges) {
    if (shown.size >= NOTABLE) break;
    if (edge.standing !== "counts" || edge.pins.length) shown.add(edge.one).add(edge.other);
  }
  return grow(graph, shown, [...shown], () => true, FIRST - shown.size, LEAVES);
}

/** Show more of a bundle: its values that lead to most others first. */
export function openBundle(graph, shown, bundle) {
  const inside = new Set(bundle.hidden);
  let roots = bundle.attachments;
  const next = new Set(shown);
  if (roots.length === 0) {
    roots = [bundle.hidden.reduce((best, index) => (degree(graph, index) > degree(graph, best) ? index : best))];
    next.add(roots[0]);
  }
  return grow(graph, next, roots, (index) => inside.has(index), STEP, Infinity);
}

/** Show some values, and what leads to them if that is little. */
export function reveal(graph, shown, indices) {
  const next = new Set(shown);
  for (const index of indices) {
    if (next.has(index)) continue;
    const path = findPath(graph, index, (other) => next.has(other));
    if (path.length <= PATH) path.forEach((step) => next.add(step));
    else [...path.slice(0, 4), ...path.slice(-3)].forEach((step) => next.add(step));
  }
  return next;
}

function degree(graph, index) {
  return graph.nodes[index].edges.length;
}

/** The shortest path from a value to one that a function accepts, both included; else the value alone. */
function findPath(graph, start, accepts) {
  const from = new Map([[start, null]]);
  const queue = [start];
  for (const index of queue) {
    if (accepts(index)) {
      const path = [];
      for (let step = index; step !== null; step = from.get(step)) path.push(step);
      return path.reverse();
    }
    for (const edge of graph.nodes[index].edges) {
      const next = otherEnd(edge, index);
      if (from.has(next)) continue;
      from.set(next, index);
      queue.push(next);
    }
  }
  return [start];
}

/** Add `count` values to those shown: of a spanning tree, always the one with the largest subtree at its border. */
function grow(graph, shown, roots, isAllowed, count, leaves) {
  const parent = new Int32Array(graph.nodes.length).fill(-1);
  const isSeen = new Uint8Array(graph.nodes.length);
  const queue = [...roots];
  queue.forEach((index) => { isSeen[index] = 1; });
  for (const index of queue) {
    for (const edge of graph.nodes[index].edges) {
      const next = otherEnd(edge, index);
      if (isSeen[next] || !isAllowed(next)) continue;
      isSeen[next] = 1;
      parent[next] = index;
      queue.push(next);
    }
  }
  const size = new Int32Array(graph.nodes.length).fill(1);
  const children = new Map();
  for (let position = queue.length - 1; position >= 0; position -= 1) {
    const index = queue[position];
    const above = parent[index];
    if (above < 0) continue;
    size[above] += size[index];
    if (!children.has(above)) children.set(above, []);
    children.get(above).push(index);
  }
  children.forEach((list) => list.reverse().sort((one, other) => size[other] - size[one]));
  const next = new Set(shown);
  // Of each value that is in, its children wait in the order of their size.
  const border = [];
  const enter = (index) => children.has(index) && border.push({ waiting: children.get(index), at: 0, taken: 0 });
  roots.forEach(enter);
  for (let left = count; left > 0 && border.length > 0;) {
    const sizeOf = ({ waiting, at }) => size[waiting[at]];
    const best = border.reduce((most, place) => (sizeOf(place) > sizeOf(most) ? place : most));
    const index = best.waiting[best.at];
    best.at += 1;
    if (size[index] === 1) best.taken += 1;
    if (best.at === best.waiting.length || best.taken === leaves) border.splice(border.indexOf(best), 1);
    if (!next.has(index)) {
      next.add(index);
      left -= 1;
    }
    enter(index);
  }
  return next;
}

/**
 * What is drawn if some values are shown.
 *
 * @returns `{nodes, edges}`. A node has a `key` and either `node` or `bundle: {hidden, attachments}`. An edge has the
 * keys of its ends in `source` and `target`, its `standing`, and `edge` or the number of edges that it stands for in
 * `count`.
 */
export function collapse(graph, shown) {
  const bundles = gather(graph, shown);
  const visible = new Set(shown);
  bundles.filter(({ hidden }) => hidden.length === 1).forEach(({ hidden }) => visible.add(hidden[0]));
  const owner = new Map();
  const nodes = [...visible].sort((one, other) => one - other).map((index) => ({
    key: graph.nodes[index].key, node: graph.nodes[index],
  }));
  for (const bundle of bundles) {
    if (bundle.hidden.length === 1) continue;
    const key = `more ${bundle.attachments.map((index) => graph.nodes[index].key).join("\n")}`;
    nodes.push({ key, bundle });
    bundle.hidden.forEach((index) => owner.set(index, key));
  }
  const edges = [];
  const joined = new Map();
  for (const edge of graph.edges) {
    const [one, other] = [owner.get(edge.one), owner.get(edge.other)];
    if (one === undefined && other === undefined) {
      edges.push({
        key: edge.key, source: graph.nodes[edge.one].key, target: graph.nodes[edge.other].key, edge,
        standing: edge.standing,
      });
      continue;
    }
    const source = one ?? graph.nodes[edge.one].key;
    const target = other ?? graph.nodes[edge.other].key;
    if (source === target) continue;
    const key = source < target ? `${source}\n\n${target}` : `${target}\n\n${source}`;
    const known = joined.get(key);
    if (known) {
      known.count += 1;
      if (edge.standing === "counts") known.standing = "counts";
    } else {
      joined.set(key, { key, source, target, standing: edge.standing, count: 1 });
    }
  }
  return { nodes, edges: [...edges, ...joined.values()] };
}

/** The hidden values, in bundles of those that hang at the same shown ones. */
function gather(graph, shown) {
  if (shown.size === graph.nodes.length) return [];
  const isSeen = new Uint8Array(graph.nodes.length);
  const components = [];
  for (const { index } of graph.nodes) {
    if (isSeen[index] || shown.has(index)) continue;
    const hidden = [index];
    const attachments = new Set();
    isSeen[index] = 1;
    for (const member of hidden) {
      for (const edge of graph.nodes[member].edges) {
        const next = otherEnd(edge, member);
        if (shown.has(next)) attachments.add(next);
        else if (!isSeen[next]) {
          isSeen[next] = 1;
          hidden.push(next);
        }
      }
    }
    components.push({ hidden, attachments: [...attachments].sort((one, other) => one - other) });
  }
  const exact = merge(components, ({ attachments }) => attachments.join(" "));
  return exact.length <= BUNDLES ? exact : merge(components, ({ attachments }) => attachments[0]);
}

function merge(components, nameOf) {
  const groups = new Map();
  for (const component of components) {
    const name = nameOf(component);
    const group = groups.get(name);
    if (group) {
      for (const index of component.hidden) group.hidden.push(index);
      component.attachments.forEach((index) => group.attachments.add(index));
    } else {
      groups.set(name, { hidden: [...component.hidden], attachments: new Set(component.attachments) });
    }
  }
  return [...groups.values()].map(({ hidden, attachments }) => ({ hidden, attachments: [...attachments] }));
}
