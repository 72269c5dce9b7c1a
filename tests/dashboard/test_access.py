"""The page without a mouse, without sight of colours, and in both schemes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from pvesim.engine import Simulator
from pvesim.serve import SimServer

ACTED_ON = {"button", "textbox", "searchbox", "combobox", "checkbox", "meter", "spinbutton", "link", "log", "dialog"}

# Every text with what is behind it, as the browser drew them.
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.tagName === "OPTION") continue;
    const behind = [];
    for (let up = element; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
    const back = light(paint(behind)), front = light(paint([...behind, getComputedStyle(element).color]));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    const name = `${element.tagName}.${element.className} ${element.textContent.slice(0, 20)}`;
    if (ratio < 4.5) found.push(`${name} ${ratio.toFixed(2)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(look: Callable[..., Any], server: SimServer, simulator: Simulator, scheme: str) -> None:
    page = look(server, color_scheme=scheme)
    simulator.faults.cause(node_offline="pve3")
    simulator.faults.add(path="/**", delay="1s")
    simulator.faults.plan(at="90s", quorum_lost=True)
    simulator.connect().nodes("pve2").qemu(105).status.start.post()
    expect(page.locator("#timeline li")).to_have_count(1)
    expect(page.locator("#requests li")).to_have_count(1)
    assert page.evaluate(CONTRASTS) == []


def test_the_scheme_is_changed_by_hand_and_kept(page: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    page.get_by_role("button", name="Change between light and dark").click()
    after = page.evaluate(background)
    assert after != before
    page.reload()
    assert page.evaluate(background) == after


def test_everything_that_can_be_acted_on_has_a_name(page: Any) -> None:
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    nodes = [node for node in tree["nodes"] if not node["ignored"]]
    acted_on = [node for node in nodes if node["role"]["value"] in ACTED_ON]
    assert len(acted_on) > 40
    assert [node["role"]["value"] for node in acted_on if not node.get("name", {}).get("value")] == []
    assert len({node["backendDOMNodeId"] for node in nodes if node["role"]["value"] == "main"}) == 1


def test_guests_by_keyboard(page: Any) -> None:
    page.locator(".tile").first.focus()
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("data-vmid", "100")
    page.keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("data-vmid", "103")
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-vmid", "910")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(focused).to_have_attribute("data-vmid", "200")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(focused).to_have_attribute("data-vmid", "200")


def test_each_node_is_one_stop_of_the_tab_key(page: Any) -> None:
    page.locator(".tile").first.focus()
    page.keyboard.press("Tab")  # the next node's button
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_attribute("data-vmid", "101")


def test_the_first_stop_skips_to_the_cluster(page: Any) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the cluster")
    page.keyboard.press("Enter")
    expect(page.locator("#cluster")).to_be_focused()


@pytest.mark.parametrize("width", [360, 768, 1440, 2560])
def test_nothing_sticks_out(look: Callable[..., Any], server: SimServer, width: int) -> None:
    page = look(server, viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
