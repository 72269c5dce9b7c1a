// Storage, tasks and the requests as they come.

import { $, bytes, clockTime, control, h, meter, plural, setText } from "/_sim/page/dom.js";

const KEPT_LINES = 200;
let paused = false;
let waiting = [];
const arrivals = [];

export function start() {
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", paused);
    setText($("pause"), paused ? "Go on" : "Pause");
    if (!paused) write(waiting.splice(0));
  });
  $("only-errors").addEventListener("change", (event) => {
    $("requests").classList.toggle("errors-only", event.target.checked);
  });
  setInterval(showRate, 1000);
}

// -- storage ----------------------------------------------------------------------------------------------------------

export function drawStorages(storages) {
  const rows = Object.entries(storages).sort(([, one], [, other]) =>
    (one.place > "") - (other.place > "") || one.place.localeCompare(other.place, "en", { numeric: true }) || one.storage.localeCompare(other.storage));
  $("storages").replaceChildren(...rows.map(([, row]) => {
    const where = row.place || "shared";
    const name = h("span", {}, h("strong", {}, row.storage), h("span", { class: "muted" }, ` ${where} · ${row.type}`));
    if (!row.active) return h("li", {}, name, h("span", { class: "badge bad" }, "not available"));
    return h("li", {}, name, h("span", { class: "muted" }, `${bytes(row.used)} of ${bytes(row.total)}`),
      meter(`${row.storage} on ${where}`, row.total ? (100 * row.used) / row.total : 0));
  }));
}

// -- tasks ------------------------------------------------------------------------------------------------------------

const isFine = (status) => status === "OK";

function drawTask([upid, task]) {
  const running = task.status === "running";
  const tone = running || task.status.startsWith("WARNINGS") ? "wait" : isFine(task.status) ? "good" : "bad";
  const what = h("span", {}, h("strong", {}, task.type), ` ${task.id} `, h("span", { class: "muted" }, `${task.node} · ${task.user}`));
  const status = h("span", { class: `status ${tone}`, title: task.status }, running ? "running" : isFine(task.status) ? `OK, ${task.seconds} s` : task.status);
  const item = h("li", { class: "task" }, what, status);
  if (running) {
    const steps = task.done + task.left;
    const bar = meter(`${task.type} ${task.id}: step ${task.done} of ${steps}`, steps ? (100 * task.done) / steps : 0);
    bar.classList.remove("much", "full");
    const finish = h("button", { type: "button", class: "small", "aria-label": `Finish ${task.type} ${task.id}: move time to its end`, onclick: () => control("POST", "/clock/run-until-done", { upid }) }, "Finish");
    item.append(h("div", { class: "progress" }, bar, finish));
  }
  if (task.line && !isFine(task.status)) item.append(h("span", { class: "line", title: task.line }, task.line));
  return item;
}

export function drawTasks(tasks) {
  const rows = Object.entries(tasks).sort(([, one], [, other]) =>
    (other.status === "running") - (one.status === "running") || other.order - one.order);
  const running = rows.filter(([, task]) => task.status === "running").length;
  setText($("running"), running ? `${running} running` : "none running");
  $("tasks").replaceChildren(...(rows.length ? rows.map(drawTask) : [h("li", { class: "empty" }, "No task was started yet.")]));
}

/** What failed since the last look, in words for the announcer. */
export function newFailures(changed, before) {
  return Object.entries(changed)
    .filter(([upid, task]) => task && task.status !== "running" && !isFine(task.status) && !task.status.startsWith("WARNINGS")
      && before[upid]?.status === "running")
    .map(([, task]) => `task ${task.type} ${task.id} failed: ${task.status}`);
}

// -- requests ---------------------------------------------------------------------------------------------------------

function drawRequest(line) {
  const tone = line.status >= 500 ? "failed" : line.status >= 400 ? "refused" : "fine";
  // A long path breaks after a slash where it can, not in a word.
  const path = line.path.replace(/^\/api2\/json/, "").split(/(?<=\/)/).flatMap((part) => [part, h("wbr")]);
  const what = h("span", { class: "what" }, ...path, " ", h("span", { class: "who" }, line.user ?? "nobody"));
  if (line.status >= 400 && line.reason) what.append(h("span", { class: "who" }, ` · ${line.reason}`));
  return h("li", { class: tone }, h("span", { class: "muted" }, clockTime(line.time)), h("span", { class: "status" }, String(line.status)),
    h("span", {}, line.method), what);
}

function write(entries) {
  const list = $("requests");
  const atTop = list.scrollTop < 4;
  const height = list.scrollHeight;
  list.prepend(...entries.slice(-KEPT_LINES).reverse());
  while (list.childElementCount > KEPT_LINES) list.lastElementChild.remove();
  if (!atTop) list.scrollTop += list.scrollHeight - height; // who has scrolled down keeps the place
}

export function addRequests(lines, unshown) {
  arrivals.push([performance.now(), lines.length + unshown]);
  const entries = unshown ? [h("li", { class: "note" }, `… ${unshown} more …`)] : [];
  entries.push(...lines.map(drawRequest));
  if (paused) {
    waiting = [...waiting, ...entries].slice(-KEPT_LINES);
    setText($("pause"), `Go on (${plural(waiting.length, "line")})`);
  } else {
    write(entries);
  }
}

function showRate() {
  const since = performance.now() - 5000;
  while (arrivals.length && arrivals[0][0] < since) arrivals.shift();
  const count = arrivals.reduce((sum, [, some]) => sum + some, 0);
  setText($("rate"), count ? `${(count / 5).toFixed(count < 50 ? 1 : 0)} a second` : "quiet");
}

export function clear() {
  $("requests").replaceChildren();
  waiting = [];
}
