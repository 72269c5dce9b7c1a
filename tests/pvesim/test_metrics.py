"""Figures of guests and nodes: plausible, steady within a round, consistent with each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.core.world import World
from pvesim.guests.records import Behaviour, Guest
from pvesim.guests.sizes import drive_size, maxcpu, maxdisk, maxmem
from pvesim.metrics import IDLE, guest_figures, node_figures, sampled_figures
from pvesim.nodes.records import Hardware, Node

NOW = 1_800_000_003.0
GIB = 1024**3


def a_world(guests: int = 3, seed: int = 7) -> World:
    world = World(seed=seed, now=NOW)
    world.put(Node("pve1", started=NOW - 90_000))
    world.put(Node("pve2", started=NOW - 90_000))
    for index in range(guests):
        world.put(a_guest(100 + index, started=NOW - 5000 * (index + 1)))
    return world


def a_guest(vmid: int = 100, started: float = NOW - 5000, **changes: object) -> Guest:
    config = {"memory": "2048", "cores": 2, "scsi0": f"local:{vmid}/vm-{vmid}-disk-0.raw,size=4G"}
    guest = Guest(vmid, "qemu", "pve1", config, status="running", qmpstatus="running", started=started, pid=77)
    return replace(guest, **changes)  # type: ignore[arg-type]


def test_a_stopped_guest_uses_nothing() -> None:
    world = a_world()
    assert guest_figures(world, a_guest(status="stopped")) == IDLE
    assert guest_figures(world, a_guest(), at=NOW - 6000) == IDLE


def test_figures_stand_still_within_a_round_but_for_the_uptime() -> None:
    world = a_world()
    guest = world.rows(Guest)[100]
    first, sampled = guest_figures(world, guest), sampled_figures(world, guest)
    world.now += 6
    later = guest_figures(world, guest)
    assert later == first._replace(uptime=first.uptime + 6)
    assert sampled_figures(world, guest) == sampled
    world.now += 2
    assert guest_figures(world, guest).netin > later.netin


def test_another_seed_gives_other_figures_and_the_same_seed_the_same() -> None:
    assert guest_figures(a_world(), a_guest()) == guest_figures(a_world(), a_guest())
    assert guest_figures(a_world(), a_guest()) != guest_figures(a_world(seed=8), a_guest())


@given(
    st.lists(st.floats(0, 3e6), min_size=2, max_size=6).map(sorted),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 50),
)
def test_figures_stay_in_bounds_and_counters_only_grow(
    times: list[float], cpu: float, memory: float, seed: int
) -> None:
    world = World(seed=seed, now=NOW)
    guest = a_guest(behaviour=Behaviour(cpu_load=cpu, memory_load=memory), started=NOW)
    previous = IDLE
    for time in times:
        figures = guest_figures(world, guest, at=NOW + time)
        assert 0 <= figures.cpu <= 1
        assert 0 <= figures.mem <= 2 * GIB
        assert figures[3:] >= previous[3:]
        previous = figures


@pytest.mark.parametrize("back", [0, 10, 3600, 60_000])
def test_a_nodes_use_is_its_own_and_that_of_its_running_guests(back: int) -> None:
    world = a_world()
    world.put(a_guest(110, node="pve2"))
    world.put(a_guest(111, status="stopped"))
    at = NOW - back
    on_node = [guest for guest in world.rows(Guest).values() if guest.node == "pve1"]
    shares = [guest_figures(world, guest, at=at) for guest in on_node]
    node = world.rows(Node)["pve1"]
    bare = a_world(guests=0)
    own = node_figures(bare, node, at=at)
    whole = node_figures(world, node, at=at)
    assert whole.cpu == pytest.approx(own.cpu + sum(share.cpu for share in shares) * 2 / node.hardware.cpus)
    assert whole.mem == pytest.approx(own.mem + sum(share.mem for share in shares), abs=10)


def test_a_nodes_use_never_exceeds_what_it_has() -> None:
    world = a_world(guests=40)
    node = replace(world.rows(Node)["pve1"], hardware=Hardware(cpus=1, memory=GIB))
    figures = node_figures(world, node)
    assert (figures.cpu, figures.mem) == (1.0, GIB)


def test_a_guest_that_starts_is_seen_on_its_node_at_once() -> None:
    world = a_world()
    before = node_figures(world, world.rows(Node)["pve1"])
    world.put(a_guest(120, started=NOW))
    after = node_figures(world, world.rows(Node)["pve1"])
    assert after.mem - before.mem == guest_figures(world, world.rows(Guest)[120]).mem


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ({}, 0),
        ({"scsi1": "a:x,size=3G", "scsi0": "a:y,size=2G"}, 2 * GIB),
        ({"ide2": "a:iso/x.iso,media=cdrom,size=4M", "virtio0": "a:y,size=512M"}, GIB // 2),
        ({"boot": "order=net0;scsi1;scsi0", "scsi1": "a:x,size=3G", "scsi0": "a:y,size=2G"}, 3 * GIB),
        ({"boot": "c", "bootdisk": "scsi1", "scsi1": "a:x,size=3G", "scsi0": "a:y,size=2G"}, 3 * GIB),
        ({"boot": "order=net0", "scsi0": "a:y,size=2G"}, 0),
    ],
)
def test_the_disk_that_counts_is_the_one_a_machine_boots_from(config: dict[str, str], size: int) -> None:
    assert maxdisk(Guest(100, "qemu", "pve1", config)) == size


def test_sizes_are_read_from_the_configuration() -> None:
    world = a_world(guests=0)
    assert maxmem(Guest(100, "qemu", "pve1", {"memory": "current=256"})) == 256 * 1024**2
    assert maxmem(Guest(200, "lxc", "pve1", {})) == 512 * 1024**2
    assert maxcpu(world, Guest(100, "qemu", "pve1", {"sockets": 2, "cores": 3})) == 6
    assert maxcpu(world, Guest(200, "lxc", "pve1", {})) == 16
    assert maxcpu(world, Guest(200, "lxc", "pve1", {"cpulimit": "1.5"})) == 1.5
    assert maxdisk(Guest(200, "lxc", "pve1", {"rootfs": "local:200/x.raw,size=1T"})) == 1024 * GIB
    assert drive_size("local:1,size=none") == 0
