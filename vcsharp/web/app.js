// The control page of a running vcsharp: puts its parts together and asks once a second how it is.

import { Daemon } from "./api.js";
import { showFigures } from "./charts.js";
import * as controls from "./controls.js";
import { announce, sleep } from "./page.js";
import * as picture from "./picture.js";
import * as report from "./report.js";
import * as sources from "./sources.js";

const POLL_MS = 1000;
const HIDDEN_POLL_MS = 10_000;

const daemon = new Daemon();
const lists = [controls.furnish(daemon), sources.furnish(daemon)];
picture.furnish(daemon);
report.furnish(daemon);

daemon.whenState((state, fresh) => {
  if (fresh) showFigures(state.figures);
});

daemon.whenLink((trouble) => {
  document.body.dataset.link = trouble ? (daemon.stranger ? "stranger" : "broken") : "up";
  if (trouble) {
    report.setStatus(daemon.stranger ? "Key refused" : "No answer", "bad");
    announce(trouble);
  } else {
    if (daemon.state) announce("vcsharp answers again");
    lists.forEach((ask) => ask()); // a daemon that is there again may have others
  }
});

/** Asks for the state; a hidden page seldom, and at once when it is seen again. */
async function follow() {
  for (;;) {
    await daemon.poll();
    await Promise.race([sleep(document.hidden ? HIDDEN_POLL_MS : POLL_MS), seen()]);
  }
}

function seen() {
  if (!document.hidden) return new Promise(() => {});
  return new Promise((resolve) =>
    document.addEventListener("visibilitychange", resolve, { once: true }));
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !daemon.trouble) lists.forEach((ask) => ask());
});

follow();
picture.watch(daemon);
