// Nodes with their guests as tiles, the filter above them, and what one guest is.

import { $, bytes, control, h, meter, plural, setMeter, setText } from "/_sim/page/dom.js";

const SIGNS = { running: "▶", paused: "‖", stopped: "■", template: "◇", unknown: "?" };
const DENSE_FROM = 250; // guests

const cards = new Map();
const tiles = new Map();
let world;
let chosen = new Set();
let shown = null;

/** What a tile shows: one of SIGNS. */
function stateOf(guest) {
  if (guest.template) return "template";
  if (guest.state in SIGNS) return guest.state;
  return guest.state === "suspended" || guest.state === "prelaunch" ? "paused" : "unknown";
}

function describe(vmid, guest) {
  const kind = guest.kind === "qemu" ? "VM" : "container";
  const lock = guest.lock ? `, locked: ${guest.lock}` : "";
  return `${kind} ${vmid} ${guest.name}, ${guest.template ? "template" : guest.state}, on ${guest.node}${lock}`;
}

export function start(shared) {
  world = shared;
  $("search").addEventListener("input", filter);
  $("nodes").addEventListener("keydown", move);
  $("nodes").addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) open(tile.dataset.vmid);
  });
  for (const kind of ["focusin", "mouseover"]) $("nodes").addEventListener(kind, pointAt);
  for (const kind of ["focusout", "mouseleave"]) $("nodes").addEventListener(kind, () => { $("pointed").hidden = true; });
  $("guest").addEventListener("close", () => { shown = null; });
}

export function clear() {
  cards.clear();
  tiles.clear();
  $("nodes").replaceChildren();
}

// -- nodes ------------------------------------------------------------------------------------------------------------

function cardOf(name) {
  let card = cards.get(name);
  if (card) return card;
  card = {
    badge: h("span", { class: "badge" }),
    power: h("button", { type: "button", class: "small", onclick: () => switchNode(name) }),
    count: h("span", { class: "muted" }),
    cpu: meter(`CPU of ${name}`, 0),
    memory: meter(`Memory of ${name}`, 0),
    cpuText: h("span", { class: "figure" }),
    memoryText: h("span", { class: "figure" }),
    tiles: h("ul", { class: "tiles", "aria-label": `Guests on ${name}` }),
  };
  card.gauges = h("div", { class: "gauges" }, h("span", {}, "CPU"), card.cpu, card.cpuText, h("span", {}, "Memory"), card.memory, card.memoryText);
  card.root = h("article", { class: "node", "aria-label": `Node ${name}`, "data-node": name },
    h("div", { class: "node-head" }, h("h3", {}, name), card.count, card.badge, card.power), card.gauges, card.tiles);
  cards.set(name, card);
  const after = [...cards.keys()].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  const next = after[after.indexOf(name) + 1];
  $("nodes").insertBefore(card.root, next ? cards.get(next).root : null);
  return card;
}

function switchNode(name) {
  control("POST", "/incidents", world.nodes[name].online ? { node_offline: name } : { node_online: name });
}

export function updateNodes(changed) {
  for (const [name, node] of Object.entries(changed)) {
    if (node === null) {
      cards.get(name)?.root.remove();
      cards.delete(name);
      continue;
    }
    const card = cardOf(name);
    card.root.classList.toggle("offline", !node.online);
    card.badge.className = `badge ${node.online ? "good" : "bad"}`;
    setText(card.badge, node.online ? "online" : "offline");
    setText(card.power, node.online ? "Take down" : "Bring back");
    card.power.setAttribute("aria-label", node.online ? `Take down node ${name}` : `Bring back node ${name}`);
    card.gauges.hidden = !node.online;
    if (node.online) {
      setMeter(card.cpu, node.cpu);
      setMeter(card.memory, node.mem);
      setText(card.cpuText, `${node.cpu} % of ${node.cpus}`);
      setText(card.memoryText, `${node.mem} % of ${bytes(node.maxmem)}`);
    }
  }
}

// -- guests -----------------------------------------------------------------------------------------------------------

function newTile(vmid) {
  const button = h("button", { type: "button", class: "tile", tabindex: -1, "data-vmid": vmid },
    h("span", { class: "sign", "aria-hidden": "true" }), h("span", { class: "id" }, vmid),
    h("span", { class: "load" }), h("span", { class: "name" }));
  const item = h("li", {}, button);
  item.vmid = Number(vmid);
  return { item, button, node: null };
}

/** Put a tile in its place by vmid; most arrive in order, so the search begins at the end. */
function place(list, item) {
  let last = list.lastElementChild;
  while (last && last.vmid > item.vmid) last = last.previousElementSibling;
  list.insertBefore(item, last ? last.nextSibling : list.firstChild);
}

export function updateGuests(changed) {
  const vmids = Object.keys(changed).sort((one, other) => one - other);
  for (const vmid of vmids) {
    const guest = changed[vmid];
    let tile = tiles.get(vmid);
    if (guest === null) {
      tile?.item.remove();
      tiles.delete(vmid);
      continue;
    }
    if (!tile) tiles.set(vmid, (tile = newTile(vmid)));
    paint(tile, vmid, guest);
    if (tile.node !== guest.node) {
      const focused = document.activeElement === tile.button;
      place(cardOf(guest.node).tiles, tile.item);
      tile.node = guest.node;
      if (focused) tile.button.focus();
    }
  }
  filter();
  if (shown !== null && shown in changed) showGuest();
}

function paint(tile, vmid, guest) {
  const state = stateOf(guest);
  const [sign, , load, name] = tile.button.children;
  tile.button.dataset.state = state;
  tile.button.classList.toggle("locked", Boolean(guest.lock));
  tile.button.setAttribute("aria-label", describe(vmid, guest));
  tile.button.title = describe(vmid, guest);
  setText(sign, SIGNS[state]);
  setText(load, guest.cpu === undefined ? "" : `${guest.cpu} %`);
  setText(name, guest.lock ? `${guest.name} · ${guest.lock}` : guest.name);
}

/** Among hundreds, a tile has no room for its name: say it for the one that is pointed at or focused. */
function pointAt(event) {
  const tile = event.target.closest(".tile");
  $("pointed").hidden = !tile || !$("nodes").classList.contains("dense");
  if (tile) setText($("pointed"), tile.title);
}

// -- filter -----------------------------------------------------------------------------------------------------------

function matches(vmid, guest, words) {
  if (chosen.size && !chosen.has(stateOf(guest))) return false;
  const text = `${vmid} ${guest.name} ${guest.node} ${guest.tags ?? ""} ${guest.pool ?? ""} ${guest.kind}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function filter() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const counts = {};
  const perNode = {};
  for (const [vmid, tile] of tiles) {
    const guest = world.guests[vmid];
    const state = stateOf(guest);
    counts[state] = (counts[state] ?? 0) + 1;
    const visible = matches(vmid, guest, words);
    if (tile.item.hidden === visible) tile.item.hidden = !visible;
    perNode[guest.node] = (perNode[guest.node] ?? 0) + (visible ? 1 : 0);
  }
  for (const [name, card] of cards) {
    setText(card.count, plural(perNode[name] ?? 0, "guest"));
    keepOneTabStop(card.tiles);
  }
  $("nodes").classList.toggle("dense", tiles.size >= DENSE_FROM);
  drawChips(counts);
}

function drawChips(counts) {
  const group = $("states");
  for (const state of Object.keys(SIGNS)) {
    let chip = group.querySelector(`[data-state="${state}"]`);
    if (!chip && counts[state]) {
      chip = h("button", { type: "button", "data-state": state, "aria-pressed": "false", onclick: () => toggle(state) });
      group.append(chip);
    }
    if (!chip) continue;
    chip.hidden = !counts[state] && !chosen.has(state);
    setText(chip, `${SIGNS[state]} ${counts[state] ?? 0} ${state}`);
  }
}

function toggle(state) {
  if (!chosen.delete(state)) chosen.add(state);
  for (const chip of $("states").children) chip.setAttribute("aria-pressed", chosen.has(chip.dataset.state));
  filter();
}

// -- keyboard: one tab stop for each node, arrows inside -----------------------------------------------------------------

function keepOneTabStop(list) {
  const stop = list.querySelector('li:not([hidden]) > [tabindex="0"]');
  if (stop) return;
  list.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  list.querySelector("li:not([hidden]) > .tile")?.setAttribute("tabindex", "0");
}

function move(event) {
  const tile = event.target.closest(".tile");
  if (!tile) return;
  const list = tile.closest(".tiles");
  const buttons = [...list.querySelectorAll("li:not([hidden]) > .tile")];
  const at = buttons.indexOf(tile);
  const top = buttons[0].offsetTop;
  const columns = Math.max(1, buttons.filter((button) => button.offsetTop === top).length);
  const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: buttons.length - 1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const next = buttons[steps[event.key]];
  if (!next) return;
  tile.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

// -- one guest --------------------------------------------------------------------------------------------------------

const INCIDENTS = {
  guest_hangs: "It hangs",
  guest_recovers: "It recovers",
  agent_dies: "Its agent dies",
  agent_returns: "Its agent returns",
  guest_unlocked: "Take its lock away",
};

function open(vmid) {
  shown = vmid;
  showGuest();
  $("guest-buttons").replaceChildren(...Object.entries(INCIDENTS).map(([name, text]) =>
    h("button", { type: "button", class: "small", onclick: () => control("POST", "/incidents", { [name]: Number(shown) }) }, text)));
  $("guest").showModal();
}

function showGuest() {
  const guest = world.guests[shown];
  if (!guest) {
    $("guest").close();
    return;
  }
  setText($("guest-title"), `${guest.kind === "qemu" ? "VM" : "Container"} ${shown}: ${guest.name}`);
  const facts = {
    State: guest.template ? "template" : guest.state,
    Node: guest.node,
    CPU: guest.cpu === undefined ? undefined : `${guest.cpu} %`,
    Memory: guest.mem === undefined ? undefined : `${bytes(guest.mem)} of ${bytes(guest.maxmem)}`,
    Lock: guest.lock,
    Tags: guest.tags?.replaceAll(";", ", "),
    Pool: guest.pool,
    HA: guest.ha,
    Snapshots: guest.snapshots,
  };
  const rows = Object.entries(facts).filter(([, value]) => value !== undefined && value !== "");
  $("guest-facts").replaceChildren(...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]));
}
