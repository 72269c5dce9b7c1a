// Time, checkpoints, and what differs between two moments.

import { $, control, dateTime, h, plural, setText } from "/_sim/page/dom.js";

let speedBefore = { mode: "scaled", scale: 1 };
let clock = null;

export function start() {
  $("clock").addEventListener("submit", (event) => event.preventDefault());
  $("speed").addEventListener("change", (event) => setSpeed(event.target.value));
  $("freeze").addEventListener("click", () => {
    if (clock?.mode === "manual") control("PUT", "/clock", speedBefore);
    else control("POST", "/clock/freeze");
  });
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", () => control("POST", "/clock/advance", { seconds: Number(button.dataset.advance) }));
  }
  $("keep").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = $("checkpoint-name");
    if (await control("POST", "/checkpoints", { name: name.value })) name.value = "";
  });
  $("diff-close").addEventListener("click", () => { $("diff").hidden = true; });
  $("reset").addEventListener("click", () => {
    if (confirm("Go back to the beginning of the scenario? What happened since is lost.")) control("POST", "/reset");
  });
}

// -- time -------------------------------------------------------------------------------------------------------------

function setSpeed(value) {
  const [mode, scale] = value.split(" ");
  control("PUT", "/clock", scale === undefined ? { mode } : { mode, scale: Number(scale) });
}

export function drawClock(now) {
  clock = now;
  setText($("now"), dateTime(now.now));
  $("now").dateTime = new Date(now.now * 1000).toISOString();
  const value = now.mode === "scaled" ? `scaled ${now.scale}` : now.mode;
  const speed = $("speed");
  const known = [...speed.options].some((option) => option.value === value);
  speed.querySelector("[value=other]").hidden = known;
  if (document.activeElement !== speed || speed.value !== value) speed.value = known ? value : "other";
  if (now.mode !== "manual") speedBefore = { mode: now.mode, scale: now.scale };
  setText($("freeze"), now.mode === "manual" ? "Let time run" : "Freeze");
}

// -- moments ----------------------------------------------------------------------------------------------------------

export function drawCheckpoints(names) {
  const items = names.map((name) => h("li", {}, h("span", { class: "text mono" }, name),
    h("button", { type: "button", class: "small", "aria-label": `What changed since ${name}`, onclick: () => showDifference(name) }, "What changed"),
    h("button", { type: "button", class: "small", "aria-label": `Go back to ${name}`, onclick: () => control("POST", `/checkpoints/${encodeURIComponent(name)}/restore`) }, "Go back")));
  $("checkpoints").replaceChildren(...(items.length ? items : [h("li", { class: "empty" }, "No moment was kept yet.")]));
}

async function showDifference(name) {
  const found = await control("GET", `/diff?before=${encodeURIComponent(name)}`);
  if (!found) return;
  const seconds = Math.round(found.seconds);
  setText($("diff-title"), `Since ${name} (${plural(seconds, "second")}): ${plural(found.changes.length, "change")}`);
  const lines = found.changes.map((change) => h("li", {}, change.words));
  $("diff-lines").replaceChildren(...(lines.length ? lines : [h("li", { class: "empty" }, "Nothing is different.")]));
  $("diff").hidden = false;
  $("diff").focus();
}
