"""What the page shows, and that it follows what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from pvesim.engine import Simulator
from pvesim.serve import SimServer


def tile(page: Any, vmid: int) -> Any:
    return page.locator(f'.tile[data-vmid="{vmid}"]')


def test_nodes_and_guests_by_state(page: Any) -> None:
    assert page.title() == "homelab – pvesim"
    expect(page.locator(".node h3")).to_have_text(["pve1", "pve2", "pve3"])
    expect(page.locator("#counts")).to_have_text("3 of 3 nodes online · 7 of 13 guests running")
    for vmid, state in {100: "running", 104: "paused", 106: "stopped", 900: "template"}.items():
        expect(tile(page, vmid)).to_have_attribute("data-state", state)
    expect(tile(page, 106)).to_contain_text("backup")
    expect(page.locator("#storages")).to_contain_text("nas shared · nfs")
    expect(page.locator("#storages")).to_contain_text("not available")


def test_a_started_guest_is_followed_with_its_task(page: Any, simulator: Simulator) -> None:
    simulator.connect().nodes("pve2").qemu(105).status.start.post()
    expect(page.locator(".task").first).to_contain_text("qmstart 105")
    expect(page.locator(".task").first.get_by_role("meter")).to_be_visible()
    simulator.clock.advance(10)
    expect(tile(page, 105)).to_have_attribute("data-state", "running")
    expect(page.locator(".task").first).to_contain_text("OK")


def test_a_guest_that_moves_changes_its_node_and_one_that_goes_is_gone(page: Any, simulator: Simulator) -> None:
    api = simulator.connect()
    api.nodes("pve3").qemu(102).migrate.post(target="pve1", online=1)
    simulator.clock.advance(600)
    expect(page.locator('[data-node=pve1] .tile[data-vmid="102"]')).to_be_visible()
    api.nodes("pve2").lxc(202).delete()
    simulator.clock.advance(60)
    expect(tile(page, 202)).to_have_count(0)


def test_requests_as_they_come(page: Any, server: SimServer, simulator: Simulator) -> None:
    simulator.connect("alice@pve").cluster.resources.get()
    httpx.get(server.url + "/api2/json/nodes")
    lines = page.locator("#requests li")
    expect(lines.first).to_contain_text("401")
    expect(lines.nth(1)).to_contain_text("/cluster/resources alice@pve")
    page.get_by_label("errors only").check()
    expect(page.locator("#requests li:visible")).to_have_count(1)


def test_the_stream_of_requests_can_be_held(page: Any, server: SimServer) -> None:
    page.get_by_role("button", name="Pause", exact=True).click()
    httpx.get(server.url + "/api2/json/nodes")
    button = page.get_by_role("button", name="Go on (1 line)")
    expect(button).to_be_visible()
    expect(page.locator("#requests li")).to_have_count(0)
    button.click()
    expect(page.locator("#requests li")).to_have_count(1)


def test_what_clients_send_is_shown_as_text(page: Any, server: SimServer) -> None:
    httpx.get(server.url + "/api2/json/%3Cimg%20src=x%20onerror=alert(1)%3E")
    expect(page.locator("#requests li")).to_have_count(1)
    assert page.locator("#requests img").count() == 0


def test_guests_are_found_by_words_and_states(page: Any) -> None:
    visible = page.locator(".tile:visible")
    page.get_by_role("searchbox").fill("PROD db")
    expect(visible).to_have_count(1)
    expect(visible).to_contain_text("db")
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="1 paused").click()
    expect(visible).to_have_count(1)
    expect(visible).to_contain_text("win11")


def test_one_guest_in_full(page: Any, simulator: Simulator) -> None:
    tile(page, 100).click()
    dialog = page.get_by_role("dialog", name="VM 100: web")
    expect(dialog).to_contain_text("production")
    simulator.connect().nodes("pve1").qemu(100).status.stop.post()
    simulator.clock.advance(10)
    expect(dialog).to_contain_text("stopped")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_fifteen_hundred_guests(look: Callable[..., Any], picture: Callable[[Any, str], None]) -> None:
    simulator = Simulator({"fleet": {"nodes": 16, "vms": 1200, "containers": 300}}, clock="manual")
    with SimServer(simulator, tls=False) as server:
        page = look(server, color_scheme="dark")
        expect(page.locator(".tile")).to_have_count(1500)
        assert page.locator('.tile[tabindex="0"]').count() == 16
        page.locator(".tile").nth(20).focus()
        expect(page.locator("#pointed")).to_have_text(page.locator(".tile").nth(20).get_attribute("title"))
        page.get_by_role("searchbox").focus()
        expect(page.locator("#pointed")).to_be_hidden()
        simulator.faults.cause(node_offline="pve7")
        expect(page.locator('.tile[data-state="unknown"]')).to_have_count(94)
        simulator.clock.advance(30)
        picture(page, "fleet")
        page.get_by_role("searchbox").fill("pve16")
        expect(page.locator(".tile:visible")).to_have_count(93)


def test_a_server_that_is_gone_and_comes_back(look: Callable[..., Any], simulator: Simulator) -> None:
    server = SimServer(simulator, tls=False).start()
    page = look(server)
    server.stop()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    simulator.connect().nodes("pve2").lxc(202).delete()
    simulator.clock.advance(60)
    with SimServer(simulator, tls=False, port=server.port):
        expect(tile(page, 202)).to_have_count(0)
        expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_busy_moment(
    look: Callable[..., Any],
    server: SimServer,
    simulator: Simulator,
    picture: Callable[[Any, str], None],
    scheme: str,
) -> None:
    page = look(server, color_scheme=scheme, viewport={"width": 1440, "height": 1310})
    api = simulator.connect()
    simulator.checkpoint("before-upgrade")
    api.nodes("pve2").qemu(105).status.start.post()
    simulator.clock.advance(30)
    simulator.connect("alice@pve").cluster.resources.get()
    httpx.get(server.url + "/api2/json/version")
    api.nodes("pve1").qemu(100).clone.post(newid=555, name="web-copy")
    simulator.clock.advance(0.8)
    simulator.faults.add("flaky", path="/nodes/pve2/**", probability=0.2, connection="drop")
    simulator.faults.plan(at="90s", storage_full="nas")
    simulator.faults.cause(node_offline="pve3")
    page.get_by_role("button", name="What changed since before-upgrade").click()
    expect(page.locator("#diff-lines")).to_contain_text("node pve3")
    expect(page.locator("#timeline li")).to_have_count(1)
    expect(page.locator("#requests li")).to_have_count(4)
    picture(page, scheme)
