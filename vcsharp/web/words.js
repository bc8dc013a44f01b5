// What the daemon's one-word states mean, in sentences. Levels: good, busy, bad, off.

const KINDS = [
  [/^(rtsps?|https?|rtmps?|srt|udp|tcp):/i, "Stream"],
  [/^demo$/, "Demo scene"],
  [/^auto$|^\d+$|^\/dev\//, "Camera"],
  [/\.\w{2,4}$/, "Video"],
];

/** How people call a source. */
export function kindOf(name) {
  const found = KINDS.find(([pattern]) => pattern.test(name));
  return found ? found[1] : "Camera";
}

const SOURCE = {
  connecting: ["busy", "Connecting", (kind) => `${kind} is being opened`],
  live: ["good", "Live", (kind) => `${kind} is live`],
  stalled: ["bad", "No picture", (kind) => `${kind} sends no picture at the moment`],
  lost: ["bad", "Reconnecting", (kind) => `${kind} is away: trying again`],
  paused: ["off", "Paused", (kind) => `${kind} is off: paused`],
  idle: ["off", "Camera off", (kind) => `${kind} is off: nobody is looking`],
  asleep: ["off", "Asleep", (kind) => `${kind} is off: the computer goes to sleep`],
  ended: ["off", "Ended", () => "The video is over"],
};

const unknown = (word) => ["busy", word, () => word];
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The state in one or two words, for the top of the page. */
export function statusOf(state) {
  const [level, chip] = SOURCE[state.source.state] ?? unknown(state.source.state);
  return { level, words: chip };
}

export function sourceWords(source) {
  const [level, , sentence] = SOURCE[source.state] ?? unknown(source.state);
  const facts = [];
  if (source.description || source.name) facts.push(source.description || source.name);
  if (source.width) facts.push(`${source.width} × ${source.height}`);
  if (source.fps) facts.push(`${Number(source.fps.toFixed(2))} fps`);
  facts.push(`for ${duration(source.since_s)}`);
  if (source.reconnects) facts.push(`reconnected ${times(source.reconnects)}`);
  if (source.stalls) facts.push(`stalled ${times(source.stalls)}`);
  return { level, title: sentence(kindOf(source.name)), why: source.words, facts };
}

const ENGINE = {
  loading: ["busy", () => "Network is being loaded; pictures pass as they are"],
  ready: ["good", (engine) =>
    engine.model === "none" ? "No sharpening: pictures pass as they are"
      : engine.share === 0 ? "No time to sharpen: pictures pass as they are"
        : engine.share < 1 ? `${capital(engine.model)} sharpens a part of the picture`
          : `${capital(engine.model)} is sharpening`],
  fallback: ["bad", (engine) => `${capital(engine.model)} is sharpening, but not where it should`],
  failed: ["bad", () => "Sharpening has failed: pictures pass as they are"],
  released: ["off", () => "Network is put away: nobody needs it"],
};

export function engineWords(engine) {
  let [level, sentence] = ENGINE[engine.state] ?? unknown(engine.state);
  if (engine.state === "ready" && engine.model !== "none" && engine.share < 1) level = "busy";
  const runtime = engine.backend === "none" ? "" : engine.backend;
  const facts = [engine.device === "none" ? "" : engine.device, runtime].filter(Boolean);
  if (engine.expert) facts.push(`expert for ${engine.expert}`);
  if (engine.restarts) facts.push(`built again ${times(engine.restarts)}`);
  return { level, title: sentence(engine), why: engine.words, facts };
}

const SINK = {
  opening: ["busy", "is being opened"],
  writing: ["good", "gets pictures"],
  reopening: ["bad", "is away: trying again"],
};

const VIEWERS = { true: "somebody is looking", false: "nobody is looking" };

export function sinkWords(sink) {
  let [level, verb] = SINK[sink.state] ?? ["busy", sink.state];
  if (sink.state === "writing" && sink.words) [level, verb] = ["bad", "gets no pictures any more"];
  const description = /^https?:/.test(sink.description) ? "this page" : sink.description;
  const facts = [description === sink.name ? "" : description, VIEWERS[sink.wanted]].filter(Boolean);
  return { level, title: `Output ${sink.name} ${verb}`, why: sink.words, facts };
}

export function runWords(state) {
  const facts = [];
  if (state.size) facts.push(`${state.size.replace("x", " × ")} at ${Number(state.fps.toFixed(2))} fps`);
  facts.push(`running for ${duration(state.uptime_s)}`);
  if (state.on_demand) facts.push("the camera goes off while nobody looks");
  return facts.join(" · ");
}

export function times(count) {
  return count === 1 ? "once" : count === 2 ? "twice" : `${count} times`;
}

/** Seconds as people say them, coarser the longer it is. */
export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return days === 1 ? "1 day" : `${days} days`;
}

/** A fault's line, parted into what happened and what to do: the cure stands after the last `;`. */
export function parted(what) {
  const at = what.lastIndexOf("; ");
  if (at < 0) return { happened: what, cure: "" };
  return { happened: what.slice(0, at), cure: capital(what.slice(at + 2)) };
}

const WHERE = { source: "Camera", engine: "Sharpening", sink: "Output", program: "Program" };

export const placeOf = (where) => WHERE[where] ?? where;
