"""Mappings of devices and directories."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import give, small_simulator

PLACE = "/cluster/mapping"
CARD = "node=pve1,path=0000:00:01.0,id=1af4:1041"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    simulator.request("POST", f"{PLACE}/pci", {"id": "nic", "map": [CARD], "description": "a card"})
    simulator.request("POST", f"{PLACE}/usb", {"id": "stick", "map": ["node=pve1,id=abcd:0001"]})
    simulator.request("POST", f"{PLACE}/dir", {"id": "share", "map": ["node=pve1,path=/srv", "node=pve2,path=/srv"]})
    return simulator


def test_what_is_written_is_read(simulator: Simulator) -> None:
    shown = simulator.request("GET", f"{PLACE}/pci/nic")
    digest = shown.pop("digest")
    assert shown == {"description": "a card", "id": "nic", "map": [CARD], "type": "pci"}
    update = {"map": [CARD, CARD], "mdev": 1, "delete": "description", "digest": digest}
    simulator.request("PUT", f"{PLACE}/pci/nic", update)
    changed = simulator.request("GET", f"{PLACE}/pci")[0]
    assert (changed["map"], changed["mdev"], "description" in changed) == ([CARD], 1, False)
    for kind, id in (("pci", "nic"), ("usb", "stick"), ("dir", "share")):
        simulator.request("DELETE", f"{PLACE}/{kind}/{id}")
        simulator.request("DELETE", f"{PLACE}/{kind}/{id}")  # what is not there is gone already
        assert simulator.request("GET", f"{PLACE}/{kind}") == []


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "pci", {"id": "nic", "map": [CARD]}, "create hardware mapping failed: pci ID 'nic' already defined"),
    ("POST", "usb", {"id": "stick", "map": ["node=pve1,id=abcd:0001"]},
     "create hardware mapping failed: usb ID 'stick' already defined"),
    ("POST", "dir", {"id": "two", "map": ["node=pve1,path=/a", "node=pve1,path=/b"]},
     "create directory mapping failed: Node 'pve1' is specified 2 times."),
    ("GET", "dir/other", {}, "mapping 'other' not found"),
    ("PUT", "pci/other", {"mdev": 1}, "update hardware mapping failed: pci ID 'other' does not exist"),
    ("PUT", "pci/nic", {"delete": "map"}, "update hardware mapping failed: unable to delete required option 'map'"),
    ("PUT", "pci/nic", {"mdev": 1, "digest": "1" * 40},
     "update hardware mapping failed: detected modified configuration - file changed by other user? Try again."),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "path", "params", "message"), REFUSED)
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], message: str
) -> None:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, f"{PLACE}/{path}", params)
    assert (caught.value.status, caught.value.message) == (500, message)
    assert not before.diff(simulator.world)


def test_a_node_tells_what_is_wrong_with_a_mapping(simulator: Simulator) -> None:
    def problems(kind: str, node: str) -> list[tuple[str, str]]:
        row = simulator.request("GET", f"{PLACE}/{kind}", {"check-node": node})[0]
        return [(found["severity"], found["message"]) for found in row["error" if kind == "usb" else "checks"]]

    assert problems("pci", "pve1") == problems("dir", "pve2") == []
    assert problems("pci", "pve2") == [("warning", "No mapping for node pve2.")]
    assert problems("usb", "pve1") == [("error", "Invalid configuration: USB device 'abcd:0001' not found")]
    simulator.request("PUT", f"{PLACE}/pci/nic", {"map": ["node=pve1,path=0000:00:01.0,id=1af4:9999"]})
    assert problems("pci", "pve1")[0][1].startswith("Invalid configuration: 'id' does not match for '0000:00:01.0'")
    simulator.request("PUT", f"{PLACE}/pci/nic", {"map": ["node=pve1,path=0000:99:01.0,id=1af4:9999"]})
    assert problems("pci", "pve1")[0][1] == "Invalid configuration: pci device '0000:99:01.0' not found"


def test_only_mappings_with_a_right_are_listed(simulator: Simulator) -> None:
    assert simulator.request("GET", f"{PLACE}/pci", user="alice@pve") == []
    give(simulator.world, "alice@pve", "/mapping/pci/nic", "PVEMappingUser")
    assert [row["id"] for row in simulator.request("GET", f"{PLACE}/pci", user="alice@pve")] == ["nic"]
    with pytest.raises(ApiError) as caught:
        simulator.request("PUT", f"{PLACE}/pci/nic", {"mdev": 1}, user="alice@pve")
    assert caught.value.status == 403
