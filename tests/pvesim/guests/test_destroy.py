"""Removing guests, and what others kept about them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvesim.access.records import AclEntry
from pvesim.core.errors import Failure, Forbidden
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource
from pvesim.pools.records import Pool
from tests.pvesim.guests.yard import ct, done, make_ct, make_vm, task_of, vm, volids, yard
from tests.pvesim.small_world import give


@pytest.fixture
def sim() -> Simulator:
    sim = yard()
    make_vm(sim, scsi0="local:1", pool="lab")
    make_ct(sim, rootfs="local:1")
    return sim


def change(sim: Simulator, vmid: int, **options: object) -> None:
    guest = sim.world.rows(Guest)[vmid]
    sim.world.put(replace(guest, config={**guest.config, **options}))


def test_everything_goes(sim: Simulator) -> None:
    give(sim.world, "alice@pve", "/vms/100", "PVEVMUser")
    task = done(sim, "DELETE", vm(100))
    assert (task.type, task.log) == ("qmdestroy", ("TASK OK",))
    assert sim.world.get(Guest, 100) is None
    assert volids(sim, 100) == []
    assert not sim.world.rows(AclEntry)
    assert sim.world.rows(Pool)["lab"].vmids == ()


def test_a_container_too(sim: Simulator) -> None:
    task = done(sim, "DELETE", ct(200), {"purge": 1})
    assert (task.type, task.log[0]) == ("vzdestroy", "purging CT 200 from related configurations..")
    assert volids(sim, 200) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (vm(999), "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"),
        (ct(999), "Configuration file 'nodes/pve1/lxc/999.conf' does not exist"),
        (ct(100), "Configuration file 'nodes/pve1/lxc/100.conf' does not exist"),
    ],
)
def test_unknown_guests(sim: Simulator, path: str, text: str) -> None:
    with pytest.raises(Failure) as refused:
        sim.request("DELETE", path)
    assert refused.value.message == text


def test_running_guests_stay(sim: Simulator) -> None:
    done(sim, "POST", vm(100, "/status/start"))
    done(sim, "POST", ct(200, "/status/start"))
    with pytest.raises(Failure, match="VM 100 is running - destroy failed"):
        sim.request("DELETE", vm(100))
    with pytest.raises(Failure, match="unable to destroy CT 200 - container is running"):
        sim.request("DELETE", ct(200))
    done(sim, "DELETE", ct(200), {"force": 1})


def test_a_lock_refuses_a_machine_in_the_task_and_a_container_at_once(sim: Simulator) -> None:
    change(sim, 100, lock="backup")
    change(sim, 200, lock="backup")
    assert task_of(sim, "DELETE", vm(100)).exitstatus == "VM is locked (backup)"
    with pytest.raises(Failure, match=r"CT is locked \(backup\)"):
        sim.request("DELETE", ct(200))
    done(sim, "DELETE", vm(100), {"skiplock": 1})


def test_protected_guests_stay(sim: Simulator) -> None:
    change(sim, 100, protection=1)
    with pytest.raises(Failure, match="can't remove VM 100 - protection mode enabled"):
        sim.request("DELETE", vm(100))


def test_what_ha_manages_wants_to_be_purged(sim: Simulator) -> None:
    sim.world.put(HaResource("vm:100"))
    with pytest.raises(Failure, match="unable to remove VM 100 - used in HA resources and purge parameter not set"):
        sim.request("DELETE", vm(100))
    task = done(sim, "DELETE", vm(100), {"purge": 1})
    assert "NOTE: removed VM 100 from HA resource configuration." in task.log
    assert sim.world.get(HaResource, "vm:100") is None


def test_unreferenced_disks_go_only_when_asked(sim: Simulator) -> None:
    content = {"vmid": 100, "filename": "vm-100-disk-7", "size": "1G"}
    sim.request("POST", "/nodes/pve1/storage/thin/content", content)
    sim.request("POST", "/nodes/pve1/storage/tank/content", content)
    done(sim, "DELETE", vm(100), {"destroy-unreferenced-disks": 1})
    assert volids(sim, 100) == []


def test_disks_of_changes_that_waited_go_too(sim: Simulator) -> None:
    done(sim, "POST", vm(100, "/status/start"))
    sim.request("PUT", vm(100, "/config"), {"ide1": "local:1"})
    done(sim, "POST", vm(100, "/status/stop"))
    done(sim, "DELETE", vm(100))
    assert volids(sim, 100) == []


def test_a_template_with_linked_clones_stays(sim: Simulator) -> None:
    sim.request("PUT", vm(100, "/config"), {"scsi0": "local:1,format=qcow2", "delete": "unused0"})
    done(sim, "POST", vm(100, "/template"))
    done(sim, "POST", vm(100, "/clone"), {"newid": 101})
    task = task_of(sim, "DELETE", vm(100))
    assert task.exitstatus == "base volume 'local:100/base-100-disk-1.qcow2' is still in use by linked cloned"
    done(sim, "DELETE", vm(101))
    done(sim, "DELETE", vm(100))


def test_the_right_is_wanted(sim: Simulator) -> None:
    with pytest.raises(Forbidden, match=r"Permission check failed \(/vms/100, VM.Allocate\)"):
        sim.request("DELETE", vm(100), user="alice@pve")
