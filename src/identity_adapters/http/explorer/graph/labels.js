// The labels of nodes: how long they may be, and how wide they are.

const MOST = 26;
const FONT = "12.5px system-ui, sans-serif";
const context = document.createElement("canvas").getContext("2d");
const widths = new Map();

/** A value that fits a node: of a long one, the begin and the end. */
export function shorten(text) {
  const characters = Array.from(text);
  if (characters.length <= MOST) return text;
  return `${characters.slice(0, 14).join("")}…${characters.slice(-(MOST - 15)).join("")}`;
}

/** The width of a label. */
export function measure(text) {
  if (!widths.has(text)) {
    if (widths.size > 20_000) widths.clear();
    context.font = FONT;
    widths.set(text, Math.ceil(context.measureText(text).width));
  }
  return widths.get(text);
}
