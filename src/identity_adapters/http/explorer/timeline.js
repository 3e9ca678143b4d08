// The slider over time: the identity as it was after each event, and how it grew.

import { fill, h } from "./dom.js";
import { nameEvent } from "./history.js";
import { formatCount, formatTime } from "./words.js";

const DEBOUNCE = 150;
const STEPS = 60;
const PAUSE = 700;
const TICKS = 120;

/**
 * A timeline.
 *
 * @param onTime gets a time, or null for now, and is awaited while the timeline plays
 */
export function createTimeline({ onTime }) {
  const moments = [];
  let position = 0;
  let timer = null;
  let player = null;
  let isComplete = false;

  const slider = h("input", {
    id: "moment", type: "range", min: 0, max: 0, step: 1, oninput: slide, "aria-describedby": "moment-label",
  });
  const ticks = h("datalist", { id: "moments" });
  slider.setAttribute("list", "moments");
  const label = h("output", { id: "moment-label", for: "moment" });
  const play = h("button", { type: "button", class: "small", onclick: () => (player ? pause() : start()) }, "Play");
  const now = h("button", { type: "button", class: "small", onclick: () => { pause(); go(moments.length); } }, "Now");
  const container = h(
    "div", { class: "timeline", hidden: true },
    h("div", { class: "buttons" }, play, now),
    h("div", { class: "slider" }, h("label", { for: "moment", class: "sr" }, "As of"), slider, ticks),
    label,
  );

  /** Add events in order. Those of one time are one moment. */
  function add(events) {
    const isNow = position === moments.length;
    for (const event of events) {
      const last = moments.at(-1);
      if (last?.time === event.happenedAt) last.events.push(event);
      else moments.push({ time: event.happenedAt, events: [event] });
    }
    if (isNow) position = moments.length;
    slider.max = moments.length;
    slider.value = position;
    container.hidden = moments.length < 2;
    const every = Math.ceil(moments.length / TICKS);
    const marked = moments.map((_, at) => at).filter((at) => at % every === 0);
    fill(ticks, marked.map((at) => h("option", { value: String(at) })));
    tell();
  }

  /** Nothing is told any more. */
  function stop() {
    pause();
    clearTimeout(timer);
  }

  function clear() {
    stop();
    moments.length = 0;
    position = 0;
  }

  /** All events were added. */
  function finish(areAll) {
    isComplete = areAll;
    tell();
  }

  function slide() {
    pause();
    position = slider.valueAsNumber;
    tell();
    clearTimeout(timer);
    timer = setTimeout(() => onTime(getTime()), DEBOUNCE);
  }

  function go(next) {
    clearTimeout(timer);
    position = next;
    slider.value = position;
    tell();
    return onTime(getTime());
  }

  function getTime() {
    return moments[position]?.time ?? null;
  }

  function tell() {
    const moment = moments[position];
    const text = moment ? describeMoment(moment)
      : `Now, after ${formatCount(moments.length, "moment")}${isComplete ? "" : " so far"}`;
    slider.setAttribute("aria-valuetext", text);
    label.value = text;
    now.disabled = position === moments.length;
  }

  function pause() {
    player?.abort();
    player = null;
    play.textContent = "Play";
  }

  async function start() {
    player = new AbortController();
    const { signal } = player;
    play.textContent = "Pause";
    const first = position === moments.length ? 0 : position;
    const step = Math.max(1, (moments.length - first) / STEPS);
    for (let at = first; at < moments.length; at += step) {
      await Promise.all([go(Math.floor(at)), wait(PAUSE)]);
      if (signal.aborted || !container.isConnected) return;
    }
    await go(moments.length);
    pause();
  }

  return { container, add, clear, finish, stop };
}

function describeMoment({ time, events }) {
  const what = events.length === 1 ? nameEvent(events[0]) : `${nameEvent(events[0])} (and ${events.length - 1} more)`;
  return `${formatTime(time, "seconds")}: ${what}`;
}

function wait(milliseconds) {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}
