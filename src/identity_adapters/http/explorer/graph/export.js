// The graph as text for Mermaid, as JSON, and as a picture.

import { h } from "../dom.js";
import { textOf } from "../values.js";
import { isCounting } from "./model.js";

const SHAPE = [
  "opacity", "fill", "stroke", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-opacity",
  "stroke-width",
];
const STYLES = {
  g: ["opacity"],
  text: [...SHAPE, "font-family", "font-size", "font-weight", "paint-order", "text-anchor", "text-decoration-line"],
};
const INITIAL = new Set(["", "none", "normal", "butt", "miter"]);
const PADDING = 24;

/** The graph for Mermaid. Every character that could be syntax is written as its number. */
export function toMermaid(answer) {
  const escape = (text) => Array.from(text, (character) =>
    (/[0-9A-Za-z@.+-]/.test(character) ? character : `#${character.codePointAt(0)};`)).join("");
  return [
    "graph LR",
    ...answer.values.map((value, index) => `  n${index}["${escape(textOf(value))}"]`),
    ...answer.links.map((link) => {
      const name = `${link.reason} ${link.id}`;
      return `  n${link.one} ${isCounting(link) ? `-- ${name} ---` : `-. ${name} .-`} n${link.other}`;
    }),
    ...answer.pins.filter(({ verdict }) => verdict === "different")
      .map((pin) => `  n${pin.one} -. different ${pin.id} .- n${pin.other}`),
  ].join("\n");
}

/** The picture that is on the canvas, all of it: a file that needs no stylesheet. */
export function toSvg(stage) {
  // From far, some labels are hidden, and others are larger.
  const isFar = stage.ownerSVGElement.classList.contains("far");
  stage.ownerSVGElement.classList.remove("far");
  const box = stage.getBBox();
  const copy = stage.cloneNode(true);
  copy.removeAttribute("transform");
  const originals = stage.querySelectorAll("*");
  const unseen = copy.querySelectorAll("title, .reach, .badge:empty"); // the classes are gone later on
  copy.querySelectorAll("*").forEach((element, at) => inline(element, originals[at]));
  stage.ownerSVGElement.classList.toggle("far", isFar);
  unseen.forEach((element) => element.remove());
  const [left, top] = [box.x - PADDING, box.y - PADDING].map(Math.floor);
  const [width, height] = [box.width + 2 * PADDING, box.height + 2 * PADDING].map(Math.ceil);
  const root = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  root.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
  root.setAttribute("width", width);
  root.setAttribute("height", height);
  const background = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  Object.entries({ x: left, y: top, width, height, fill: getComputedStyle(stage.ownerSVGElement).backgroundColor })
    .forEach(([name, value]) => background.setAttribute(name, value));
  root.append(background, copy);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(root)}\n`;
}

function inline(element, original) {
  const style = getComputedStyle(original);
  for (const name of ["class", "role", "tabindex", "data-key", "aria-label", "aria-pressed", "aria-hidden"]) {
    element.removeAttribute(name);
  }
  for (const name of STYLES[element.localName] ?? SHAPE) {
    const value = style.getPropertyValue(name);
    const isInitial = INITIAL.has(value) && name !== "fill";
    if (!isInitial && !(name.endsWith("opacity") && value === "1")) {
      element.setAttribute(name === "text-decoration-line" ? "text-decoration" : name, value);
    }
  }
}

/** Have a text saved as a file. */
export function download(text, type, name) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Copy a text; returns whether the browser allowed it. Otherwise the text is shown in a dialog to copy it by hand. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { id: "copied", readOnly: true, rows: 14, value: text });
    const dialog = h(
      "dialog", { "aria-labelledby": "copy-title" },
      h("h2", { id: "copy-title" }, "Copy this text"),
      h("label", { for: "copied" }, "Mermaid"),
      area,
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    );
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    area.select();
    return false;
  }
}
