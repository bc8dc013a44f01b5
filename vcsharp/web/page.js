// Small things that every part of the page needs.

export const element = (id) => document.getElementById(id);
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A new element: `made("p", { class: "fine" }, "text", child)`. */
export function made(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== ""));
  return node;
}

/** Changes a text only where it differs, so that nothing is read out twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Puts `nodes` into `place` unless that would change nothing; `key` tells what they show. */
export function setContent(place, key, make) {
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...make());
}

/** Says a sentence to those who listen instead of looking. */
export function announce(words) {
  setText(element("announcer"), words);
}

/** The words of an error, beside the control that caused it. */
export function complain(control, words) {
  setText(element(`${control}-error`), words);
}
