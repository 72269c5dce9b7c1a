"""Pools: members, their checks, and both ways to name a pool."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.records import AclEntry
from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.engine import Simulator
from tests.pvesim.small_world import give, small_simulator


@pytest.fixture
def simulator() -> Simulator:
    """`p1` with VM 100, an id of no guest and the storage `local`; `p2` with VM 101; `p1/sub` with nothing."""
    simulator = small_simulator()
    simulator.request("POST", "/pools", {"poolid": "p1", "comment": "pool one"})
    simulator.request("POST", "/pools", {"poolid": "p2"})
    simulator.request("PUT", "/pools", {"poolid": "p1", "vms": "100,999", "storage": "local"})
    simulator.request("PUT", "/pools/p2", {"vms": "101"})
    return simulator


def members(simulator: Simulator, poolid: str, **params: str) -> list[str]:
    pool = simulator.request("GET", f"/pools/{poolid}", params)
    return [member["id"] for member in pool["members"]]


def test_pools_are_listed_without_members(simulator: Simulator) -> None:
    assert simulator.request("GET", "/pools") == [{"poolid": "p1", "comment": "pool one"}, {"poolid": "p2"}]


def test_a_pool_shows_the_members_that_exist(simulator: Simulator) -> None:
    assert members(simulator, "p1") == ["qemu/100", "storage/pve1/local"]
    assert members(simulator, "p1", type="storage") == ["storage/pve1/local"]
    assert members(simulator, "p1", type="lxc") == []
    by_parameter = simulator.request("GET", "/pools", {"poolid": "p1"})
    assert by_parameter == [simulator.request("GET", "/pools/p1")]
    assert "tags" not in by_parameter[0]["members"][0]


def test_members_are_moved_and_removed(simulator: Simulator) -> None:
    simulator.request("PUT", "/pools", {"poolid": "p2", "vms": "100", "allow-move": 1})
    assert members(simulator, "p1") == ["storage/pve1/local"]
    assert members(simulator, "p2") == ["qemu/100", "qemu/101"]
    simulator.request("PUT", "/pools/p1", {"storage": "local", "vms": "999", "delete": 1, "comment": "new"})
    assert simulator.request("GET", "/pools/p1") == {"poolid": "p1", "comment": "new", "members": []}


def test_a_guest_made_in_a_pool_is_in_no_other(simulator: Simulator) -> None:
    simulator.request("POST", "/nodes/pve1/qemu", {"vmid": 999, "pool": "p2"})
    simulator.clock.advance(10)
    assert members(simulator, "p1") == ["qemu/100", "storage/pve1/local"]
    assert "qemu/999" in members(simulator, "p2")


def test_nested_pools_are_named_by_parameter(simulator: Simulator) -> None:
    simulator.request("POST", "/pools", {"poolid": "p1/sub"})
    assert simulator.request("GET", "/pools", {"poolid": "p1/sub"}) == [{"poolid": "p1/sub", "members": []}]
    with pytest.raises(Failure, match=r"pool 'p1' is not empty \(contains pool 'p1/sub'\)"):
        simulator.request("DELETE", "/pools/p1")
    simulator.request("DELETE", "/pools", {"poolid": "p1/sub"})
    assert len(simulator.request("GET", "/pools")) == 2


def test_deleting_a_pool_takes_its_rights_along(simulator: Simulator) -> None:
    give(simulator.world, "alice@pve", "/pool/p2", "PVEPoolUser")
    simulator.request("PUT", "/pools/p2", {"vms": "101", "delete": 1})
    simulator.request("DELETE", "/pools/p2")
    assert [entry.path for entry in simulator.world.rows(AclEntry).values()] == ["/"]


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("POST", "/pools", {"poolid": "p1"}, "create pool failed: pool 'p1' already exists"),
        ("POST", "/pools", {"poolid": "a/b"}, "create pool failed: parent 'a' of pool 'a/b' does not exist"),
        ("GET", "/pools/nopool", {}, "pool 'nopool' does not exist"),
        ("GET", "/pools", {"poolid": "nopool"}, "pool 'nopool' does not exist"),
        ("PUT", "/pools/nopool", {"comment": "x"}, "update pools failed: pool 'nopool' does not exist"),
        ("PUT", "/pools", {"poolid": "p1", "vms": "100"}, "update pools failed: VM 100 is already a pool member"),
        (
            "PUT",
            "/pools",
            {"poolid": "p2", "vms": "100"},
            "update pools failed: VM 100 belongs already to pool 'p1' and 'allow-move' is not set",
        ),
        (
            "PUT",
            "/pools",
            {"poolid": "p1", "vms": "200", "delete": 1},
            "update pools failed: VM 200 is not a pool member",
        ),
        (
            "PUT",
            "/pools",
            {"poolid": "p1", "storage": "local"},
            "update pools failed: Storage 'local' is already a pool member",
        ),
        (
            "PUT",
            "/pools",
            {"poolid": "p2", "storage": "local", "delete": 1},
            "update pools failed: Storage 'local' is not a pool member",
        ),
        ("DELETE", "/pools/p1", {}, "delete pool failed: pool 'p1' is not empty (contains VM 100)"),
        ("DELETE", "/pools/nopool", {}, "delete pool failed: pool 'nopool' does not exist"),
    ],
)
def test_refusals_change_nothing(simulator: Simulator, verb: str, path: str, params: dict[str, Any], text: str) -> None:
    before = simulator.world.fork()
    with pytest.raises(Failure) as caught:
        simulator.request(verb, path, params)
    assert caught.value.message == text
    assert before.diff(simulator.world) == []


def test_an_update_is_done_whole_or_not_at_all(simulator: Simulator) -> None:
    with pytest.raises(Failure):
        simulator.request("PUT", "/pools", {"poolid": "p1", "comment": "new", "vms": "200,101"})
    assert members(simulator, "p1") == ["qemu/100", "storage/pve1/local"]
    assert simulator.request("GET", "/pools/p1")["comment"] == "pool one"


def test_a_bad_name_is_a_parameter_error(simulator: Simulator) -> None:
    with pytest.raises(ParameterErrors) as caught:
        simulator.request("POST", "/pools", {"poolid": "p 1!"})
    text = "invalid format - pool name 'p 1!' contains invalid characters\n"
    assert caught.value.errors == {"poolid": text}


def test_rights_on_pools_and_on_members(simulator: Simulator) -> None:
    def ask(verb: str, path: str, **params: Any) -> Any:
        return simulator.request(verb, path, params, user="alice@pve")

    assert ask("GET", "/pools") == []
    for verb, path in (("GET", "/pools/p1"), ("DELETE", "/pools/p1"), ("PUT", "/pools/p1")):
        with pytest.raises(Forbidden):
            ask(verb, path)
    with pytest.raises(Forbidden):
        ask("GET", "/pools", poolid="p1")
    give(simulator.world, "alice@pve", "/pool", "PVEPoolAdmin")
    assert len(ask("GET", "/pools")) == 2
    with pytest.raises(ApiError) as caught:
        ask("PUT", "/pools", poolid="p2", vms="200")
    assert (caught.value.status, caught.value.message) == (
        500,
        "update pools failed: 403 Permission check failed (/vms/200, Permissions.Modify|VM.Allocate)",
    )
    give(simulator.world, "alice@pve", "/vms/200", "PVEVMAdmin")
    ask("PUT", "/pools", poolid="p2", vms="200")
    assert members(simulator, "p2") == ["qemu/101", "lxc/200"]
