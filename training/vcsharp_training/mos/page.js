"use strict";

const study = JSON.parse(document.getElementById("study").textContent);
const STORE = `vcsharp-mos-${study.study}`;
const WORDS = ["bad", "poor", "fair", "good", "excellent"];
const COLUMNS = [1, 1, 2, 3, 2, 3, 3, 4, 4];
const MOST_ZOOM = 16;
const PAN_STEP = 0.1;

const $ = (id) => document.getElementById(id);

/* ---- state: order, ratings and place, kept in the browser ---- */

function shuffled(values) {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = crypto.getRandomValues(new Uint32Array(1))[0] % (i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

function fresh() {
  const session = [...crypto.getRandomValues(new Uint8Array(8))];
  return {
    session: session.map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    rater: "",
    order: shuffled(study.scenes).map((scene) => ({
      scene: scene.id,
      stimuli: shuffled(scene.stimuli).map((stimulus) => stimulus.id),
    })),
    ratings: {},
    at: 0,
  };
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORE));
  } catch {
    return null;
  }
}

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(state));
  } catch {
    say("This browser keeps nothing: save your ratings before you close the page.");
  }
}

let state = stored() ?? fresh();
const scenes = new Map(study.scenes.map((scene) => [scene.id, scene]));
const sources = new Map(study.scenes.flatMap((s) => s.stimuli.map((x) => [x.id, x.src])));

/* ---- what is on the page ---- */

let scene = null;
let panels = [];
let marked = 0;
let shownAt = 0;
const view = { zoom: 1, x: 0.5, y: 0.5 };

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function show(at) {
  state.at = Math.min(Math.max(at, 0), state.order.length - 1);
  keep();
  const turn = state.order[state.at];
  scene = scenes.get(turn.scene);
  panels = turn.stimuli.map((id, index) => panel(id, index));
  const columns = COLUMNS[panels.length];
  const rows = Math.ceil(panels.length / columns);
  const box = $("panels");
  box.replaceChildren(...panels.map((made) => made.box));
  box.style.setProperty("--columns", columns);
  box.style.setProperty("--tallest", `${Math.floor((rows > 1 ? 76 : 62) / rows)}vh`);
  Object.assign(view, { zoom: 1, x: 0.5, y: 0.5 });
  shownAt = performance.now();
  mark(Math.max(0, panels.findIndex((made) => !(made.id in state.ratings))));
  tell();
  full(); // made small, all versions look alike
}

function panel(id, index) {
  const letter = String.fromCharCode(65 + index);
  const picture = element("img", { src: sources.get(id), alt: "", draggable: false });
  const stage = element("div", { className: "view", tabIndex: 0 }, picture);
  stage.setAttribute("role", "img");
  stage.setAttribute("aria-label", `Version ${letter}`);
  const marks = WORDS.map((word, i) => {
    const value = String(i + 1);
    const input = element("input", { type: "radio", name: `mark-${index}`, value });
    input.checked = state.ratings[id]?.rating === i + 1;
    input.addEventListener("change", () => rate(index, i + 1));
    return element("label", { className: "mark" }, input, `${value} `, element("small", { textContent: word }));
  });
  const legend = element("legend", { textContent: `Version ${letter}` });
  const box = element("section", { className: "panel" }, stage, element("fieldset", {}, legend, ...marks));
  box.setAttribute("aria-label", `Version ${letter}`);
  box.addEventListener("focusin", () => mark(index));
  listen(stage);
  return { id, box, stage, picture };
}

function mark(index) {
  marked = index;
  panels.forEach((made, i) => made.box.classList.toggle("marked", i === index));
}

function rate(index, rating) {
  const seconds = Math.round((performance.now() - shownAt) / 100) / 10;
  state.ratings[panels[index].id] = { rating, seconds };
  panels[index].box.querySelector(`input[value="${rating}"]`).checked = true;
  keep();
  tell();
}

function tell() {
  const total = sources.size;
  const done = Object.keys(state.ratings).length;
  const whole = panels.every((made) => made.id in state.ratings);
  $("where").textContent = `Set ${state.at + 1} of ${state.order.length}`;
  $("progress").max = total;
  $("progress").value = done;
  $("rated").textContent = `${done} of ${total} rated`;
  $("previous").disabled = state.at === 0;
  $("next").disabled = state.at === state.order.length - 1;
  $("save").classList.toggle("primary", done === total);
  $("next").classList.toggle("primary", done < total);
  if (done === total) say("All rated, thank you. Save your ratings and send the file back.");
  else say(whole ? "This set is rated." : "");
}

function say(text) {
  $("message").textContent = text;
}

/* ---- zoom and pan, the same for every version ---- */

function place() {
  for (const { stage, picture } of panels) {
    const scale = fitted(stage) * view.zoom;
    const left = stage.clientWidth / 2 - view.x * scene.width * scale;
    const top = stage.clientHeight / 2 - view.y * scene.height * scale;
    picture.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    picture.style.imageRendering = scale * devicePixelRatio >= 2 ? "pixelated" : "auto";
  }
  $("zoom").value = view.zoom === 1 ? "fit" : `${view.zoom.toFixed(1)}×`;
  $("zoom-out").disabled = view.zoom <= 1;
  $("zoom-in").disabled = view.zoom >= MOST_ZOOM;
}

function move(x, y) {
  const reach = 0.5 / view.zoom;
  view.x = Math.min(Math.max(x, reach), 1 - reach);
  view.y = Math.min(Math.max(y, reach), 1 - reach);
  place();
}

function zoom(factor, x = view.x, y = view.y) {
  const before = view.zoom;
  view.zoom = Math.min(Math.max(before * factor, 1), MOST_ZOOM);
  const share = before / view.zoom;
  move(x + (view.x - x) * share, y + (view.y - y) * share);
}

function fit() {
  view.zoom = 1;
  move(0.5, 0.5);
}

function fitted(stage) {
  return Math.min(stage.clientWidth / scene.width, stage.clientHeight / scene.height);
}

/** One pixel of the picture on one of the screen. */
function full() {
  view.zoom = 1;
  zoom(1 / (fitted(panels[marked].stage) * devicePixelRatio));
}

function listen(stage) {
  const size = () => {
    const scale = fitted(stage) * view.zoom;
    return [scene.width * scale, scene.height * scale];
  };
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [width, height] = size();
    const box = stage.getBoundingClientRect();
    const x = view.x + (event.clientX - box.left - box.width / 2) / width;
    const y = view.y + (event.clientY - box.top - box.height / 2) / height;
    zoom(event.deltaY < 0 ? 1.25 : 0.8, x, y);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => stage.setPointerCapture(event.pointerId));
  stage.addEventListener("pointermove", (event) => {
    if (!stage.hasPointerCapture(event.pointerId)) return;
    const [width, height] = size();
    move(view.x - event.movementX / width, view.y - event.movementY / height);
  });
  stage.addEventListener("dblclick", fit);
  stage.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    move(view.x + (way[0] * PAN_STEP) / view.zoom, view.y + (way[1] * PAN_STEP) / view.zoom);
  });
}

/* ---- keys and buttons ---- */

function digit(rating) {
  rate(marked, rating);
  const next = panels.findIndex((made, index) => index > marked && !(made.id in state.ratings));
  if (next >= 0) panels[next].stage.focus();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input[type=text]") || $("sure").open;
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = {
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: fit,
    n: () => show(state.at + 1), p: () => show(state.at - 1),
  };
  if (/^[1-5]$/.test(event.key)) digit(Number(event.key));
  else actions[event.key.toLowerCase()]?.();
});

$("zoom-in").addEventListener("click", () => zoom(1.5));
$("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
$("zoom-fit").addEventListener("click", fit);
$("zoom-full").addEventListener("click", full);
$("previous").addEventListener("click", () => show(state.at - 1));
$("next").addEventListener("click", () => show(state.at + 1));
$("rater").addEventListener("input", (event) => {
  state.rater = event.target.value;
  keep();
});
$("restart").addEventListener("click", () => $("sure").showModal());
$("sure").addEventListener("close", () => {
  if ($("sure").returnValue !== "yes") return;
  state = fresh();
  $("rater").value = "";
  show(0);
});
addEventListener("resize", place);

/* ---- export ---- */

function csv() {
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const lines = ["study,session,rater,set,scene,position,stimulus,rating,seconds"];
  state.order.forEach((turn, at) => {
    turn.stimuli.forEach((id, position) => {
      const found = state.ratings[id];
      if (!found) return;
      const head = [study.study, state.session, quoted(state.rater.trim()), at + 1, turn.scene];
      lines.push([...head, position + 1, id, found.rating, found.seconds].join(","));
    });
  });
  return lines.join("\r\n") + "\r\n";
}

$("save").addEventListener("click", () => {
  const blob = new Blob([csv()], { type: "text/csv" });
  const link = element("a", { href: URL.createObjectURL(blob), download: `ratings-${state.session}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say(`Saved as ${link.download}. Please send it back.`);
});

$("rater").value = state.rater;
show(state.at);
