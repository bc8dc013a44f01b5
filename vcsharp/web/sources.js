// Which source: what the machine has, with what each can do, and an address for anything else.

import { ask } from "./api.js";
import { attempt } from "./controls.js";
import { announce, complain, element, made, setContent } from "./page.js";
import { kindOf } from "./words.js";

const AUTO = { source: "auto", title: "Automatic", details: "the first camera that works", usable: true };

let known = [];

/** What is listed: the machine's sources, and the current one even if it is none of them. */
function listed(state) {
  const all = known.some((choice) => choice.source === "auto") ? known : [...known, AUTO];
  const current = state?.options.source;
  if (!current || all.some((choice) => choice.source === current)) return all;
  const title = state.source.description || kindOf(current);
  return [{ source: current, title, details: current, usable: true, elsewhere: true }, ...all];
}

function row(choice, current) {
  const chosen = choice.source === current;
  const why = choice.usable ? "" : "Cannot be used: ";
  const button = made("button",
    {
      type: "button",
      class: "choice",
      "aria-current": chosen ? "true" : undefined,
      "aria-disabled": choice.usable ? undefined : "true",
      "data-source": choice.source,
    },
    made("span", { class: "mark", "aria-hidden": "true" }),
    made("span", { class: "choice-text" }, made("strong", {}, choice.title),
      made("span", { class: "fine" }, `${why}${choice.details}`),
      chosen ? made("span", { class: "unseen" }, ", in use") : ""));
  return made("li", {}, button);
}

function draw(daemon) {
  const state = daemon.state;
  const current = state?.options.source;
  const all = listed(state);
  const list = element("source-list");
  const focused = document.activeElement?.dataset?.source;
  setContent(list, JSON.stringify([current, all]), () => all.map((choice) => row(choice, current)));
  if (focused && list.contains(document.activeElement) === false) refocus(list, focused);
}

/** A list that is drawn anew keeps the keyboard where it was. */
function refocus(list, source) {
  const same = [...list.querySelectorAll("button")].find((one) => one.dataset.source === source);
  if (document.activeElement === document.body) same?.focus();
}

async function look(daemon) {
  try {
    known = await (await ask("GET", "api/sources")).json();
    draw(daemon);
    return true;
  } catch (error) {
    complain("source", error.message);
    return false;
  }
}

async function pick(daemon, source) {
  const done = await attempt(daemon, "source", () => daemon.change({ source }));
  draw(daemon);
  return done;
}

function picked(daemon, event) {
  const button = event.target.closest("button");
  if (!button || button.getAttribute("aria-current")) return;
  if (button.getAttribute("aria-disabled")) {
    complain("source", button.querySelector(".fine").textContent);
    return;
  }
  pick(daemon, button.dataset.source);
}

async function typed(daemon, event) {
  event.preventDefault();
  const field = element("source-address");
  const source = field.value.trim();
  if (!source) {
    complain("source", "Type an address like rtsp://camera/stream, or the path of a video file");
    field.focus();
    return;
  }
  if (await pick(daemon, source)) field.value = ""; // it may hold a password
}

/** Makes the source's controls work; returns what asks again for the list. */
export function furnish(daemon) {
  element("source-list").addEventListener("click", (event) => picked(daemon, event));
  element("source-form").addEventListener("submit", (event) => typed(daemon, event));
  element("source-again").addEventListener("click", async () => {
    complain("source", "");
    if (await look(daemon)) announce(`${known.length} sources found`);
  });
  daemon.whenState(() => draw(daemon));
  return () => look(daemon);
}
