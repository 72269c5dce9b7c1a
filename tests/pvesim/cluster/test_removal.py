"""A node leaves the cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvesim.core.errors import ApiError, NotModelled
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.storage.records import Space, Volume
from tests.pvesim.small_world import small_simulator

PLACE = "/cluster/config/nodes"


@pytest.fixture
def simulator() -> Simulator:
    """Without guests on `pve2`, which is off."""
    simulator = small_simulator()
    world = simulator.world
    for guest in [guest for guest in world.rows(Guest).values() if guest.node == "pve2"]:
        world.remove(Guest, guest.vmid)
        for volume in [volume for volume in world.rows(Volume).values() if volume.vmid == guest.vmid]:
            world.remove(Volume, volume.key)
    return simulator


def test_it_is_gone_with_all_that_it_had(simulator: Simulator) -> None:
    upid = simulator.request("POST", "/nodes/pve2/services/cron/restart")
    version = simulator.request("GET", "/cluster/config/totem")["config_version"]
    assert simulator.request("DELETE", f"{PLACE}/pve2") is None
    assert [row["node"] for row in simulator.request("GET", PLACE)] == ["pve1"]
    assert [row["node"] for row in simulator.request("GET", "/nodes")] == ["pve1"]
    status = simulator.request("GET", "/cluster/status")
    assert [row["name"] for row in status if row["type"] == "node"] == ["pve1"]
    assert not any(space.place == "pve2" for space in simulator.world.rows(Space).values())
    assert int(simulator.request("GET", "/cluster/config/totem")["config_version"]) == int(version) + 1
    with pytest.raises(ApiError, match=r"hostname lookup 'pve2' failed"):
        simulator.request("GET", f"/nodes/pve2/tasks/{upid}/status")
    simulator.clock.advance(60)


def test_the_rest_has_quorum_again(simulator: Simulator) -> None:
    world = simulator.world
    world.put(Node("pve3", nodeid=3, ip="10.0.0.3"))
    world.put(replace(world.rows(Node)["pve2"], online=False))
    simulator.request("DELETE", f"{PLACE}/pve2")
    simulator.request("DELETE", f"{PLACE}/pve3")
    assert simulator.request("GET", "/cluster/status")[0]["quorate"] == 1


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("none", "Node/IP: none is not a known host of the cluster."),
        ("pve1", "Cannot delete myself from cluster!"),
    ],
)
def test_others_stay(simulator: Simulator, node: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        simulator.request("DELETE", f"{PLACE}/{node}")
    assert refused.value.message == message
    with pytest.raises(ApiError) as refused:
        simulator.request("DELETE", f"{PLACE}/{node}", user="audit@pve")
    assert refused.value.status == 403


def test_a_lone_node_has_no_members() -> None:
    with pytest.raises(ApiError, match=r"^Node/IP: pve2 is not a known host of the cluster\.$"):
        small_simulator(name="").request("DELETE", f"{PLACE}/pve2")


def test_a_node_with_guests_is_not_modelled() -> None:
    with pytest.raises(NotModelled, match=r"move or delete them$"):
        small_simulator().request("DELETE", f"{PLACE}/pve2")
