// Where the nodes of a drawing are. The same drawing always gets the same layout; what has a place stays about there.

const SLICE = 25;
const PASSES = 400;
const PATIENCE = 40;
const SPREAD = { x: 1.05, y: 1.0 };
const GAP = 16;
const MARGIN = 6;
const CORNER = 1.3;
const FEW = 60;

/**
 * Place the nodes of a drawing.
 *
 * @param drawing of `collapse`; its nodes have a `width` and a `height`
 * @param places by the key of a node, `{x, y}`: where they were, and afterwards are
 * @param ratio of the width to the height of what it is drawn on
 * @param signal when it is aborted, the places stay as they were
 */
export async function layOut(drawing, places, { ratio, signal }) {
  const { forceSimulation, forceLink, forceManyBody, forceX, forceY } = globalThis.d3;
  if (drawing.nodes.every(({ key }) => places.has(key))) return;
  const isNew = !drawing.nodes.some(({ key }) => places.has(key));
  const points = start(drawing, places);
  const degrees = new Map();
  const links = drawing.edges.map(({ source, target, standing }) => ({ source, target, standing }));
  for (const { source, target } of links) {
    degrees.set(source, (degrees.get(source) ?? 0) + 1);
    degrees.set(target, (degrees.get(target) ?? 0) + 1);
  }
  const reach = ({ source, target, standing }) =>
    (standing === "counts" ? 60 : 95) + 30 * Math.sqrt(Math.max(degrees.get(source.key), degrees.get(target.key)));
  const pull = (strength) => (point) => (point.anchor ? 0.35 : strength);
  const simulation = forceSimulation(points)
    .stop()
    .velocityDecay(0.35)
    .force("charge", forceManyBody().strength(-620).distanceMax(900))
    .force("links", forceLink(links).id(({ key }) => key).distance(reach))
    .force("x", forceX((point) => point.anchor?.x ?? 0).strength(pull(0.05 / ratio)))
    .force("y", forceY((point) => point.anchor?.y ?? 0).strength(pull(0.05 * ratio)))
    .force("boxes", separateBoxes())
    .force("lines", freeLines(links));
  const ticks = Math.max(60, Math.min(isNew ? 300 : 160, Math.round(48_000 / points.length)));
  simulation.alphaDecay(1 - 0.001 ** (1 / ticks));
  for (let done = 0; done < ticks; done += SLICE) {
    simulation.tick(Math.min(SLICE, ticks - done));
    if (done + SLICE < ticks && points.length > 200) await pause();
    if (signal?.aborted) return;
  }
  clear(points, links);
  for (const { key, x, y } of points) places.set(key, { x, y });
}

/** New nodes begin beside a neighbour that has a place, in a spiral; the first ones in a spiral around the middle. */
function start(drawing, places) {
  const neighbours = new Map();
  for (const { source, target } of drawing.edges) {
    if (places.has(source) && !neighbours.has(target)) neighbours.set(target, source);
    if (places.has(target) && !neighbours.has(source)) neighbours.set(source, target);
  }
  return drawing.nodes.map(({ key, width, height }, position) => {
    const known = places.get(key);
    if (known) return { key, width, height, x: known.x, y: known.y, anchor: { ...known } };
    const near = places.get(neighbours.get(key)) ?? { x: 0, y: 0 };
    const radius = (neighbours.has(key) ? 40 : 20) + 9 * Math.sqrt(position);
    const angle = position * Math.PI * (3 - Math.sqrt(5));
    return { key, width, height, x: near.x + radius * Math.cos(angle), y: near.y + radius * Math.sin(angle) };
  });
}

/** At the end, boxes that still cover something are moved away; where that is too slow, everything is spread. */
function clear(points, links) {
  const forces = [separateBoxes(), freeLines(links)];
  forces.forEach((force) => force.initialize(points));
  for (let pass = 1; pass <= PASSES && forces.reduce((pushed, force) => pushed + force(0), 0) > 0; pass += 1) {
    if (pass % PATIENCE === 0) points.forEach((point) => { point.x *= SPREAD.x; point.y *= SPREAD.y; });
  }
}

/** A force that keeps the boxes of the nodes from covering each other, so that labels can be read. */
function separateBoxes() {
  let sorted = [];
  let widest = 0;
  function separate(alpha) {
    const strength = 0.25 + 0.5 * (1 - alpha);
    let pushed = 0;
    sorted.sort((one, other) => one.x - other.x);
    for (let at = 0; at < sorted.length; at += 1) {
      const one = sorted[at];
      for (let next = at + 1; next < sorted.length; next += 1) {
        const other = sorted[next];
        const dx = other.x - one.x;
        if (dx > widest + GAP) break;
        if (push(one, other, dx, strength)) pushed += 1;
      }
    }
    return pushed;
  }
  separate.initialize = (points) => {
    sorted = [...points];
    widest = points.reduce((most, { width }) => Math.max(most, width), 0);
  };
  return separate;
}

/** Push two boxes apart, the shorter way; returns whether they were too near. */
function push(one, other, dx, strength) {
  const overlapX = (one.width + other.width) / 2 + GAP - dx;
  const dy = other.y - one.y;
  const overlapY = (one.height + other.height) / 2 + GAP - Math.abs(dy);
  if (overlapX <= 1 || overlapY <= 1) return false;
  if (overlapY < overlapX) {
    const shift = (Math.sign(dy) || (one.key < other.key ? 1 : -1)) * overlapY * strength / 2;
    one.y -= shift;
    other.y += shift;
  } else {
    one.x -= overlapX * strength / 2;
    other.x += overlapX * strength / 2;
  }
  return true;
}

/** A force that keeps boxes off the lines between others, in a drawing that is small enough to follow each line. */
function freeLines(links) {
  let points = [];
  function free(alpha) {
    if (points.length > FEW) return 0;
    const strength = 0.2 + 0.3 * (1 - alpha);
    let pushed = 0;
    for (const { source, target } of links) {
      for (const point of points) {
        if (point !== source && point !== target && pushOff(point, source, target, strength)) pushed += 1;
      }
    }
    return pushed;
  }
  free.initialize = (all) => { points = all; };
  return free;
}

/** Push a box off the line between two others, if it is on it; returns whether it was. */
function pushOff(point, source, target, strength) {
  // As if the box were a square of two by two in the middle; its corners are a bit farther away than its sides.
  const [scaleX, scaleY] = [point.width / 2 + MARGIN, point.height / 2 + MARGIN];
  const [fromX, fromY] = [(source.x - point.x) / scaleX, (source.y - point.y) / scaleY];
  const [alongX, alongY] = [(target.x - source.x) / scaleX, (target.y - source.y) / scaleY];
  const length = alongX ** 2 + alongY ** 2;
  if (length === 0) return false;
  const part = Math.max(0, Math.min(1, -(fromX * alongX + fromY * alongY) / length));
  let [awayX, awayY] = [-(fromX + part * alongX), -(fromY + part * alongY)];
  let distance = Math.hypot(awayX, awayY);
  if (distance >= CORNER) return false;
  if (distance < 0.01) [awayX, awayY, distance] = [-alongY, alongX, Math.sqrt(length)];
  const shift = Math.max(0.05, CORNER - distance) * strength / distance;
  const [x, y] = [awayX * shift * scaleX, awayY * shift * scaleY];
  point.x += x;
  point.y += y;
  for (const end of [source, target]) {
    end.x -= x / 2;
    end.y -= y / 2;
  }
  return true;
}

function pause() {
  return new Promise((resolve) => { setTimeout(resolve, 0); });
}
