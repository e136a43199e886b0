/**
 * What the pages do in a browser: they take live updates, section by section, and list events as they happen. Without it they show what was there when
 * they were loaded. The server has escaped all text in what it sends; events come as JSON and are put in as text.
 */
export const LIVE_SCRIPT = `
"use strict";
const main = document.querySelector("main");

// Only while it is looked at: a browser has six connections for a site, which tabs in the background would take up.
function follow(url, take) {
  let source = null;
  const open = () => {
    if (document.visibilityState === "hidden" || source) return;
    source = new EventSource(url);
    source.onmessage = (event) => take(event.data);
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" ? close() : open());
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

function replaceSections(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const section of fresh.querySelectorAll("[id]")) {
    if (!section.matches("#connection, #trouble, .card, .tiles, #actions")) continue;
    const present = document.getElementById(section.id);
    if (!present || present.outerHTML === section.outerHTML || present.hasAttribute("data-keep")) continue;
    const focused = present.contains(document.activeElement) ? document.activeElement : null;
    if (focused && focused.matches("input, textarea, select")) continue;
    present.replaceWith(section);
    if (focused && focused.href) {
      for (const link of section.querySelectorAll("a[href]")) if (link.href === focused.href) { link.focus(); break; }
    }
  }
}

function addEvent(text) {
  const { at, type, id, detail } = JSON.parse(text);
  const rows = document.querySelector("#events tbody");
  const row = document.createElement("tr");
  row.className = "fresh";
  for (const [value, name] of [[at, "n"], [type, "text"], [id, "text long"], [detail, "long"]]) {
    const cell = document.createElement("td");
    cell.className = name;
    cell.textContent = value;
    row.append(cell);
  }
  rows.prepend(row);
  while (rows.rows.length > 50) rows.lastElementChild.remove();
  document.querySelector("#events .note")?.remove();
}

if (main?.dataset.live) follow(main.dataset.live, replaceSections);
const events = document.querySelector("#events[data-events]");
if (events) follow(events.dataset.events, addEvent);
`.trim();
