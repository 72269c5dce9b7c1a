"""Backups: what is asked, what the task says and does, what is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import FileLock
from pvesim.pools.records import Pool
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.backup.world import (
    GIB,
    add,
    back_up,
    backup_simulator,
    backups,
    begin,
    behave,
    configure,
    finish,
    guest,
    said,
)
from tests.pvesim.invariants import check_invariants
from tests.pvesim.small_world import give


@pytest.fixture
def simulator() -> Simulator:
    return backup_simulator()


def last(task: Task) -> str:
    return task.log[-1]


# -- what may be asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({}, {"vmid": "property is missing"}),
        ({"vmid": "100", "all": 1}, {"all": "option conflicts with option 'vmid'"}),
        ({"vmid": "100", "exclude": "101"}, {"exclude": "option conflicts with option 'vmid'"}),
        ({"vmid": "100", "pool": "p1"}, {"pool": "option conflicts with option 'vmid'"}),
        (
            {"vmid": "100", "prune_backups": "keep-last=1", "maxfiles": 2},
            {"prune-backups": "option conflicts with option 'maxfiles'"},
        ),
        ({"vmid": "100", "stdout": 1}, {"stdout": "option is only allowed on the command line interface."}),
        (
            {"vmid": "100", "storage": "local", "notes_template": "{{nope}} \\q"},
            {"notes-template": "found unknown: escape sequence '\\q' at char 9, variable 'nope' at char 2\n"},
        ),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(
    simulator: Simulator, params: dict[str, Any], errors: dict[str, str]
) -> None:
    with pytest.raises(ApiError) as caught:
        begin(simulator, **params)
    assert (caught.value.status, caught.value.errors) == (400, errors)
    assert not simulator.world.rows(Task)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"storage": "local"}, "Permission check failed (/storage/local, Datastore.AllocateSpace)"),
        ({}, "Permission check failed (/storage/local, Datastore.AllocateSpace)"),
        ({"bwlimit": 5}, "Permission check failed (/, Sys.Modify)"),
        ({"maxfiles": 5}, "Permission check failed (/storage/local, Datastore.Allocate)"),
    ],
)
def test_a_user_needs_the_storage(simulator: Simulator, params: dict[str, Any], message: str) -> None:
    give(simulator.world, "alice@pve", "/vms/101", "PVEVMUser")
    with pytest.raises(ApiError) as caught:
        begin(simulator, "alice@pve", vmid="101", **params)
    assert (caught.value.status, caught.value.message) == (403, message)


@pytest.mark.parametrize("option", ["dumpdir", "script", "tmpdir", "job_id"])
def test_what_root_alone_may_set(simulator: Simulator, option: str) -> None:
    with pytest.raises(ApiError) as caught:
        begin(simulator, "alice@pve", vmid="101", **{option: "/x"})
    assert caught.value.errors == {option.replace("_", "-"): "Only root may set this option."}


def test_a_guest_without_the_privilege_ends_the_task_unless_all_are_meant(simulator: Simulator) -> None:
    give(simulator.world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    give(simulator.world, "alice@pve", "/vms/101", "PVEVMUser")
    refused = back_up(simulator, "alice@pve", vmid="100,101")
    assert refused.exitstatus == "403 Permission check failed (/vms/100, VM.Backup)"
    assert not backups(simulator)
    allowed = back_up(simulator, "alice@pve", all=1)
    assert allowed.exitstatus == "OK"
    assert [row["vmid"] for row in backups(simulator)] == [101]


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            "nosuch",
            "could not activate storage 'nosuch': storage 'nosuch' does not exist could not get storage information for"
            " 'nosuch': storage 'nosuch' does not exist",
        ),
        (
            "thin",
            "could not get storage information for 'thin': can't use storage 'thin' for backups - wrong content type",
        ),
        ("share", "could not activate storage 'share': storage 'share' is not online"),
    ],
)
def test_a_storage_that_takes_no_backups_fails_the_task(simulator: Simulator, storage: str, message: str) -> None:
    simulator.world.put(Space("share", "", GIB, active=False))
    task = back_up(simulator, vmid="101", storage=storage)
    assert task.log == (f"TASK ERROR: {message}",)


def test_a_folder_is_known_by_its_storage(simulator: Simulator) -> None:
    assert back_up(simulator, vmid="101", dumpdir="/mnt/pve/share/dump").exitstatus == "OK"
    assert [row["vmid"] for row in backups(simulator, "share")] == [101]
    assert last(back_up(simulator, vmid="101", dumpdir="/nowhere")) == "TASK ERROR: dumpdir '/nowhere' does not exist"


def test_a_temporary_folder_has_to_be_there(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="101", storage="local", tmpdir="/nowhere")
    assert task.exitstatus == "tmpdir '/nowhere' does not exist"
    assert back_up(simulator, vmid="101", storage="local", tmpdir="/tmp").exitstatus == "OK"


def test_the_log_names_the_command(simulator: Simulator) -> None:
    asked = {"storage": "local", "prune_backups": "keep-last=1", "notes_template": "it's {{vmid}}"}
    task = back_up(simulator, vmid="101", bwlimit=0, **asked, exclude_path=["/a", "/b c"])
    line = "--exclude-path /a --exclude-path '/b c'"
    words = f"--storage local --prune-backups 'keep-last=1' --notes-template 'it'\\''s {{{{vmid}}}}' {line} --node pve1"
    assert task.log[0] == f"INFO: starting new backup job: vzdump 101 --bwlimit 0 {words}"


# -- which guests --------------------------------------------------------------------------------------------------


def test_an_unknown_guest_fails_and_the_others_do_not(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="999,101", storage="local")
    assert (task.id, task.exitstatus) == ("", "job errors")
    assert said(
        task,
        "INFO: Finished Backup of VM 101 (00:00:07)",
        "ERROR: Backup of VM 999 failed - unable to find VM '999'",
        "INFO: Backup job finished with errors",
        "TASK ERROR: job errors",
    )
    assert [row["vmid"] for row in backups(simulator)] == [101]


def test_all_but_some_on_this_node(simulator: Simulator) -> None:
    task = back_up(simulator, exclude="100,102,200")
    assert said(task, "INFO: starting new backup job: vzdump --exclude 100,102,200 --node pve1 --all 1")
    assert said(task, "INFO: skip external VMs: 103")
    assert [row["vmid"] for row in backups(simulator)] == [201, 101]


def test_a_pool_without_those_below_it(simulator: Simulator) -> None:
    simulator.world.put(Pool("p1", vmids=(101,)))
    simulator.world.put(Pool("p1/sub", vmids=(102, 103)))
    assert back_up(simulator, pool="p1").exitstatus == "OK"
    assert [row["vmid"] for row in backups(simulator)] == [101]
    with pytest.raises(ApiError, match="pool 'nope' does not exist"):
        begin(simulator, pool="nope")


def test_guests_of_other_nodes_alone_are_nothing_to_do(simulator: Simulator) -> None:
    assert begin(simulator, vmid="103") == "OK"
    assert not simulator.world.rows(Task)


# -- machines ------------------------------------------------------------------------------------------------------


def test_a_running_machine_in_snapshot_mode_runs_on(simulator: Simulator) -> None:
    upid = begin(simulator, vmid="100", compress="zstd", mode="snapshot")
    simulator.clock.advance(1.5)
    assert (guest(simulator, 100).lock, guest(simulator, 100).qmpstatus) == ("backup", "running")
    assert not backups(simulator)
    task = finish(simulator, upid)
    archive = "/var/lib/vz/dump/vzdump-qemu-100-2027_01_15-08_00_03.vma.zst"
    assert said(
        task,
        "INFO: Starting Backup of VM 100 (qemu)",
        "INFO: Backup started at 2027-01-15 08:00:03",
        "INFO: status = running",
        "INFO: VM Name: web1",
        "INFO: include disk 'scsi0' 'local:100/vm-100-disk-0.raw' 1G",
        "INFO: exclude disk 'scsi1' 'local:100/vm-100-disk-1.raw' (backup=no)",
        "INFO: backup mode: snapshot",
        "INFO: ionice priority: 7",
        f"INFO: creating vzdump archive '{archive}'",
        "INFO: resuming VM again",
        "INFO: transferred 1.00 GiB in 3 seconds (341.3 MiB/s)",
        "INFO: archive file size: 45MB",
        "INFO: Finished Backup of VM 100 (00:00:03)",
        "INFO: Backup job finished successfully",
        "TASK OK",
    )
    assert guest(simulator, 100).lock is None
    (row,) = backups(simulator)
    assert (row["volid"], row["format"], row["subtype"]) == (f"local:backup/{archive[17:]}", "vma.zst", "qemu")
    assert row["ctime"] == 1_800_000_003


def test_a_machine_that_is_off_is_read_by_qemu(simulator: Simulator) -> None:
    upid = begin(simulator, vmid="101")
    simulator.clock.advance(1.2)
    shown = simulator.request("GET", "/nodes/pve1/qemu/101/status/current")
    assert (shown["status"], shown["qmpstatus"], shown["lock"]) == ("running", "prelaunch", "backup")
    task = finish(simulator, upid)
    assert said(
        task,
        "INFO: status = stopped",
        "INFO: backup mode: stop",
        "INFO: VM Name: db1",
        "INFO: starting kvm to execute backup task",
        "INFO: stopping kvm after backup task",
    )
    assert not guest(simulator, 101).running


def test_a_machine_started_during_its_backup_runs_on(simulator: Simulator) -> None:
    upid = begin(simulator, vmid="101")
    simulator.clock.advance(1.2)
    simulator.clock.run_until_done(simulator.request("POST", "/nodes/pve1/qemu/101/status/start"))
    task = finish(simulator, upid)
    assert task.exitstatus == "OK"
    assert "INFO: stopping kvm after backup task" not in task.log
    assert (guest(simulator, 101).running, guest(simulator, 101).qmpstatus) == (True, "running")


def test_stop_mode_shuts_the_machine_down_for_a_moment(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="100", mode="stop")
    assert said(
        task, "INFO: backup mode: stop", "INFO: stopping virtual guest", "INFO: resuming VM again after 4 seconds"
    )
    assert guest(simulator, 100).running
    assert guest(simulator, 100).started > 1_800_000_003


def test_suspend_mode_pauses_it(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="100", mode="suspend")
    assert said(task, "INFO: backup mode: suspend", "INFO: suspending guest", "INFO: resuming VM again after 0 seconds")
    assert guest(simulator, 100).qmpstatus == "running"


def test_a_machine_that_does_not_shut_down_fails_its_backup(simulator: Simulator) -> None:
    behave(simulator, 100, acpi=False)
    task = back_up(simulator, vmid="100", mode="stop", stopwait=1)
    assert said(
        task,
        "ERROR: Backup of VM 100 failed - command 'qm shutdown 100 --skiplock --keepActive --timeout 60' failed: exit"
        " code 255",
    )
    assert (guest(simulator, 100).running, guest(simulator, 100).lock) == (True, None)


@pytest.mark.parametrize(
    ("agent", "lines"),
    [
        (True, ["INFO: issuing guest-agent 'fs-freeze' command", "INFO: issuing guest-agent 'fs-thaw' command"]),
        (False, ["INFO: skipping guest-agent 'fs-freeze', agent configured but not running?"]),
    ],
)
def test_the_agent_freezes_file_systems(simulator: Simulator, agent: bool, lines: list[str]) -> None:
    configure(simulator, 100, agent="1")
    behave(simulator, 100, agent=agent)
    assert said(back_up(simulator, vmid="100"), *lines)
    configure(simulator, 100, agent="1,freeze-fs-on-backup=0")
    assert not any("guest-agent" in line for line in back_up(simulator, vmid="100").log)


def test_a_machine_without_disks(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="102", mode="stop")
    name = "/var/lib/vz/dump/vzdump-qemu-102-2027_01_15-08_00_03"
    assert said(
        task,
        "INFO: backup contains no disks",
        "INFO: starting diskless backup",
        f"INFO: /usr/bin/vma create -v -c {name}.tmp/qemu-server.conf exec:cat > {name}.dat",
        "INFO: archive file size: 12KB",
    )


# -- containers ----------------------------------------------------------------------------------------------------


def test_a_container_that_is_off(simulator: Simulator) -> None:
    task = back_up(
        simulator, vmid="201", storage="local", compress="zstd", notes_template="{{guestname}} of {{node}}\\n{{vmid}}"
    )
    assert said(
        task,
        "INFO: status = stopped",
        "INFO: backup mode: stop",
        "INFO: CT Name: ct2",
        "INFO: including mount point rootfs ('/') in backup",
        "INFO: archive file size: 45MB",
        "INFO: adding notes to backup",
    )
    assert backups(simulator)[0]["notes"] == "ct2 of pve1\n201"


def test_a_running_container_whose_disks_take_no_snapshots_is_suspended(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="200", mode="snapshot")
    assert said(
        task,
        "INFO: excluding volume mount point mp0 ('/data') from backup (disabled)",
        "INFO: mode failure - some volumes do not support snapshots",
        "INFO: trying 'suspend' mode instead",
        "INFO: backup mode: suspend",
        "INFO: suspending guest",
        "INFO: guest is online again after 1 seconds",
    )


def test_a_running_container_on_thin_volumes_is_snapshotted(simulator: Simulator) -> None:
    simulator.clock.run_until_done(simulator.request("POST", "/nodes/pve1/lxc/201/status/start"))
    task = back_up(simulator, vmid="201")
    assert said(
        task,
        "INFO: backup mode: snapshot",
        "INFO: create storage snapshot 'vzdump'",
        'INFO:   Logical volume "snap_vm-201-disk-0_vzdump" created.',
        "INFO: cleanup temporary 'vzdump' snapshot",
    )


def test_stop_mode_brings_a_container_back(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="200", mode="stop")
    assert said(
        task, "INFO: stopping virtual guest", "INFO: restarting vm", "INFO: guest is online again after 4 seconds"
    )
    assert guest(simulator, 200).running


# -- what can go wrong ---------------------------------------------------------------------------------------------


def test_a_locked_guest_is_not_backed_up(simulator: Simulator) -> None:
    configure(simulator, 101, lock="migrate")
    upid = begin(simulator, vmid="101")
    simulator.clock.run_until_done(upid)
    task = simulator.world.rows(Task)[upid]
    assert said(task, "INFO: status = stopped", "ERROR: Backup of VM 101 failed - VM is locked (migrate)")
    assert guest(simulator, 101).lock == "migrate"


def test_a_disk_that_is_gone(simulator: Simulator) -> None:
    configure(simulator, 102, scsi0="local:102/vm-102-disk-7.raw,size=1G")
    upid = begin(simulator, vmid="102")
    simulator.clock.run_until_done(upid)
    log = simulator.world.rows(Task)[upid].log
    assert "ERROR: Backup of VM 102 failed - volume 'local:102/vm-102-disk-7.raw' does not exist" in log
    assert guest(simulator, 102).lock is None


@pytest.mark.parametrize(
    ("vmid", "compress", "reason"),
    [
        (101, "0", "vma_queue_write: write error - No space left on device"),
        (101, "zstd", "vma_queue_write: write error - Broken pipe"),
        (201, "0", "command 'set -o pipefail && tar cpf - --totals"),
    ],
)
def test_a_full_storage(simulator: Simulator, vmid: int, compress: str, reason: str) -> None:
    simulator.world.put(Space("share", "", GIB, GIB - 4096))
    task = back_up(simulator, vmid=str(vmid), storage="share", compress=compress)
    assert task.exitstatus == "job errors"
    assert any(line.startswith(f"ERROR: Backup of VM {vmid} failed - {reason}") for line in task.log)
    assert not backups(simulator, "share")
    assert guest(simulator, vmid).lock is None


def test_a_backup_waits_for_a_task_that_works_with_the_guest(simulator: Simulator) -> None:
    started = simulator.request("POST", "/nodes/pve1/qemu/101/status/start")
    task = back_up(simulator, vmid="101")
    assert simulator.world.rows(Task)[started].exitstatus == "OK"
    assert said(task, "INFO: backup mode: snapshot", "INFO: resuming VM again", "TASK OK")
    assert guest(simulator, 101).running
    simulator.world.put(FileLock(102))
    task = back_up(simulator, vmid="102")
    refusal = "can't lock file '/var/lock/qemu-server/lock-102.conf' - got timeout"
    assert said(task, f"ERROR: Backup of VM 102 failed - {refusal}")


def test_a_stopped_task_leaves_no_lock_and_no_archive(simulator: Simulator) -> None:
    for mode in ("snapshot", "stop", "suspend"):
        upid = begin(simulator, vmid="100,101,200", mode=mode)
        simulator.clock.advance(3.5)
        simulator.request("DELETE", f"/nodes/pve1/tasks/{upid}")
        assert check_invariants(simulator.world) == []
        assert guest(simulator, 100).running
        assert guest(simulator, 100).qmpstatus == "running"
        assert guest(simulator, 100).lock is None


def test_one_backup_task_at_a_time_on_a_node(simulator: Simulator) -> None:
    first, second = begin(simulator, vmid="101"), begin(simulator, vmid="201")
    other = begin(simulator, node="pve2", vmid="103")
    simulator.clock.advance(2)
    assert simulator.world.rows(Task)[second].log == ("INFO: trying to get global lock - waiting...",)
    assert len(simulator.world.rows(Task)[other].log) > 4
    assert finish(simulator, first).exitstatus == "OK"
    assert said(finish(simulator, second), "INFO: got global lock", "TASK OK")
    assert finish(simulator, other).exitstatus == "OK"


def test_waiting_for_the_node_has_an_end(simulator: Simulator) -> None:
    first, second = begin(simulator, vmid="101"), begin(simulator, vmid="201", lockwait=0)
    assert finish(simulator, second).exitstatus == "can't acquire lock '/var/run/vzdump.lock' - got timeout"
    assert finish(simulator, first).exitstatus == "OK"


def test_stop_ends_the_backup_that_runs(simulator: Simulator) -> None:
    upid = begin(simulator, vmid="101")
    simulator.clock.advance(1)
    assert begin(simulator, stop=1) == "OK"
    assert simulator.world.rows(Task)[upid].exitstatus == "received interrupt"
    assert guest(simulator, 101).lock is None


# -- what is kept --------------------------------------------------------------------------------------------------


def test_a_retention_removes_older_backups_but_not_protected_ones(simulator: Simulator) -> None:
    back_up(simulator, vmid="101", storage="local", protected=1)
    oldest, second = [back_up(simulator, vmid="101") for _ in range(2)]
    assert oldest.exitstatus == second.exitstatus == "OK"
    before = [row["volid"] for row in backups(simulator)]
    task = back_up(simulator, vmid="101", prune_backups="keep-last=1")
    assert said(
        task,
        "INFO: prune older backups with retention: keep-last=1",
        f"INFO: removing backup '{before[1]}'",
        f"INFO: removing backup '{before[2]}'",
        "INFO: pruned 2 backup(s) not covered by keep-retention policy",
    )
    after = backups(simulator)
    assert len(after) == 2
    assert after[0] == {**after[0], "volid": before[0], "protected": 1}


def test_the_storage_has_a_retention_of_its_own(simulator: Simulator) -> None:
    local = simulator.world.rows(Storage)["local"]
    simulator.world.put(
        Storage("local", "dir", local.content, options={**local.options, "prune-backups": "keep-last=1"})
    )
    back_up(simulator, vmid="101")
    assert "INFO: pruned 1 backup(s) not covered by keep-retention policy" in back_up(simulator, vmid="101").log
    task = back_up(simulator, vmid="101", remove=0)
    assert said(
        task,
        "ERROR: Backup of VM 101 failed - There is a max backup limit of 1 enforced by the target storage or the vzdump"
        " parameters. Either increase the limit or delete old backups.",
    )
    assert not any("INFO: prune" in line for line in back_up(simulator, vmid="101", prune_backups="keep-all=1").log)


def test_protected_backups_may_be_limited(simulator: Simulator) -> None:
    local = simulator.world.rows(Storage)["local"]
    options = {**local.options, "max-protected-backups": 1}
    simulator.world.put(Storage("local", "dir", local.content, options=options))
    assert back_up(simulator, vmid="101", storage="local", protected=1).exitstatus == "OK"
    assert "limited to 1 on storage 'local'" in back_up(simulator, vmid="101", storage="local", protected=1).log[-4]


def test_a_backup_server_names_snapshots(simulator: Simulator) -> None:
    task = back_up(simulator, vmid="101,201", storage="pbs")
    assert said(
        task,
        "INFO: creating Proxmox Backup Server archive 'vm/101/2027-01-15T08:00:03Z'",
        "INFO: Backup job finished successfully",
    )
    rows = backups(simulator, "pbs")
    assert [(row["format"], row["vmid"]) for row in rows] == [("pbs-ct", 201), ("pbs-vm", 101)]


# -- what is inside ------------------------------------------------------------------------------------------------


def test_the_configuration_of_then_is_inside(simulator: Simulator) -> None:
    add(simulator, guest(simulator, 102))
    configure(simulator, 101, unused0="thin:vm-101-disk-1", description="of then")
    simulator.world.put(Volume("thin", "pve1", "vm-101-disk-1", "images", "raw", GIB, vmid=101))
    back_up(simulator, vmid="101")
    simulator.request("PUT", "/nodes/pve1/qemu/101/config", {"name": "later"})
    (row,) = backups(simulator)
    text = simulator.request("GET", "/nodes/pve1/vzdump/extractconfig", {"volume": row["volid"]})
    assert text == (
        "#of then\nname: db1\nonboot: 1\nvirtio0: thin:vm-101-disk-0,size=2G\n"
        "#qmdump#map:virtio0:drive-virtio0:thin:raw:\n"
    )


def test_a_configuration_is_shown_to_those_who_may(simulator: Simulator) -> None:
    back_up(simulator, vmid="201")
    volid = backups(simulator)[0]["volid"]

    def extract(volume: str, user: str = "alice@pve") -> str:
        text: str = simulator.request("GET", "/nodes/pve1/vzdump/extractconfig", {"volume": volume}, user=user)
        return text

    with pytest.raises(ApiError, match=r"Datastore\.AllocateSpace"):
        extract(volid)
    give(simulator.world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    with pytest.raises(ApiError, match=r"\(/vms/201, VM.Backup\)"):
        extract(volid)
    give(simulator.world, "alice@pve", "/vms/201", "PVEVMUser")
    assert extract(volid).startswith("arch: amd64\nhostname: ct2\n")
    with pytest.raises(ApiError, match="content type needs to be 'backup'"):
        extract("local:iso/tiny.iso", "root@pam")
    with pytest.raises(ApiError, match="does not exist"):
        extract("local:backup/vzdump-lxc-201-2020_01_01-00_00_00.tar.zst", "root@pam")
    with pytest.raises(ApiError, match="Only root can pass arbitrary filesystem paths"):
        extract("/var/lib/vz/dump/x.tar")


def test_an_archive_with_nothing_inside(simulator: Simulator) -> None:
    name = "backup/vzdump-lxc-201-2026_01_01-00_00_00.tar"
    simulator.world.put(Volume("local", "pve1", name, "backup", "tar", 10, 10, vmid=201, subtype="lxc"))
    with pytest.raises(ApiError, match="ERROR: archive contains no configuration file"):
        simulator.request("GET", "/nodes/pve1/vzdump/extractconfig", {"volume": f"local:{name}"})


# -- defaults ------------------------------------------------------------------------------------------------------


def defaults(simulator: Simulator, user: str = "root@pam", **params: str) -> dict[str, Any]:
    shown: dict[str, Any] = simulator.request("GET", "/nodes/pve1/vzdump/defaults", params, user=user)
    return shown


def test_defaults_follow_the_storage(simulator: Simulator) -> None:
    shown = defaults(simulator)
    assert (shown["storage"], shown["dumpdir"], shown["prune-backups"]) == ("local", "/var/lib/vz/dump", "keep-all=1")
    simulator.request("PUT", "/storage/local", {"prune-backups": "keep-last=3"})
    assert defaults(simulator)["prune-backups"] == "keep-last=3"
    assert "dumpdir" not in defaults(simulator, storage="pbs")
    with pytest.raises(ApiError, match=r"information for 'nosuch': storage 'nosuch' does not exist$"):
        defaults(simulator, storage="nosuch")
    with pytest.raises(ApiError, match=r"can't use storage 'thin' for backups - wrong content type$"):
        defaults(simulator, storage="thin")


def test_defaults_for_a_user(simulator: Simulator) -> None:
    with pytest.raises(ApiError, match=r"\(/storage/local, Datastore\.Audit\|Datastore\.AllocateSpace\)"):
        defaults(simulator, "alice@pve")
    give(simulator.world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    assert "dumpdir" not in defaults(simulator, "alice@pve")
    give(simulator.world, "alice@pve", "/nodes/pve1", "PVEAuditor")
    assert "dumpdir" in defaults(simulator, "alice@pve")
