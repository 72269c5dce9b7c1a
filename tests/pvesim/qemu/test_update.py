"""Changing the configuration of virtual machines: at once, in a task, and later."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from tests.pvesim.guests.yard import ISO, config, done, make_vm, task_of, vm, volids, yard
from tests.pvesim.small_world import give

CONFIG = vm(100, "/config")


@pytest.fixture
def sim() -> Simulator:
    sim = yard()
    make_vm(
        sim,
        name="web1",
        memory=256,
        scsi0="local:1",
        ide2=f"{ISO},media=cdrom",
        net0="virtio,bridge=vmbr0",
        hotplug="1",
    )
    return sim


def put(sim: Simulator, user: str = "root@pam", **params: Any) -> object:
    return sim.request("PUT", CONFIG, params, user=user)


def start(sim: Simulator) -> None:
    done(sim, "POST", vm(100, "/status/start"))


def pending(sim: Simulator) -> dict[str, Any]:
    return dict(sim.world.rows(Guest)[100].pending)


def test_a_change_is_made_at_once() -> None:
    sim = yard()
    make_vm(sim)
    assert put(sim, cores=2, description="a\nb") is None
    assert config(sim, 100)["cores"] == 2


def test_the_same_by_a_task_that_says_what_it_does(sim: Simulator) -> None:
    task = done(sim, "POST", CONFIG, {"memory": 512, "cipassword": "secret-pw", "onboot": 1})
    assert task.type == "qmconfig"
    assert task.log[0] == "update VM 100: -cipassword <hidden> -memory 512 -onboot 1"


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({}, "no options specified"),
    ({"cores": 1, "digest": "0" * 40}, "checksum mismatch (file change by other user?)"),
    ({"ide2": "local:iso/none.iso,media=cdrom"}, "volume 'local:iso/none.iso' does not exist"),
    ({"boot": "order=scsi9"}, "invalid bootorder: device 'scsi9' does not exist'"),
    ({"balloon": 2048}, "balloon value too large (must be smaller than assigned memory)"),
]


@pytest.mark.parametrize(("params", "text"), REFUSALS)
def test_refusals_change_nothing(sim: Simulator, params: dict[str, Any], text: str) -> None:
    before = sim.world.fork()
    with pytest.raises(Failure) as refused:
        put(sim, **params)
    assert refused.value.message == text
    assert before.diff(sim.world) == []


BAD_NAMES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"delete": "colour"}, {"delete": "unknown option 'colour'"}),
    ({"revert": "colour"}, {"revert": "unknown option 'colour'"}),
    ({"delete": "cores", "cores": 2}, {"delete": "you can't use '-cores' and -delete cores' at the same time"}),
]


@pytest.mark.parametrize(("params", "errors"), BAD_NAMES)
def test_names_of_options_are_looked_at(sim: Simulator, params: dict[str, Any], errors: dict[str, str]) -> None:
    with pytest.raises(ParameterErrors) as refused:
        put(sim, **params)
    assert refused.value.errors == errors


def test_a_digest_guards_against_a_change_in_between(sim: Simulator) -> None:
    digest = sim.request("GET", CONFIG)["digest"]
    put(sim, cores=1, digest=digest)
    with pytest.raises(Failure, match="checksum mismatch"):
        put(sim, cores=2, digest=digest)


def test_a_removed_disk_becomes_unused_and_then_goes_away(sim: Simulator) -> None:
    put(sim, scsi1="local:1")
    assert config(sim, 100)["scsi1"] == "local:100/vm-100-disk-1.raw,size=1G"
    put(sim, delete="scsi1")
    assert config(sim, 100)["unused0"] == "local:100/vm-100-disk-1.raw"
    put(sim, delete="unused0")
    assert volids(sim, 100) == ["local:100/vm-100-disk-0.raw"]


def test_force_removes_the_volume_too(sim: Simulator) -> None:
    put(sim, delete="scsi0", force=1)
    assert volids(sim, 100) == []
    assert config(sim, 100)["boot"] == "order=ide2;net0"


def test_a_disk_on_a_taken_slot_replaces_the_old_one(sim: Simulator) -> None:
    put(sim, scsi0="thin:2")
    assert config(sim, 100)["scsi0"] == "thin:vm-100-disk-0,size=2G"
    assert config(sim, 100)["unused0"] == "local:100/vm-100-disk-0.raw"


def test_an_unused_disk_can_be_attached_again(sim: Simulator) -> None:
    put(sim, delete="scsi0")
    put(sim, virtio3="local:100/vm-100-disk-0.raw,cache=writeback")
    assert config(sim, 100)["virtio3"] == "local:100/vm-100-disk-0.raw,cache=writeback,size=1G"
    assert "unused0" not in config(sim, 100)


def test_a_new_cd_drive_is_booted_from_and_cloud_init_is_not(sim: Simulator) -> None:
    put(sim, sata0="none,media=cdrom", ide0="local:cloudinit")
    assert config(sim, 100)["boot"] == "order=scsi0;ide2;net0;sata0"


def test_a_cloud_init_drive_goes_away_with_its_volume(sim: Simulator) -> None:
    put(sim, ide0="local:cloudinit")
    put(sim, delete="ide0")
    assert not [volid for volid in volids(sim, 100) if "cloudinit" in volid]


def test_deleting_what_is_not_set_is_no_error(sim: Simulator) -> None:
    put(sim, delete="description")


class TestRunning:
    """What a machine takes while it runs, and what waits."""

    @pytest.mark.parametrize(
        ("option", "value", "at_once"),
        [
            ("memory", 512, False),
            ("cores", 2, False),
            ("name", "other", True),
            ("description", "x", True),
            ("ciuser", "joe", True),
            ("scsi1", "local:1", True),
            ("ide1", "local:1", False),
            ("net1", "virtio,bridge=vmbr0", True),
            ("ide2", "none,media=cdrom", True),
        ],
    )
    def test_options(self, sim: Simulator, option: str, value: Any, at_once: bool) -> None:
        start(sim)
        put(sim, **{option: value})
        assert (option in pending(sim)) is not at_once

    def test_without_hotplug_nothing_is_plugged(self, sim: Simulator) -> None:
        put(sim, hotplug="0")
        start(sim)
        put(sim, scsi1="local:1")
        assert "scsi1" in pending(sim)

    def test_a_change_waits_for_the_next_start(self, sim: Simulator) -> None:
        start(sim)
        put(sim, memory=512)
        assert sim.request("GET", CONFIG)["memory"] == "512"
        assert sim.request("GET", CONFIG, {"current": 1})["memory"] == "256"
        done(sim, "POST", vm(100, "/status/stop"))
        start(sim)
        assert config(sim, 100)["memory"] == "512"
        assert pending(sim) == {}

    def test_a_change_can_be_taken_back(self, sim: Simulator) -> None:
        start(sim)
        put(sim, memory=512)
        put(sim, revert="memory")
        assert pending(sim) == {}

    def test_a_disk_that_was_made_for_a_change_taken_back_is_unused(self, sim: Simulator) -> None:
        start(sim)
        put(sim, ide1="local:1")
        put(sim, revert="ide1")
        assert config(sim, 100)["unused0"] == "local:100/vm-100-disk-1.raw"

    def test_what_is_as_it_was_does_not_wait(self, sim: Simulator) -> None:
        start(sim)
        put(sim, memory=512)
        put(sim, memory=256)
        assert pending(sim) == {}

    def test_the_removal_of_a_disk_waits_where_it_cannot_be_unplugged(self, sim: Simulator) -> None:
        put(sim, sata1="local:1")
        start(sim)
        put(sim, delete="sata1")
        assert pending(sim) == {"sata1": None}
        done(sim, "POST", vm(100, "/status/stop"))
        start(sim)
        assert config(sim, 100)["unused0"] == "local:100/vm-100-disk-1.raw"


class TestRights:
    """Each option wants its own privilege."""

    @pytest.mark.parametrize(
        ("params", "text"),
        [
            ({"cores": 2}, "Permission check failed (/vms/100, VM.Config.CPU)"),
            ({"memory": 512}, "Permission check failed (/vms/100, VM.Config.Memory)"),
            ({"net1": "virtio,bridge=vmbr0"}, "Permission check failed (/vms/100, VM.Config.Network)"),
            ({"delete": "scsi0"}, "Permission check failed (/vms/100, VM.Config.Disk)"),
            ({"name": "x"}, "Permission check failed (/vms/100, VM.Config.Options)"),
            ({"vga": "std"}, "Permission check failed (/vms/100, VM.Config.HWType)"),
            ({"scsi1": "local:1"}, "Permission check failed (/storage/local, Datastore.AllocateSpace)"),
            ({"args": "-x"}, "only root can set 'args' config"),
            ({"hostpci0": "0000:01:00.0"}, "only root can set 'hostpci0' config for non-mapped devices"),
            ({"serial0": "/dev/ttyS0"}, "only root can set 'serial0' config for real devices"),
        ],
    )
    def test_refused(self, sim: Simulator, params: dict[str, Any], text: str) -> None:
        give(sim.world, "alice@pve", "/vms/100", "PVEVMUser")
        with pytest.raises(ApiError) as refused:
            put(sim, "alice@pve", **params)
        assert refused.value.message == text

    def test_allowed(self, sim: Simulator) -> None:
        give(sim.world, "alice@pve", "/vms/100", "PVEVMUser")
        put(sim, "alice@pve", ide2="none,media=cdrom")
        put(sim, "alice@pve", ciuser="joe")
        assert config(sim, 100)["ide2"] == "none,media=cdrom"


class TestLocks:
    def test_a_locked_machine_is_not_changed(self, sim: Simulator) -> None:
        put(sim, lock="backup")
        with pytest.raises(Failure, match=r"VM is locked \(backup\)"):
            put(sim, cores=2)
        put(sim, delete="lock", skiplock=1)
        put(sim, cores=2)

    def test_skiplock_is_for_root_alone(self, sim: Simulator) -> None:
        give(sim.world, "alice@pve", "/vms/100", "PVEVMAdmin")
        with pytest.raises(ParameterErrors) as refused:
            put(sim, "alice@pve", cores=2, skiplock=1)
        assert refused.value.errors == {"skiplock": "Only root may use this option."}

    def test_a_protected_machine_keeps_its_disks(self, sim: Simulator) -> None:
        put(sim, protection=1)
        with pytest.raises(Failure, match="can't remove drive 'scsi0' - protection mode enabled"):
            put(sim, delete="scsi0")


def test_unlink_takes_drives_out(sim: Simulator) -> None:
    sim.request("PUT", vm(100, "/unlink"), {"idlist": "scsi0,scsi5"})
    assert config(sim, 100)["unused0"] == "local:100/vm-100-disk-0.raw"
    sim.request("PUT", vm(100, "/unlink"), {"idlist": "unused0"})
    assert volids(sim, 100) == []


def test_alice_cannot_unlink_without_the_right(sim: Simulator) -> None:
    with pytest.raises(Forbidden):
        sim.request("PUT", vm(100, "/unlink"), {"idlist": "scsi0"}, user="alice@pve")


def test_a_failing_task_leaves_the_machine_as_it_was(sim: Simulator) -> None:
    task = task_of(sim, "POST", CONFIG, {"cores": 4, "ide1": "local:iso/none.iso,media=cdrom"})
    assert task.exitstatus == "volume 'local:iso/none.iso' does not exist"
    assert "cores" not in config(sim, 100)


def test_a_cloud_init_volume_that_is_named_again_stays(sim: Simulator) -> None:
    put(sim, ide0="local:cloudinit")
    put(sim, ide0="local:100/vm-100-cloudinit.qcow2,media=cdrom,cache=none")
    assert "local:100/vm-100-cloudinit.qcow2" in volids(sim, 100)


class TestBackgroundDelay:
    def test_a_task_that_ends_soon_is_not_told(self, sim: Simulator) -> None:
        assert sim.request("POST", CONFIG, {"memory": 512, "background_delay": 5}) is None
        assert config(sim, 100)["memory"] == "512"

    def test_one_that_fails_is_an_error(self, sim: Simulator) -> None:
        with pytest.raises(Failure, match=r"failed to update VM 100: volume 'local:iso/none.iso' does not exist"):
            sim.request("POST", CONFIG, {"ide1": "local:iso/none.iso,media=cdrom", "background_delay": 5})
        assert "ide1" not in config(sim, 100)

    def test_a_machine_that_a_task_holds_cannot_be_changed(self, sim: Simulator) -> None:
        done(sim, "POST", vm(100, "/status/start"))
        sim.request("POST", vm(100, "/status/shutdown"))
        sim.clock.advance(0.1)
        with pytest.raises(Failure, match=r"can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"):
            put(sim, cores=2)


def test_what_is_set_to_nothing_is_gone(sim: Simulator) -> None:
    put(sim, description="some", tags="a", ciuser="joe")
    put(sim, description="", tags="", ciuser="", nameserver="")
    assert not {"description", "tags", "ciuser", "nameserver"} & config(sim, 100).keys()
    put(sim, cpu="host")
    start(sim)
    put(sim, cpu="")
    assert pending(sim) == {"cpu": None}


def test_unlink_takes_any_option(sim: Simulator) -> None:
    sim.request("PUT", vm(100, "/unlink"), {"idlist": "memory"})
    assert "memory" not in config(sim, 100)
    with pytest.raises(ParameterErrors) as refused:
        sim.request("PUT", vm(100, "/unlink"), {"idlist": "colour"})
    assert refused.value.errors == {"delete": "unknown option 'colour'"}


def test_fractions_are_shown_as_text(sim: Simulator) -> None:
    put(sim, cpulimit="1.5", migrate_downtime="1")
    read = sim.request("GET", CONFIG)
    assert (read["cpulimit"], read["migrate_downtime"]) == ("1.5", "1")
