// The live picture: asks for a pair, draws it, asks again. Asking counts as looking, so a hidden
// page, or one told not to watch, asks for nothing and lets the camera rest.

import { PROMPT_MS, ask, Silent } from "./api.js";
import { element, setText, sleep } from "./page.js";

const RETRY_MS = 1500;
const HEADER_BYTES = 12;
const stage = element("stage");
const split = element("split");
const canvases = [element("before"), element("after")];

const ENDED = "The stream has ended. Start vcsharp again to go on.";
const HIDDEN = "This page was hidden: no pictures were asked for.";
const RESTING = "Not watching. Nothing is asked for here, so the camera may go off.";

let number = 0; // of the picture drawn last; the server counts from 1
let watching = true;
let wake = () => {};

const painted = () => new Promise((resolve) => requestAnimationFrame(resolve));
const looks = () => watching && !document.hidden;

async function draw(body) {
  const view = new DataView(body);
  const middle = HEADER_BYTES + view.getUint32(4, true);
  const parts = [body.slice(HEADER_BYTES, middle), body.slice(middle)];
  const bitmaps = await Promise.all(
    parts.map((part) => createImageBitmap(new Blob([part], { type: "image/jpeg" }))));
  await painted();
  bitmaps.forEach((bitmap, index) => show(canvases[index], bitmap));
  number = view.getUint32(0, true);
  stage.dataset.sequence = number;
}

function show(canvas, bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    stage.style.setProperty("--aspect", bitmap.width / bitmap.height);
  }
  canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
  bitmap.close();
}

/** Asks once; returns why there is no picture, or nothing. */
async function step() {
  const reply = await ask("GET", `api/pair?after=${number}`, undefined, PROMPT_MS);
  if (reply.status === 204) return stage.dataset.state === "live" ? "" : undefined;
  const body = await reply.arrayBuffer();
  if (body.byteLength === 0) return ENDED;
  await draw(body);
  return "";
}

/** Shows pictures for as long as the page is open. `daemon` is told when nobody answers. */
export async function watch(daemon) {
  for (;;) {
    if (!looks()) {
      notice(document.hidden ? HIDDEN : RESTING, "resting");
      await new Promise((resolve) => { wake = resolve; });
      continue;
    }
    let words;
    try {
      words = await step();
    } catch (error) {
      if (!looks()) continue;
      words = inWords(error);
      daemon.broken(error);
    }
    if (words === undefined || !looks()) continue;
    notice(words, words ? "ended" : "live");
    if (words) await sleep(RETRY_MS);
  }
}

function inWords(error) {
  if (!(error instanceof Silent)) return error.message;
  return stage.dataset.words === ENDED ? ENDED : `${error.message} This page keeps trying.`;
}

function notice(words, state) {
  const shown = number === 0 && state === "ended" ? "waiting" : state;
  if (stage.dataset.state === shown && stage.dataset.words === words) return;
  stage.dataset.state = shown;
  stage.dataset.words = words;
  const strong = document.createElement("strong");
  strong.textContent = words;
  element("notice").replaceChildren(...(words ? [strong] : []));
}

function setSplit(percent) {
  const share = Math.min(100, Math.max(0, percent));
  split.value = share;
  split.setAttribute("aria-valuetext", `${Math.round(share)} percent before sharpening`);
  stage.style.setProperty("--split", `${share}%`);
  stage.dataset.edge = share < 9 ? "before" : share > 91 ? "after" : "";
}

const STEPS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 };

function follow(event) {
  const by = STEPS[event.key];
  if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  setSplit(split.valueAsNumber + by);
}

function watchOrNot() {
  watching = !watching;
  element("looking").setAttribute("aria-pressed", watching);
  wake();
  if (!watching) notice(RESTING, "resting");
}

/** Makes the line and the button beside the picture work. */
export function furnish(daemon) {
  split.addEventListener("input", () => setSplit(split.valueAsNumber));
  split.addEventListener("keydown", follow);
  element("looking").addEventListener("click", watchOrNot);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) notice(HIDDEN, "resting");
    wake();
  });
  daemon.whenState(({ options }) => {
    stage.dataset.compare = options.compare;
    split.disabled = options.compare !== "off"; // then both pictures are the composed one
    setText(element("hint-compared"), split.disabled ? "Before and after are drawn into the picture" : "");
    element("hint").hidden = split.disabled;
  });
  setSplit(50);
}
