// Faults, incidents and the timeline of what is still to happen: what there is, and forms to add to it.

import { $, clockTime, control, h, plural, setText } from "/_sim/page/dom.js";

const PRESETS = {
  "Every fifth answer is lost": { path: "/**", probability: 0.2, connection: "drop" },
  "Answers take 2 s longer": { path: "/**", delay: "2s" },
  "The next write is refused": { method: "POST", count: 1, error: { status: 500, message: "got timeout" } },
  "The next answer breaks off": { path: "/**", count: 1, connection: "cut" },
  "The next task fails": { task: "*", count: 1, fail: "command failed: exit code 1" },
  "The next task hangs": { task: "*", count: 1, hang: true },
  "Tasks take ten times as long": { task: "*", slow: 10 },
};

// What happens to what: the kind of target decides which choices there are.
const INCIDENTS = {
  node_offline: ["a node goes down", "node"],
  node_online: ["a node comes back", "node"],
  quorum_lost: ["the cluster loses quorum", "none"],
  quorum_back: ["quorum is back", "none"],
  storage_full: ["a storage fills up", "storage"],
  storage_freed: ["a storage is freed", "storage"],
  storage_offline: ["a storage goes away", "storage"],
  storage_online: ["a storage comes back", "storage"],
  guest_hangs: ["a guest hangs", "guest"],
  guest_recovers: ["a guest recovers", "guest"],
  agent_dies: ["a guest's agent dies", "guest"],
  agent_returns: ["a guest's agent returns", "guest"],
  token_expires: ["a token expires", "token"],
};

let world;
let asked = 0;

export function start(shared) {
  world = shared;
  $("presets").append(...Object.entries(PRESETS).map(([text, fault]) =>
    h("button", { type: "button", onclick: () => control("POST", "/faults", fault) }, text)));
  $("calm").addEventListener("click", () => control("DELETE", "/faults"));
  buildIncidentForm();
  buildFaultForm();
}

/** Read what there is. Of answers that overtake one another, the one that was asked for last counts. */
export async function draw() {
  const mine = ++asked;
  const [faults, timeline, happened] = await Promise.all([
    control("GET", "/faults"), control("GET", "/timeline"), control("GET", "/incidents"),
  ]);
  if (mine !== asked || !faults || !timeline || !happened) return;
  $("faults").replaceChildren(...faults.faults.map(drawFault));
  $("timeline").replaceChildren(...timeline.timeline.map(drawEntry));
  const events = happened.incidents.slice(-20).reverse().map(drawEvent);
  $("happened").replaceChildren(...(events.length ? events : [h("li", { class: "empty" }, "Nothing yet.")]));
  const count = faults.faults.length;
  setText($("trouble-count"), count || timeline.timeline.length
    ? `${plural(count, "fault")}, ${timeline.timeline.length} to come` : "all is well");
  $("calm").hidden = !count && !timeline.timeline.length;
}

// -- what there is ----------------------------------------------------------------------------------------------------

const inWords = (value) => (typeof value === "object" && value !== null ? Object.values(value).map(inWords).filter(Boolean).join(" ") : String(value));
const pairs = (fields) => Object.entries(fields).filter(([, value]) => value !== null && value !== "").map(([name, value]) => `${name} ${inWords(value)}`).join(", ");

function incidentInWords(incident) {
  const [[name, target]] = Object.entries(incident);
  const text = INCIDENTS[name]?.[0] ?? name.replaceAll("_", " ");
  return target === true ? text : `${text}: ${inWords(target)}`;
}

function drawFault(fault) {
  const odds = [fault.probability < 1 ? `${Math.round(100 * fault.probability)} %` : "", fault.count ? `at most ${plural(fault.count, "time")}` : ""];
  const text = [pairs(fault.effects), pairs(fault.matches) || "everything", ...odds].filter(Boolean).join(" · ");
  return h("li", {}, h("span", { class: `badge ${fault.live ? "bad" : ""}` }, fault.live ? "live" : "over"),
    h("span", { class: "text" }, h("strong", {}, fault.name), ` ${text} `, h("span", { class: "muted" }, `struck ${fault.hits} of ${fault.seen}`)),
    h("button", { type: "button", class: "small", "aria-label": `Take away fault ${fault.name}`, onclick: () => control("DELETE", `/faults/${encodeURIComponent(fault.name)}`) }, "Take away"));
}

function drawEntry(entry) {
  const moment = entry.due === null ? `when ${pairs(entry.when)}` : `at ${clockTime(entry.due)}`;
  return h("li", {}, h("span", { class: "badge wait" }, moment), h("span", { class: "text" }, incidentInWords(entry.incident)),
    h("button", { type: "button", class: "small", "aria-label": `Cancel ${entry.name}`, onclick: () => control("DELETE", `/timeline/${encodeURIComponent(entry.name)}`) }, "Cancel"));
}

function drawEvent(event) {
  return h("li", {}, h("span", { class: "mono muted" }, clockTime(event.time)),
    h("span", { class: "text" }, incidentInWords(event.incident), event.refused ? h("span", { class: "muted" }, ` – not possible: ${event.refused}`) : null));
}

// -- forms ------------------------------------------------------------------------------------------------------------

function field(label, name, attributes = {}) {
  return h("label", {}, label, h("input", { name, autocomplete: "off", spellcheck: "false", ...attributes }));
}

function choice(label, name, options) {
  return h("label", {}, label, h("select", { name }, ...Object.entries(options).map(([value, text]) => h("option", { value }, text))));
}

/** The choices for the target of an incident, as there are now. */
function targets(kind) {
  if (kind === "node") return Object.keys(world.nodes);
  if (kind === "storage") return Object.keys(world.storages);
  if (kind === "guest") return Object.keys(world.guests).sort((one, other) => one - other);
  return [];
}

function buildIncidentForm() {
  const form = $("incident-form");
  const what = choice("What", "what", Object.fromEntries(Object.entries(INCIDENTS).map(([name, [text]]) => [name, text])));
  const target = h("input", { name: "target", list: "targets", autocomplete: "off", spellcheck: "false", required: true });
  const targetField = h("label", {}, "To", target);
  const list = h("datalist", { id: "targets" });
  form.append(h("div", { class: "fields" }, what, targetField, list,
    field("After seconds", "after", { type: "number", min: 0, placeholder: "now" }),
    field("From this task on", "task", { placeholder: "such as qmigrate" }), h("button", {}, "Let it happen")));
  const offer = () => {
    const kind = INCIDENTS[what.lastElementChild.value][1];
    targetField.hidden = kind === "none";
    target.required = kind !== "none";
    target.placeholder = kind === "token" ? "user@pam!name" : kind;
    list.replaceChildren(...targets(kind).map((name) => h("option", { value: name })));
  };
  what.addEventListener("change", () => {
    target.value = "";
    offer();
  });
  target.addEventListener("focus", offer);
  offer();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendIncident(new FormData(form));
  });
}

function sendIncident(given) {
  const name = given.get("what");
  const kind = INCIDENTS[name][1];
  const target = kind === "none" ? true : kind === "guest" ? Number(given.get("target")) : given.get("target");
  const after = given.get("after");
  const task = given.get("task").trim();
  if (task) control("POST", "/timeline", { [name]: target, when: { task }, ...(after ? { after: `${after}s` } : {}) });
  else if (after) control("POST", "/timeline", { [name]: target, at: `${after}s` });
  else control("POST", "/incidents", { [name]: target });
}

const EFFECTS = {
  "error": "request: an error",
  "delay": "request: takes longer (s)",
  "drop": "request: not carried out, no answer",
  "lose": "request: carried out, no answer",
  "cut": "request: half an answer",
  "garbage": "request: no JSON",
  "fail": "task: fails with",
  "warn": "task: warns with",
  "hang": "task: hangs",
  "slow": "task: times as slow",
};

function buildFaultForm() {
  const form = $("fault-form");
  form.append(h("div", { class: "fields" },
    choice("What goes wrong", "effect", EFFECTS), field("Text, seconds or factor", "value"), field("Status of an error", "status", { type: "number", min: 400, max: 599, placeholder: "500" }),
    choice("Method", "method", { "": "any", GET: "GET", POST: "POST", PUT: "PUT", DELETE: "DELETE" }), field("Path", "path", { placeholder: "/nodes/*/qemu/**" }),
    field("Type of task", "task", { placeholder: "any" }), field("Guest", "guest", { type: "number" }), field("User", "user"), field("Node", "node"),
    field("Chance in percent", "chance", { type: "number", min: 0, max: 100, placeholder: "100" }), field("At most so often", "count", { type: "number", min: 1 }),
    h("button", {}, "Add the fault")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await control("POST", "/faults", readFault(new FormData(form)))) form.reset();
  });
}

function readFault(given) {
  const effect = given.get("effect");
  const value = given.get("value").trim();
  const onTasks = ["fail", "warn", "hang", "slow"].includes(effect);
  const fault = {};
  for (const name of onTasks ? ["task", "user", "node"] : ["method", "path", "user", "node"]) if (given.get(name)) fault[name] = given.get(name).trim();
  if (onTasks && !fault.task) fault.task = "*";
  if (given.get("guest")) fault.guest = Number(given.get("guest"));
  if (given.get("chance")) fault.probability = Number(given.get("chance")) / 100;
  if (given.get("count")) fault.count = Number(given.get("count"));
  if (effect === "error") fault.error = { status: Number(given.get("status") || 500), ...(value ? { message: value } : {}) };
  else if (effect === "delay") fault.delay = `${value || 1}s`;
  else if (effect === "hang") fault.hang = true;
  else if (effect === "slow") fault.slow = Number(value || 2);
  else if (onTasks) fault[effect] = value || "injected by hand";
  else fault.connection = effect;
  return fault;
}
