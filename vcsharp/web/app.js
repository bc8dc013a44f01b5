// The preview page: asks for a pair of pictures, draws it, asks again; once a second, for the figures.

const element = (id) => document.getElementById(id);
const stage = element("stage");
const split = element("split");
const canvases = [element("before"), element("after")];
const RETRY_MS = 1500;
const STATS_MS = 1000;
const HEADER_BYTES = 12;
const ENDED = "The stream has ended. Start vcsharp again to go on.";
const LOST = "vcsharp does not answer. Is it still running? This page keeps trying.";

let number = 0;   // of the picture drawn last; the server counts from 1
let trouble = ""; // why there is no live picture, in words

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const painted = () => new Promise((resolve) => requestAnimationFrame(resolve));

// ---- pictures

async function draw(body) {
  const view = new DataView(body);
  const beforeBytes = view.getUint32(4, true);
  const middle = HEADER_BYTES + beforeBytes;
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

async function watch() {
  for (;;) {
    let reply;
    try {
      reply = await fetch(`pair?after=${number}`);
      if (reply.status === 204) continue; // nothing newer yet
      if (!reply.ok) throw new Error(`status ${reply.status}`);
      const body = await reply.arrayBuffer();
      if (body.byteLength === 0) {
        setTrouble(ENDED);
        await sleep(RETRY_MS);
      } else {
        await draw(body);
        setTrouble("");
      }
    } catch {
      if (trouble !== ENDED) setTrouble(LOST);
      await sleep(RETRY_MS);
    }
  }
}

function setTrouble(words) {
  if (words === trouble && stage.dataset.state !== "waiting") return;
  trouble = words;
  const hasPicture = number > 0;
  stage.dataset.state = words ? "ended" : "live";
  if (!hasPicture) stage.dataset.state = "waiting";
  const strong = document.createElement("strong");
  strong.textContent = words;
  element("notice").replaceChildren(...(words ? [strong] : []));
  if (words) setStatus(words === ENDED ? "Ended" : "No answer", "ended");
  else setStatus("Live", "live");
  if (hasPicture) allowSnapshot(!words);
}

function allowSnapshot(allowed) {
  const button = element("snapshot");
  button.toggleAttribute("aria-disabled", !allowed);
  if (allowed) {
    button.href = "snapshot.png";
    button.setAttribute("download", "");
  } else {
    button.setAttribute("aria-disabled", "true");
    button.removeAttribute("href");
  }
}

// ---- slider

function setSplit(percent) {
  const share = Math.min(100, Math.max(0, percent));
  split.value = share;
  split.setAttribute("aria-valuetext", `${Math.round(share)} percent before sharpening`);
  stage.style.setProperty("--split", `${share}%`);
  stage.dataset.edge = share < 9 ? "before" : share > 91 ? "after" : "";
}

const STEPS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 };

split.addEventListener("input", () => setSplit(split.valueAsNumber));
split.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  setSplit(split.valueAsNumber + step);
});

// ---- figures

const fixed = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
const ms = (value) => fixed(value, value < 10 ? 1 : 0);
const count = (value) => (Number.isFinite(value) ? value.toLocaleString("en") : "–");

const FIGURES = {
  fps_in: (s) => fixed(s.fps_in, 1),
  fps_out: (s) => fixed(s.fps_out, 1),
  latency_p50: (s) => ms(s.latency_ms?.p50),
  latency_p95: (s) => ms(s.latency_ms?.p95),
  stage_capture: (s) => ms(s.stage_ms?.capture),
  stage_engine: (s) => ms(s.stage_ms?.engine),
  stage_sink: (s) => ms(s.stage_ms?.sink),
  frames_dropped: (s) => count(s.frames_dropped),
  frames_in: (s) => count(s.frames_in),
  source: (s) => s.source || "–",
  model: (s) => s.model || "–",
  device: (s) => [s.device, (s.backend ?? "").replaceAll("none", "").trim()].filter(Boolean).join(" · ") || "–",
  size: (s) => (s.size || "–").replace("x", " × "),
  cpu_percent: (s) => (Number.isFinite(s.cpu_percent) ? `${fixed(s.cpu_percent, 0)} % of a core` : "–"),
  rss_mib: (s) => (Number.isFinite(s.rss_mib) ? `${fixed(s.rss_mib, 0)} MiB` : "–"),
  version: (s) => (s.version ? `vcsharp ${s.version}` : ""),
};

function setStatus(words, state) {
  const chip = element("status");
  if (chip.dataset.state === state && element("status-words").textContent === words) return;
  chip.dataset.state = state;
  element("status-words").textContent = words;
  document.title = `${words} – vcsharp`;
}

function showFigures(stats) {
  for (const place of document.querySelectorAll("[data-figure]")) {
    const text = FIGURES[place.dataset.figure](stats);
    if (place.textContent !== text) place.textContent = text;
  }
  const frameMs = stats.fps_in > 0 ? 1000 / stats.fps_in : 33.3;
  for (const name of ["capture", "engine", "sink"]) {
    const share = Math.min(1, (stats.stage_ms?.[name] ?? 0) / frameMs);
    element(`${name}-bar`).style.setProperty("--share", share);
  }
  if (!trouble && stats.status) {
    const words = stats.status[0].toUpperCase() + stats.status.slice(1);
    setStatus(words, stats.status === "live" ? "live" : "waiting");
  }
}

async function follow() {
  for (;;) {
    if (!document.hidden && !trouble) {
      try {
        const reply = await fetch("stats");
        if (reply.ok) showFigures(await reply.json());
      } catch {
        // The pictures tell that nobody answers.
      }
    }
    await sleep(STATS_MS);
  }
}

setSplit(50);
watch();
follow();
