// Follows the stream of events and hands each part to the panel that shows it.

import * as cluster from "/_sim/page/cluster.js";
import { $, plural, setText } from "/_sim/page/dom.js";
import * as panels from "/_sim/page/panels.js";
import * as steering from "/_sim/page/steering.js";
import * as trouble from "/_sim/page/trouble.js";

const TABLES = ["nodes", "guests", "storages", "tasks"];
const world = { nodes: {}, guests: {}, storages: {}, tasks: {}, cluster: null };

function merge(part, changed) {
  const table = world[part];
  for (const [key, row] of Object.entries(changed)) {
    if (row === null) delete table[key];
    else table[key] = row;
  }
}

function take(told) {
  const said = told.tasks ? panels.newFailures(told.tasks, world.tasks) : [];
  said.push(...turns(told));
  for (const part of TABLES) if (told[part]) merge(part, told[part]);
  if (told.clock) steering.drawClock(told.clock);
  if (told.checkpoints) steering.drawCheckpoints(told.checkpoints);
  if (told.nodes) cluster.updateNodes(told.nodes);
  if (told.guests) cluster.updateGuests(told.guests);
  if (told.storages) panels.drawStorages(world.storages);
  if (told.tasks) panels.drawTasks(world.tasks);
  if (told.trouble) trouble.draw();
  if (told.requests) panels.addRequests(told.requests, told.unshown);
  if (told.cluster) world.cluster = told.cluster;
  if (told.cluster || told.nodes || told.guests) drawTop();
  if (said.length) announce(said);
}

/** Turns of events that somebody who does not see the page should hear of. */
function turns(told) {
  const said = [];
  for (const [name, node] of Object.entries(told.nodes ?? {})) {
    const before = world.nodes[name];
    if (node && before && before.online !== node.online) said.push(`node ${name} is ${node.online ? "online" : "offline"}`);
  }
  if (told.cluster && world.cluster && told.cluster.quorate !== world.cluster.quorate) {
    said.push(told.cluster.quorate ? "the cluster has quorum again" : "the cluster has lost quorum");
  }
  return said;
}

function announce(texts) {
  setText($("announcer"), texts.slice(0, 3).join("; "));
}

function drawTop() {
  const { name, quorate } = world.cluster;
  setText($("cluster-name"), name || "pvesim");
  document.title = name ? `${name} – pvesim` : "pvesim";
  const badge = $("quorum");
  badge.className = `badge ${quorate ? "good" : "bad"}`;
  setText(badge, quorate ? "quorate" : "no quorum");
  const nodes = Object.values(world.nodes);
  const online = nodes.filter((node) => node.online).length;
  const running = Object.values(world.guests).filter((guest) => guest.state === "running").length;
  setText($("counts"), `${online} of ${plural(nodes.length, "node")} online · ${running} of ${plural(Object.keys(world.guests).length, "guest")} running`);
}

function follow() {
  const events = new EventSource("/_sim/events");
  const banner = $("banner");
  events.addEventListener("snapshot", (event) => {
    for (const part of TABLES) world[part] = {};
    world.cluster = null;
    cluster.clear();
    panels.clear();
    banner.hidden = true;
    take(JSON.parse(event.data));
    document.body.dataset.live = "true";
  });
  events.addEventListener("change", (event) => take(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    document.body.dataset.live = "false";
    banner.dataset.of = "stream";
    banner.textContent = "The server does not answer. What you see is how it was; the page goes on by itself when it is back.";
    banner.hidden = false;
  });
}

function chooseTheme() {
  const root = document.documentElement;
  const kept = localStorage.getItem("theme");
  if (kept) root.dataset.theme = kept;
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
}

chooseTheme();
cluster.start(world);
panels.start();
steering.start();
trouble.start(world);
follow();
