"""The buttons: time, moments, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from pvesim.core.errors import SimError
from pvesim.engine import Simulator
from pvesim.nodes.records import Node


def test_time_is_moved_frozen_and_let_go(page: Any, simulator: Simulator) -> None:
    before = simulator.world.now
    page.get_by_role("button", name="+1 min").click()
    expect(page.locator("#now")).to_have_text("2026-03-14 09:27:53 UTC")
    assert simulator.world.now == before + 60
    page.get_by_label("Speed of time").select_option("auto")
    expect(page.get_by_role("button", name="Freeze")).to_be_visible()
    assert simulator.clock.mode == "auto"
    page.get_by_role("button", name="Freeze").click()
    expect(page.get_by_role("button", name="Let time run")).to_be_visible()
    page.get_by_role("button", name="Let time run").click()
    expect(page.get_by_role("button", name="Freeze")).to_be_visible()
    assert simulator.clock.mode == "auto"


def test_time_is_moved_to_the_end_of_a_task(page: Any, simulator: Simulator) -> None:
    simulator.connect().nodes("pve1").qemu(100).clone.post(newid=555)
    page.get_by_role("button", name="Finish qmclone 100").click()
    expect(page.locator(".task").first).to_contain_text("OK")
    expect(page.locator("#running")).to_have_text("none running")


def test_a_moment_is_kept_compared_and_returned_to(page: Any, simulator: Simulator) -> None:
    page.get_by_placeholder("checkpoint name").fill("monday")
    page.get_by_role("button", name="Keep this moment").click()
    expect(page.locator("#checkpoints")).to_contain_text("monday")
    simulator.connect().nodes("pve2").lxc(202).delete()
    simulator.clock.advance(60)
    page.get_by_role("button", name="What changed since monday").click()
    expect(page.locator("#diff")).to_be_focused()
    expect(page.locator("#diff")).to_contain_text("container 202")
    page.get_by_role("button", name="Go back to monday").click()
    expect(page.locator('.tile[data-vmid="202"]')).to_be_visible()


@pytest.mark.parametrize(("answer", "expected"), [("accept", 1), ("dismiss", 0)])
def test_the_way_back_to_the_beginning_is_asked_for(
    page: Any, simulator: Simulator, answer: str, expected: int
) -> None:
    simulator.connect().nodes("pve2").lxc(202).delete()
    simulator.clock.advance(60)
    expect(page.locator('.tile[data-vmid="202"]')).to_have_count(0)
    page.on("dialog", lambda dialog: getattr(dialog, answer)())
    page.get_by_role("button", name="Back to the beginning").click()
    expect(page.locator('.tile[data-vmid="202"]')).to_have_count(expected)


def test_a_fault_is_added_strikes_and_is_taken_away(page: Any, simulator: Simulator) -> None:
    page.get_by_role("button", name="The next write is refused").click()
    faults = page.locator("#faults li")
    expect(faults).to_contain_text("struck 0 of 0")
    with pytest.raises(SimError, match="got timeout"):
        simulator.request("POST", "/nodes/pve2/qemu/105/status/start")
    expect(faults).to_contain_text("struck 1 of 1")
    expect(faults).to_contain_text("over")
    page.get_by_role("button", name="Take away fault").click()
    expect(faults).to_have_count(0)


def test_every_preset_is_one_that_the_control_api_takes(page: Any, simulator: Simulator) -> None:
    presets = page.locator("#presets button")
    for preset in presets.all():
        preset.click()
    expect(page.locator("#faults li")).to_have_count(presets.count())
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("button", name="Take everything away").click()
    expect(page.locator("#faults li")).to_have_count(0)
    assert len(simulator.faults) == 0


def test_a_fault_of_ones_own(page: Any, simulator: Simulator) -> None:
    page.get_by_text("A fault of your own").click()
    form = page.locator("#fault-form")
    form.get_by_label("What goes wrong").select_option("fail")
    form.get_by_label("Text, seconds or factor").fill("no space left")
    form.get_by_label("Type of task").fill("vzdump")
    form.get_by_label("Chance in percent").fill("50")
    form.get_by_role("button", name="Add the fault").click()
    expect(page.locator("#faults li")).to_contain_text("fail no space left")
    (fault,) = simulator.faults
    assert (fault.task, fault.fail, fault.probability) == ("vzdump", "no space left", 0.5)


def test_something_happens_to_the_cluster(page: Any, simulator: Simulator) -> None:
    form = page.locator("#incident-form")
    form.get_by_label("What").select_option("node_offline")
    form.get_by_label("To", exact=True).fill("pve3")
    form.get_by_role("button", name="Let it happen").click()
    expect(page.locator('[data-node="pve3"]')).to_contain_text("offline")
    expect(page.get_by_role("status")).to_have_text("node pve3 is offline")
    page.get_by_role("button", name="Bring back node pve3").click()
    simulator.clock.advance(600)
    expect(page.locator('[data-node="pve3"]')).to_contain_text("online")


def test_something_is_planned_and_called_off(page: Any, simulator: Simulator) -> None:
    form = page.locator("#incident-form")
    form.get_by_label("What").select_option("quorum_lost")
    form.get_by_label("After seconds").fill("30")
    form.get_by_role("button", name="Let it happen").click()
    expect(page.locator("#timeline li")).to_contain_text("at 09:27:23")
    page.get_by_role("button", name="Cancel entry-1").click()
    expect(page.locator("#timeline li")).to_have_count(0)
    form.get_by_label("From this task on").fill("qmigrate")
    form.get_by_role("button", name="Let it happen").click()
    expect(page.locator("#timeline li")).to_contain_text("when task qmigrate")
    assert all(node.online for node in simulator.world.rows(Node).values())


def test_what_cannot_be_is_said(page: Any) -> None:
    form = page.locator("#incident-form")
    form.get_by_label("To", exact=True).fill("pve9")
    form.get_by_role("button", name="Let it happen").click()
    expect(page.get_by_role("alert")).to_contain_text("no node 'pve9'")
