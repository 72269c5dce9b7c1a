// Small helps for building the page. Texts become text nodes, never markup: names come from anywhere.

export const $ = (id) => document.getElementById(id);

/** An element with attributes (`class`, `aria-…`, `on…` listeners, `data-…`) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set a text only where it differs, so that screen readers and selections are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A bar for a share in percent, as a meter that assistive software reads. */
export function meter(label, percent) {
  return setMeter(h("div", { class: "bar", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }), percent);
}

export function setMeter(element, percent) {
  const value = Math.max(0, Math.min(100, Math.round(percent)));
  element.style.setProperty("--value", value);
  element.setAttribute("aria-valuenow", value);
  element.setAttribute("aria-valuetext", `${value} %`);
  element.classList.toggle("much", value >= 75 && value < 92);
  element.classList.toggle("full", value >= 92);
  return element;
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count >= 100 || unit === 0 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

export const clockTime = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);
export const dateTime = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** "1 guest", "2 guests". */
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** Ask the control API. Resolves to the answer, or shows the error and resolves to undefined. */
export async function control(method, path, body) {
  const banner = $("banner");
  try {
    const options = { method, headers: body === undefined ? {} : { "Content-Type": "application/json" } };
    if (body !== undefined) options.body = JSON.stringify(body);
    const answer = await fetch(`/_sim${path}`, options);
    const text = await answer.text();
    const data = text ? JSON.parse(text) : null;
    if (!answer.ok) throw new Error(data && data.error ? data.error : `the server answered ${answer.status}`);
    if (banner.dataset.of === "control") banner.hidden = true;
    return data;
  } catch (error) {
    banner.dataset.of = "control";
    banner.textContent = error.message;
    banner.hidden = false;
    return undefined;
  }
}
