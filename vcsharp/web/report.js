// What is going on, in words: the parts and their states, the sound's delay, the last faults.

import { announce, element, made, setContent, setText } from "./page.js";
import {
  duration, engineWords, parted, placeOf, runWords, sinkWords, sourceWords, statusOf, times,
} from "./words.js";

function emptyPart() {
  return made("li", {}, made("p", {}, made("strong")), made("p", { class: "why" }), made("p", { class: "fine" }));
}

/** Changes the texts of a row in place: who reads it keeps the place. */
function fill(row, { level, title, why, facts }) {
  row.dataset.level = level;
  const [head, reason, details] = row.children;
  setText(head.firstChild, title);
  setText(reason, why);
  setText(details, facts.join(" · "));
}

function showParts(state, fresh) {
  const rows = [sourceWords(state.source), engineWords(state.engine), ...state.sinks.map(sinkWords)];
  const list = element("parts");
  setContent(list, String(rows.length), () => rows.map(emptyPart));
  rows.forEach((row, index) => fill(list.children[index], row));
  if (fresh) setText(element("run"), runWords(state));
  setText(element("version"), `vcsharp ${state.version}`);
}

let said = ""; // the last state that was read out

function showStatus(state) {
  const { level, words } = statusOf(state);
  setStatus(words, level);
  const { title } = sourceWords(state.source);
  if (said && said !== title) announce(title);
  said = title;
}

/** The words at the top of the page and in its title. */
export function setStatus(words, level) {
  element("status").dataset.level = level;
  setText(element("status-words"), words);
  const title = `${words} – vcsharp`;
  if (document.title !== title) document.title = title;
}

// ---- sound

let delayMs = 0;

function showDelay(state) {
  delayMs = Math.round(state.delay_ms);
  const measured = state.delay_ms > 0;
  element("delay-copy").hidden = !measured;
  setText(element("delay-words"), measured
    ? `Sound must be delayed by ${delayMs} ms to match the lips.`
    : "The delay is not measured yet.");
}

async function copyDelay() {
  const copied = element("delay-copied");
  const text = String(delayMs);
  try {
    await navigator.clipboard.writeText(text);
    setText(copied, `Copied: ${text}`);
  } catch {
    setText(copied, `Not allowed here; type ${text}`);
  }
  announce(copied.textContent);
  setTimeout(() => setText(copied, ""), 4000);
}

// ---- faults

let newest; // the fault at the top, as far as it was read out

function fault(entry) {
  const { happened, cure } = parted(entry.what);
  const moment = new Date(entry.at_s * 1000);
  const ago = Date.now() / 1000 - entry.at_s;
  const time = made("time", { datetime: moment.toISOString() },
    ago < 86400 ? moment.toLocaleTimeString("en-GB") : `${duration(ago)} ago`);
  return made("li", {},
    made("p", { class: "fine" }, time, " ", made("span", { class: "tag" }, placeOf(entry.where)),
      entry.count > 1 ? ` ${times(entry.count)}` : ""),
    made("p", {}, happened),
    cure ? made("p", { class: "cure" }, cure) : "");
}

function showFaults(state) {
  const top = state.faults[0];
  const key = top ? `${top.where}: ${top.what}` : "";
  if (newest !== undefined && key && key !== newest) announce(`Fault: ${top.what}`);
  newest = key;
  element("no-faults").hidden = state.faults.length > 0;
  setContent(element("faults"), JSON.stringify(state.faults), () => state.faults.map(fault));
}

/** Makes the lower half of the page follow the daemon. */
export function furnish(daemon) {
  element("delay-copy").addEventListener("click", copyDelay);
  daemon.whenLink((trouble) => {
    if (trouble) setText(element("run"), `${trouble} This is what was known last.`);
  });
  daemon.whenState((state, fresh) => {
    if (!daemon.trouble) showStatus(state);
    showParts(state, fresh);
    showDelay(state);
    showFaults(state);
  });
}
