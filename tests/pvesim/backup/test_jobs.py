"""Backup jobs: the list, what they cover, and that they really run."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.records import Role, Token
from pvesim.backup.records import BackupJob
from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task, Timer
from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from pvesim.pools.records import Pool
from tests.pvesim.backup.world import NOW, backup_simulator, backups, configure
from tests.pvesim.small_world import give

JOB: dict[str, Any] = {"id": "nightly", "schedule": "02:30", "vmid": "100,101", "storage": "local"}
DAY = 86_400


@pytest.fixture
def simulator() -> Simulator:
    return backup_simulator()


def ask(simulator: Simulator, verb: str, path: str = "", params: dict[str, Any] | None = None, **who: str) -> Any:
    return simulator.request(verb, f"/cluster/backup{path}", params, **who)


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any], **who: str) -> ApiError:
    before = dict(simulator.world.rows(BackupJob))
    with pytest.raises(ApiError) as caught:
        ask(simulator, verb, path, params, **who)
    assert simulator.world.rows(BackupJob) == before
    return caught.value


def runs(simulator: Simulator) -> list[Task]:
    return [task for task in simulator.world.rows(Task).values() if task.type == "vzdump"]


# -- the list ------------------------------------------------------------------------------------------------------


def test_a_job_is_shown_as_it_was_made(simulator: Simulator) -> None:
    assert ask(simulator, "POST", "", JOB) is None
    shown = {**JOB, "enabled": 1, "type": "vzdump"}
    assert ask(simulator, "GET", "/nightly") == shown
    assert ask(simulator, "GET") == [{**shown, "next-run": 1_800_066_600}]


def test_property_strings_are_taken_apart(simulator: Simulator) -> None:
    extras = {
        "prune-backups": "keep-last=3,keep-weekly=2",
        "fleecing": "enabled=1,storage=thin",
        "performance": "max-workers=4",
        "exclude-path": ["/tmp", "/var/x"],
    }
    ask(simulator, "POST", "", {**JOB, **extras})
    shown = ask(simulator, "GET", "/nightly")
    assert shown["prune-backups"] == {"keep-last": 3, "keep-weekly": 2}
    assert shown["fleecing"] == {"enabled": 1, "storage": "thin"}
    assert shown["performance"] == {"max-workers": 4}
    assert shown["exclude-path"] == ["/tmp", "/var/x"]


@pytest.mark.parametrize(
    ("given", "schedule"),
    [
        ({"starttime": "03:00", "dow": "mon,tue"}, "mon,tue 03:00"),
        ({"starttime": "03:00"}, "03:00"),
        ({"starttime": "03:00", "dow": "mon,tue,wed,thu,fri,sat,sun"}, "03:00"),
    ],
)
def test_a_start_time_of_the_old_kind_becomes_a_schedule(
    simulator: Simulator, given: dict[str, str], schedule: str
) -> None:
    ask(simulator, "POST", "", {"vmid": "101", **given})
    (job,) = ask(simulator, "GET")
    assert job["schedule"] == schedule
    assert len(job["id"]) == 36
    assert not job.keys() & {"starttime", "dow"}


@pytest.mark.parametrize(
    ("given", "status", "message", "errors"),
    [
        ({"vmid": "1000"}, 400, None, {"schedule": "neither 'starttime' nor 'schedule' were set"}),
        ({"schedule": "03:00"}, 500, "400 Parameter verification failed.\nvmid: property is missing", None),
        (
            {"schedule": "03:00", "vmid": "100", "all": 1},
            500,
            "400 Parameter verification failed.\nall: option conflicts with option 'vmid'",
            None,
        ),
        (
            {"starttime": "30:00", "vmid": "100"},
            500,
            "400 Parameter verification failed.\nschedule: invalid format - invalid calendar event '30:00' - unable to"
            " parse calendar event",
            None,
        ),
        ({"schedule": "03:00", "pool": "no"}, 403, "Permission check failed (pool 'no' does not exist)", None),
        ({"id": "nightly", "schedule": "03:00", "all": 1}, 500, "Job 'nightly' already exists", None),
    ],
)
def test_jobs_that_are_not_made(
    simulator: Simulator, given: dict[str, Any], status: int, message: str | None, errors: dict[str, str] | None
) -> None:
    ask(simulator, "POST", "", JOB)
    error = refusal(simulator, "POST", "", given)
    assert (error.status, error.errors) == (status, errors)
    assert message is None or error.message == message


def test_unknown_jobs(simulator: Simulator) -> None:
    for path in ("/none", "/none/included_volumes"):
        assert refusal(simulator, "GET", path, {}).errors == {"id": "No such job 'none'"}
    nested = "400 Parameter verification failed.\nid: No such job 'none'"
    assert refusal(simulator, "DELETE", "/none", {}).message == nested
    assert refusal(simulator, "PUT", "/none", {"enabled": 0}).message == nested


# -- changing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "gone", "new"),
    [
        ({"all": 1}, ["vmid"], {"all": 1}),
        ({"pool": "p1", "delete": "vmid"}, ["vmid", "all"], {"pool": "p1"}),
        ({"vmid": "102", "comment": "x"}, ["all"], {"vmid": "102", "comment": "x"}),
        ({"starttime": "04:00"}, ["starttime"], {"schedule": "04:00"}),
        ({"delete": "storage,mode"}, ["storage", "mode"], {"vmid": "100,101"}),
    ],
)
def test_a_change(simulator: Simulator, given: dict[str, Any], gone: list[str], new: dict[str, Any]) -> None:
    simulator.world.put(Pool("p1"))
    ask(simulator, "POST", "", {**JOB, "mode": "stop"})
    ask(simulator, "PUT", "/nightly", given)
    shown = ask(simulator, "GET", "/nightly")
    assert not shown.keys() & set(gone)
    assert shown == {**shown, **new}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no options specified"),
        ({"delete": "nope"}, "400 Parameter verification failed.\ndelete: unknown option 'nope'"),
        ({"delete": "vmid"}, "400 Parameter verification failed.\nvmid: property is missing"),
        (
            {"delete": "schedule"},
            "400 Parameter verification failed.\nschedule: property is missing and it is not optional",
        ),
    ],
)
def test_a_change_that_is_refused(simulator: Simulator, given: dict[str, Any], message: str) -> None:
    ask(simulator, "POST", "", JOB)
    error = refusal(simulator, "PUT", "/nightly", given)
    assert (error.status, error.message) == (500, message)


def test_who_may_change_what(simulator: Simulator) -> None:
    simulator.world.put(Role("Operator", ("Sys.Audit", "Sys.Modify")))
    give(simulator.world, "alice@pve", "/", "Operator")
    alice = {"user": "alice@pve"}
    needed = "Permission check failed (/storage/local, Datastore.Allocate)"
    assert refusal(simulator, "POST", "", JOB, **alice).message == needed
    ask(simulator, "POST", "", JOB)
    assert refusal(simulator, "PUT", "/nightly", {"comment": "x"}, **alice).message == needed
    give(simulator.world, "alice@pve", "/storage/local", "PVEDatastoreAdmin")
    ask(simulator, "PUT", "/nightly", {"comment": "x"}, **alice)
    assert refusal(simulator, "PUT", "/nightly", {"script": "/x"}, **alice).errors == {
        "script": "Only root may set this option."
    }
    ask(simulator, "PUT", "/nightly", {"dumpdir": "/x", "delete": "storage"})
    only_root = "only root@pam may edit jobs with a 'dumpdir' option."
    assert refusal(simulator, "PUT", "/nightly", {"comment": "y"}, **alice).message == only_root


# -- what is covered -----------------------------------------------------------------------------------------------


def test_the_volumes_that_a_job_includes(simulator: Simulator) -> None:
    configure(simulator, 101, efidisk0="thin:vm-101-disk-9,size=528K")
    configure(simulator, 200, mp1="/srv,mp=/srv")
    ask(simulator, "POST", "", {**JOB, "vmid": "100,101,102,200,999"})
    tree = ask(simulator, "GET", "/nightly/included_volumes")["children"]
    assert [(branch["id"], branch.get("name"), branch["type"], branch["leaf"]) for branch in tree] == [
        (100, "web1", "qemu", 0),
        (101, "db1", "qemu", 0),
        (102, "VM 102", "qemu", 1),
        (200, "ct1", "lxc", 0),
        (999, None, "unknown", 1),
    ]
    leaves = {leaf["id"]: (leaf["included"], leaf["reason"]) for each in tree for leaf in each.get("children", ())}
    assert leaves == {
        "100:scsi0": (1, "backup=yes"),
        "100:scsi1": (0, "backup=no"),
        "101:virtio0": (1, "backup=yes"),
        "101:efidisk0": (0, "efidisk but no OMVF BIOS"),
        "200:rootfs": (1, "rootfs"),
        "200:mp0": (0, "disabled"),
        "200:mp1": (0, "not a volume"),
    }


def test_guests_that_no_job_covers(simulator: Simulator) -> None:
    def uncovered(user: str = "root@pam") -> list[int]:
        rows = simulator.request("GET", "/cluster/backup-info/not-backed-up", user=user)
        return [row["vmid"] for row in rows]

    assert uncovered() == [100, 101, 102, 103, 200, 201]
    ask(simulator, "POST", "", JOB)
    assert uncovered() == [102, 103, 200, 201]
    ask(simulator, "POST", "", {"schedule": "daily", "exclude": "200", "node": "pve1"})
    assert uncovered() == [103, 200]
    give(simulator.world, "alice@pve", "/", "PVESysAdmin")
    give(simulator.world, "alice@pve", "/vms/200", "PVEVMUser")
    assert uncovered("alice@pve") == [200]


def test_the_index_beside_it_takes_no_token(simulator: Simulator) -> None:
    simulator.world.put(Token("root@pam", "t", "secret", privsep=False))
    assert simulator.request("GET", "/cluster/backup-info") == [{"subdir": "not-backed-up"}]
    with pytest.raises(ApiError) as caught:
        simulator.request("GET", "/cluster/backup-info", user="root@pam!t")
    assert caught.value.status == 403


def test_purging_a_guest_takes_it_out_of_its_jobs(simulator: Simulator) -> None:
    ask(simulator, "POST", "", {**JOB, "vmid": "101,102"})
    for vmid in (101, 102):
        upid = simulator.request("DELETE", f"/nodes/pve1/qemu/{vmid}", {"purge": 1})
        simulator.clock.run_until_done(upid)
        if vmid == 101:
            assert ask(simulator, "GET", "/nightly")["vmid"] == "102"
    assert ask(simulator, "GET") == []
    assert not simulator.world.rows(Timer)


# -- running -------------------------------------------------------------------------------------------------------


def test_a_job_runs_when_it_is_due_on_every_node_that_is_there(simulator: Simulator) -> None:
    ask(simulator, "POST", "", {"id": "all", "schedule": "02:30", "all": 1, "storage": "local", "compress": "zstd"})
    simulator.clock.advance(1_800_066_600 - NOW - 1)
    assert not runs(simulator)
    simulator.clock.advance(120)
    tasks = runs(simulator)
    assert [(task.node, task.user, task.exitstatus) for task in tasks] == [
        ("pve1", "root@pam", "OK"),
        ("pve2", "root@pam", "OK"),
    ]
    assert tasks[1].starttime == 1_800_066_600
    assert tasks[1].log[1] == "INFO: skip external VMs: 100, 101, 102, 200, 201"
    assert {row["vmid"] for row in backups(simulator)} == {100, 101, 102, 200, 201}
    assert [row["vmid"] for row in simulator.request("GET", "/nodes/pve2/storage/local/content")] != []
    simulator.clock.advance(DAY)
    assert len(runs(simulator)) == 4


def test_a_job_for_one_node_or_for_guests_of_one_node(simulator: Simulator) -> None:
    ask(simulator, "POST", "", {"id": "here", "schedule": "02:30", "all": 1, "node": "pve2"})
    ask(simulator, "POST", "", {"id": "guests", "schedule": "03:30", "vmid": "101"})
    simulator.clock.advance(DAY)
    assert [(task.node, task.id) for task in runs(simulator)] == [("pve2", "103"), ("pve1", "101")]


def test_a_job_that_is_off_or_deleted_does_not_run(simulator: Simulator) -> None:
    ask(simulator, "POST", "", {**JOB, "enabled": 0})
    assert ask(simulator, "GET")[0]["next-run"] == 1_800_066_600
    ask(simulator, "POST", "", {**JOB, "id": "other"})
    ask(simulator, "DELETE", "/other")
    simulator.clock.advance(DAY)
    assert not runs(simulator)
    ask(simulator, "PUT", "/nightly", {"enabled": 1})
    simulator.clock.advance(DAY)
    assert len(runs(simulator)) == 1


def test_a_changed_schedule_counts_at_once(simulator: Simulator) -> None:
    ask(simulator, "POST", "", JOB)
    ask(simulator, "PUT", "/nightly", {"schedule": "mon 04:00"})
    simulator.clock.advance(DAY)
    assert not runs(simulator)
    simulator.clock.advance(3 * DAY)
    assert len(runs(simulator)) == 1


def test_a_node_that_is_down_backs_up_nothing(simulator: Simulator) -> None:
    ask(simulator, "POST", "", {"id": "all", "schedule": "02:30", "all": 1})
    simulator.world.put(Node("pve2", nodeid=2, started=NOW - 90_000, online=False))
    simulator.clock.advance(DAY)
    assert [task.node for task in runs(simulator)] == ["pve1"]


def test_a_job_whose_pool_is_gone_does_nothing(simulator: Simulator) -> None:
    simulator.world.put(Pool("p1", vmids=(101,)))
    ask(simulator, "POST", "", {"id": "pool", "schedule": "02:30", "pool": "p1"})
    assert ask(simulator, "GET", "/pool/included_volumes")["children"][0]["id"] == 101
    simulator.world.remove(Pool, "p1")
    simulator.clock.advance(DAY)
    assert not runs(simulator)
    assert ask(simulator, "GET", "/pool/included_volumes") == {"children": []}
