"""Changing the configuration of containers."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError, Failure, ParameterErrors
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from tests.pvesim.guests.yard import config, ct, done, make_ct, volids, yard
from tests.pvesim.small_world import give

CONFIG = ct(200, "/config")


@pytest.fixture
def sim() -> Simulator:
    sim = yard()
    make_ct(sim, rootfs="local:1", hostname="ct1")
    return sim


def put(sim: Simulator, user: str = "root@pam", **params: Any) -> object:
    return sim.request("PUT", CONFIG, params, user=user)


def test_a_change_is_made_at_once(sim: Simulator) -> None:
    assert put(sim, memory=256, description="one\ntwo", tags="B a") is None
    made = sim.request("GET", CONFIG)
    assert (made["memory"], made["description"], made["tags"]) == (256, "one\ntwo\n", "a;b")


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({}, "no options specified"),
    ({"memory": 64, "digest": "0" * 40}, "detected modified configuration - file changed by other user? Try again."),
    ({"delete": "memory"}, "unable to delete required option 'memory'"),
    ({"delete": "rootfs"}, "unable to delete required option 'rootfs'"),
    ({"unprivileged": 0}, "unable to modify read-only option: 'unprivileged'"),
    ({"mp0": "nosuch:1,mp=/x"}, "storage 'nosuch' does not exist"),
    ({"mp0": "local:200/vm-200-disk-7.raw,mp=/x"}, "volume 'local:200/vm-200-disk-7.raw' does not exist"),
]


@pytest.mark.parametrize(("params", "text"), REFUSALS)
def test_refusals_change_nothing(sim: Simulator, params: dict[str, Any], text: str) -> None:
    before = sim.world.fork()
    with pytest.raises(Failure) as refused:
        put(sim, **params)
    assert refused.value.message == text
    assert before.diff(sim.world) == []


def test_unknown_options_are_refused_by_parameter(sim: Simulator) -> None:
    with pytest.raises(ParameterErrors) as refused:
        put(sim, delete="colour")
    assert refused.value.errors == {"delete": "unknown option 'colour'"}


def test_mount_points_come_and_go(sim: Simulator) -> None:
    put(sim, mp0="local:1,mp=/data", mp1="local:1,mp=data")
    assert config(sim, 200)["mp0"] == "local:200/vm-200-disk-1.raw,mp=/data,size=1G"
    assert config(sim, 200)["mp1"] == "local:200/vm-200-disk-2.raw,mp=data,size=1G"
    put(sim, delete="mp1")
    assert config(sim, 200)["unused0"] == "local:200/vm-200-disk-2.raw"
    put(sim, delete="unused0")
    assert volids(sim, 200) == ["local:200/vm-200-disk-0.raw", "local:200/vm-200-disk-1.raw"]


def test_a_bind_mount_leaves_nothing_behind(sim: Simulator) -> None:
    put(sim, mp0="/srv,mp=/srv")
    put(sim, delete="mp0")
    assert not [key for key in config(sim, 200) if key.startswith("unused")]


def test_a_running_container_takes_most_changes_at_once(sim: Simulator) -> None:
    done(sim, "POST", ct(200, "/status/start"))
    put(sim, memory=256, cores=2, mp0="local:1,mp=/data", net0="name=eth0,bridge=vmbr0")
    assert sim.world.rows(Guest)[200].pending == {}
    assert config(sim, 200)["cores"] == 2


def test_a_mount_point_in_use_waits(sim: Simulator) -> None:
    put(sim, mp0="local:1,mp=/data")
    done(sim, "POST", ct(200, "/status/start"))
    put(sim, delete="mp0")
    assert sim.world.rows(Guest)[200].pending == {"mp0": None}
    done(sim, "POST", ct(200, "/status/reboot"))
    assert config(sim, 200)["unused0"] == "local:200/vm-200-disk-1.raw"


def test_a_locked_container_cannot_be_changed_not_even_unlocked(sim: Simulator) -> None:
    put(sim, lock="backup")
    for params in ({"cores": 1}, {"delete": "lock"}):
        with pytest.raises(Failure, match=r"CT is locked \(backup\)"):
            put(sim, **params)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"cores": 1}, "Permission check failed (/vms/200, VM.Config.CPU)"),
        ({"hostname": "x1"}, "Permission check failed (/vms/200, VM.Config.Network)"),
        ({"delete": "mp0"}, "Permission check failed (/vms/200, VM.Config.Disk)"),
        ({"onboot": 1}, "Permission check failed (/vms/200, VM.Config.Options)"),
    ],
)
def test_rights(sim: Simulator, params: dict[str, Any], text: str) -> None:
    sim.request("POST", "/access/roles", {"roleid": "Memory", "privs": "VM.Config.Memory"})
    give(sim.world, "alice@pve", "/vms/200", "Memory")
    put(sim, "alice@pve", memory=64)
    with pytest.raises(ApiError) as refused:
        put(sim, "alice@pve", **params)
    assert refused.value.message == text


def test_a_protected_container_keeps_its_mount_points(sim: Simulator) -> None:
    put(sim, mp0="local:1,mp=/data")
    put(sim, protection=1)
    with pytest.raises(Failure, match="can't remove CT 200 drive 'mp0' - protection mode enabled"):
        put(sim, delete="mp0")


def test_what_is_set_to_nothing_is_gone(sim: Simulator) -> None:
    put(sim, description="some", nameserver="10.0.0.1")
    put(sim, description="", nameserver="")
    assert not {"description", "nameserver"} & config(sim, 200).keys()
