// Strength, model, compare, overlay and the switch: each sends its wish and shows what came of it.

import { ask } from "./api.js";
import { announce, complain, element, made, setContent, setText, sleep } from "./page.js";

const STRENGTH_GAP_MS = 60;
const HELD_MS = 400; // how long the slider stays where the user left it
const AS_TRAINED = 1;

/** Does `task`; its error is shown beside `control`, which then returns to the true state. */
export async function attempt(daemon, control, task) {
  complain(control, "");
  try {
    await task();
    return true;
  } catch (error) {
    complain(control, error.message);
    daemon.repeat();
    return false;
  }
}

// ---- strength

function furnishStrength(daemon) {
  const slider = element("strength");
  let wanted;
  let heldUntil = 0;
  let sending = false;

  const show = (value) => {
    slider.setAttribute("aria-valuetext", `${value.toFixed(2)}${meaning(value)}`);
    slider.style.setProperty("--share", value / 2);
    setText(element("strength-value"), value.toFixed(2));
    element("strength-reset").toggleAttribute("data-idle", value === AS_TRAINED);
  };
  const send = async () => {
    if (sending) return;
    sending = true;
    while (wanted !== undefined) {
      const strength = wanted;
      wanted = undefined;
      const done = await attempt(daemon, "strength", () => daemon.change({ strength }));
      heldUntil = done ? performance.now() + HELD_MS : 0;
      if (!done) daemon.repeat();
      await sleep(STRENGTH_GAP_MS);
    }
    sending = false;
  };
  const wish = (value) => {
    wanted = value;
    heldUntil = Infinity;
    slider.value = value;
    show(value);
    send();
  };
  slider.addEventListener("input", () => wish(slider.valueAsNumber));
  element("strength-reset").addEventListener("click", () => wish(AS_TRAINED));
  daemon.whenState((state) => {
    if (performance.now() < heldUntil) return;
    slider.value = state.options.strength;
    show(state.options.strength);
  });
}

function meaning(value) {
  return { 0: ", untouched", 1: ", as trained", 2: ", strong" }[value] ?? "";
}

// ---- one of several

function furnishRadios(daemon, name) {
  const group = element(name);
  group.addEventListener("change", (event) =>
    attempt(daemon, name, () => daemon.change({ [name]: event.target.value })));
  daemon.whenState((state) => tick(group, state.options[name]));
}

function tick(group, value) {
  for (const radio of group.querySelectorAll("input")) radio.checked = radio.value === value;
}

// ---- model

function modelChoice(choice) {
  const cost = choice.mac_per_px ? `${(choice.mac_per_px / 1000).toFixed(1)} kMAC per pixel` : "";
  const radio = made("input", { type: "radio", name: "model", value: choice.model });
  return made("label", { class: "choice" }, radio,
    made("span", { class: "choice-text" }, made("strong", {}, choice.model),
      made("span", { class: "fine" }, choice.summary), made("span", { class: "fine cost" }, cost)));
}

function automatic(state) {
  const now = state?.options.model === "auto" ? `: ${state.engine.model}` : "";
  return { model: "auto", summary: `what suits this machine${now}`, mac_per_px: 0 };
}

function furnishModels(daemon) {
  let known = [];
  const draw = () => {
    const current = daemon.state?.options.model;
    const all = [...known];
    if (!all.some((choice) => choice.model === "auto")) all.unshift(automatic(daemon.state));
    if (current && !all.some((choice) => choice.model === current)) {
      all.unshift({ model: current, summary: "chosen elsewhere", mac_per_px: 0 });
    }
    setContent(element("model-list"), JSON.stringify(all), () => all.map(modelChoice));
    tick(element("model"), current);
  };
  furnishRadios(daemon, "model");
  daemon.whenState(draw);
  return async () => {
    try {
      known = await (await ask("GET", "api/models")).json();
      draw();
    } catch (error) {
      complain("model", error.message);
    }
  };
}

// ---- the switch

function furnishPower(daemon) {
  const power = element("power");
  power.addEventListener("click", () => {
    const on = power.getAttribute("aria-checked") === "true";
    attempt(daemon, "power", () => daemon.steer("POST", on ? "api/pause" : "api/resume"));
  });
  daemon.whenState((state) => {
    power.setAttribute("aria-checked", !state.paused);
    setText(element("power-words"), state.paused ? "off" : "on");
  });
}

// ---- buttons

function furnishReload(daemon) {
  element("reload").addEventListener("click", () => attempt(daemon, "reload", async () => {
    setText(element("reload-result"), "");
    const found = await (await ask("POST", "api/reload")).json();
    const words = reloadWords(found);
    setText(element("reload-result"), words);
    announce(words);
    await daemon.poll();
  }));
}

function reloadWords({ applied, needs_restart: later }) {
  const changed = applied.length ? `Changed: ${applied.join(", ")}.` : "";
  const restart = later.length ? `After a restart: ${later.join(", ")}.` : "";
  return [changed, restart].filter(Boolean).join(" ") || "Nothing has changed.";
}

function furnishSnapshot(daemon) {
  for (const button of document.querySelectorAll("[data-snapshot]")) {
    const which = button.dataset.snapshot;
    button.addEventListener("click", async () => {
      button.setAttribute("aria-busy", "true"); // a camera that rests has to wake first
      await attempt(daemon, "save", async () => {
        const reply = await ask("GET", `api/snapshot.png?which=${which}`);
        save(await reply.blob(), `vcsharp-${stamp(new Date())}-${which}.png`);
      });
      button.removeAttribute("aria-busy");
    });
  }
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  made("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function stamp(moment) {
  const two = (value) => String(value).padStart(2, "0");
  const day = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())].join("");
  return `${day}-${[moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join("")}`;
}

/** Makes all controls but the source's work; returns what asks again for the models. */
export function furnish(daemon) {
  furnishStrength(daemon);
  furnishRadios(daemon, "compare");
  furnishRadios(daemon, "overlay");
  furnishPower(daemon);
  furnishReload(daemon);
  furnishSnapshot(daemon);
  return furnishModels(daemon);
}
