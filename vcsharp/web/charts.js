// Four small charts of the last minute, drawn as SVG paths from what the page has heard.

import { element, setText } from "./page.js";

const SPAN_S = 60;
const WIDTH = 240;
const HEIGHT = 64;
const GAP_S = 15; // no line across a longer silence
const SVG = "http://www.w3.org/2000/svg";

/** The smallest of 1, 2, 4, 6, 8, 10 times a power of ten that is not below `value`. */
export function roundedUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 6, 8, 10].find((step) => step * power >= value - 1e-9);
}

function drawn(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** One chart: a main line with its area, and perhaps a quiet second line. */
class Chart {
  #samples = []; // [seconds, main, second]
  #svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #area = drawn("path", { class: "area" });
  #main = drawn("path", { class: "main" });
  #second = drawn("path", { class: "second" });
  #top = document.createElement("span");

  constructor(id, title, unit, floor) {
    this.title = title;
    this.unit = unit;
    this.floor = floor; // the scale ends here or higher
    for (const share of [0.5, 1]) {
      const y = HEIGHT - share * (HEIGHT - 2) - 1;
      this.#svg.append(drawn("path", { class: "grid", d: `M0 ${y}H${WIDTH}` }));
    }
    this.#svg.append(this.#area, this.#second, this.#main);
    this.#top.className = "top";
    this.#top.setAttribute("aria-hidden", "true");
    document.querySelector(`#${id} .plot`).append(this.#svg, this.#top);
  }

  add(atS, main, second = null) {
    this.#samples.push([atS, main, second]);
    while (this.#samples[0][0] < atS - SPAN_S - GAP_S) this.#samples.shift();
  }

  draw(nowS) {
    const shown = this.#samples.filter(([atS]) => atS >= nowS - SPAN_S);
    const values = shown.flatMap(([, main, second]) => [main, second]).filter(Number.isFinite);
    const top = roundedUp(Math.max(this.floor, ...values));
    const place = ([atS], value) =>
      `${(WIDTH * (1 + (atS - nowS) / SPAN_S)).toFixed(1)} ${(HEIGHT - 1 - (HEIGHT - 2) * value / top).toFixed(1)}`;
    const runs = parts(this.#samples, 1);
    this.#main.setAttribute("d", runs.map((run) => line(run, 1, place)).join(""));
    this.#area.setAttribute("d", runs.map((run) => area(run, place)).join(""));
    this.#second.setAttribute("d", parts(this.#samples, 2).map((run) => line(run, 2, place)).join(""));
    setText(this.#top, top.toLocaleString("en"));
    this.#describe(shown.map(([, main]) => main).filter(Number.isFinite));
  }

  #describe(values) {
    const range = values.length
      ? `between ${tidy(Math.min(...values))} and ${tidy(Math.max(...values))} ${this.unit}`
      : "nothing measured yet";
    this.#svg.setAttribute("aria-label", `${this.title} in the last minute: ${range}`);
  }
}

const tidy = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });

/** The stretches of samples that have a value and follow each other closely. */
function parts(samples, column) {
  const runs = [];
  let lastS = -Infinity;
  for (const sample of samples) {
    if (!Number.isFinite(sample[column])) continue;
    if (sample[0] - lastS > GAP_S) runs.push([]);
    runs.at(-1).push(sample);
    lastS = sample[0];
  }
  return runs;
}

function line(run, column, place) {
  const points = run.map((sample) => place(sample, sample[column]));
  return `M${points.join("L")}${points.length === 1 ? "h0.1" : ""}`;
}

function area(run, place) {
  const ends = [place(run.at(-1), 0), place(run[0], 0)];
  return `${line(run, 1, place)}L${ends.join("L")}Z`;
}

const CHARTS = {
  fps: new Chart("chart-fps", "Frame rate", "frames per second", 30),
  delay: new Chart("chart-delay", "Delay", "milliseconds", 20),
  drops: new Chart("chart-drops", "Dropped pictures", "per second", 4),
  cpu: new Chart("chart-cpu", "Processor", "percent of a core", 20),
};

let last; // what the counters were, to tell drops per second

function dropsPerSecond(figures, nowS) {
  const before = last;
  last = { dropped: figures.frames_dropped, atS: nowS };
  if (!before || figures.frames_dropped < before.dropped || nowS - before.atS < 0.2) return null;
  return (figures.frames_dropped - before.dropped) / (nowS - before.atS);
}

/** Enters the figures of this moment and draws; for each, returns what the charts worked out. */
export function chart(figures) {
  const nowS = performance.now() / 1000;
  const drops = dropsPerSecond(figures, nowS);
  const measured = (value) => (value > 0 ? value : null);
  CHARTS.fps.add(nowS, figures.fps_out, figures.fps_in);
  CHARTS.delay.add(nowS, measured(figures.latency_ms.p50), measured(figures.latency_ms.p95));
  CHARTS.drops.add(nowS, drops);
  CHARTS.cpu.add(nowS, figures.cpu_percent);
  if (!document.hidden) Object.values(CHARTS).forEach((one) => one.draw(nowS));
  return { drops };
}

// ---- the current figures beside the charts

const fixed = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
const ms = (value) => (value > 0 ? fixed(value, value < 10 ? 1 : 0) : "–");
const count = (value) => (Number.isFinite(value) ? value.toLocaleString("en") : "–");

const FIGURES = {
  fps_in: (f) => fixed(f.fps_in, 1),
  fps_out: (f) => fixed(f.fps_out, 1),
  latency_p50: (f) => ms(f.latency_ms.p50),
  latency_p95: (f) => ms(f.latency_ms.p95),
  stage_capture: (f) => ms(f.stage_ms.capture),
  stage_engine: (f) => ms(f.stage_ms.engine),
  stage_sink: (f) => fixed(f.stage_ms.sink, 1),
  drops: (f) => (f.drops === null ? "–" : tidy(f.drops)),
  frames_dropped: (f) => count(f.frames_dropped),
  frames_in: (f) => count(f.frames_in),
  cpu_percent: (f) => fixed(f.cpu_percent, 0),
  rss_mib: (f) => fixed(f.rss_mib, 0),
};

/** Writes the figures, and draws how long each stage takes of a frame's time. */
export function showFigures(figures) {
  const all = { ...figures, ...chart(figures) };
  for (const place of document.querySelectorAll("[data-figure]")) {
    setText(place, FIGURES[place.dataset.figure](all));
  }
  const frameMs = figures.fps_in > 0 ? 1000 / figures.fps_in : 1000 / 30;
  for (const name of ["capture", "engine", "sink"]) {
    const share = Math.min(1, (figures.stage_ms[name] ?? 0) / frameMs);
    element(`${name}-bar`).style.setProperty("--share", share);
  }
}
