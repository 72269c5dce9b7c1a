"""An inventory from counts."""

from __future__ import annotations

from collections import Counter

from pvesim.contract import Contract, verify
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.scenario import build_world
from pvesim.storage.records import Volume
from tests.pvesim.invariants import check_invariants
from tests.pvesim.scenario.places import build, problem

TEXT = "fleet: {nodes: 4, vms: 80, containers: 20}"


def test_names_ids_and_nodes_are_predictable() -> None:
    guests = build(TEXT).rows(Guest)
    assert list(guests) == list(range(100, 200))
    assert [guests[vmid].name for vmid in (100, 101, 179, 180, 199)] == [
        "vm-0001",
        "vm-0002",
        "vm-0080",
        "ct-0001",
        "ct-0020",
    ]
    assert Counter(guest.node for guest in guests.values()) == dict.fromkeys(("pve1", "pve2", "pve3", "pve4"), 25)


def test_states_are_mixed_in_the_share_that_is_asked_for() -> None:
    states = Counter(guest.qmpstatus for guest in build(TEXT).rows(Guest).values())
    assert abs(states["running"] - 80) <= 2
    assert states["paused"] > 0
    assert states["stopped"] > states["paused"]
    assert {guest.status for guest in build("fleet: {vms: 9, running: 0.0}").rows(Guest).values()} == {
        "running",
        "stopped",
    }
    assert {guest.qmpstatus for guest in build("fleet: {vms: 9, running: 1.0}").rows(Guest).values()} == {"running"}


def test_invariants_hold() -> None:
    assert check_invariants(build(TEXT)) == []


def test_every_configuration_is_one_that_pve_takes() -> None:
    contract = Contract.load()
    for guest in build("fleet: {vms: 30, containers: 12}").rows(Guest).values():
        config = {key: value for key, value in guest.config.items() if key != "meta"}
        ostemplate = {"ostemplate": "local:vztmpl/x.tar.zst"} if guest.kind == "lxc" else {}
        method = contract.method("POST", f"/nodes/{{node}}/{guest.kind}")
        verify(method, {**config, **ostemplate, "node": guest.node, "vmid": guest.vmid})


def test_no_two_guests_share_an_address() -> None:
    guests = build_world({"fleet": {"vms": 3000}}).rows(Guest)
    assert len({guest.config["net0"] for guest in guests.values()}) == 3000
    assert len({guest.config["smbios1"] for guest in guests.values()}) == 3000


def test_it_goes_round_what_is_named_one_by_one() -> None:
    world = build("fleet: {vms: 3}\nvms: {101: {config: {name: mine}}}")
    assert {vmid: guest.name for vmid, guest in world.rows(Guest).items()} == {
        100: "vm-0001",
        101: "mine",
        102: "vm-0002",
        103: "vm-0003",
    }


def test_nodes_are_large_enough() -> None:
    world = build_world({"fleet": {"nodes": 2, "vms": 400}})
    for node in world.rows(Node).values():
        asked = sum(int(str(g.config["memory"])) for g in world.rows(Guest).values() if g.node == node.name)
        assert asked * 1024 * 1024 < node.hardware.memory


def test_a_named_storage_takes_the_disks() -> None:
    world = build("storages: {local: {type: dir}, ceph: {type: rbd}}\nfleet: {nodes: 2, vms: 2, storage: ceph}")
    assert {volume.volid for volume in world.rows(Volume).values()} == {"ceph:vm-100-disk-0", "ceph:vm-101-disk-0"}
    assert check_invariants(world) == []


def test_without_a_storage_for_its_disks_there_is_no_fleet() -> None:
    found = problem("storages: {l1: {type: dir, config: {content: iso}}}\nfleet: {vms: 1}")
    assert found == "x.yaml:2:1: fleet.storage: no storage for 'images' on node 'pve1': there are l1"
    assert "no storage for 'images'" in problem("fleet: {vms: 1, storage: nope}")
