"""Each scenario that comes along, played as its description tells it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource
from pvesim.nodes.records import Node
from tests.pvesim.invariants import check_invariants


def done(sim: Simulator, upid: str) -> Task:
    """A task as it ended."""
    sim.clock.run_until_done(upid)
    return sim.world.rows(Task)[upid]


def refusal(sim: Simulator, verb: str, path: str, params: Any = None, **how: Any) -> int | None:
    """The status that a request is refused with, None where it is not."""
    try:
        sim.request(verb, path, params, **how)
    except ApiError as error:
        return error.status
    return None


def guests(sim: Simulator, user: str = "root@pam") -> list[dict[str, Any]]:
    rows = sim.request("GET", "/cluster/resources", {"type": "vm"}, user=user)
    assert isinstance(rows, list)
    return rows


def test_three_nodes_with_ceph_and_ha() -> None:
    sim = Simulator("three-node-ceph")
    assert sim.request("GET", "/cluster/ceph/status")["health"]["status"] == "HEALTH_OK"
    sim.faults.cause(node_offline="pve2")
    assert sim.request("GET", "/cluster/ceph/status")["health"]["status"] == "HEALTH_WARN"
    sim.clock.advance(600)
    settled = {guest["vmid"]: (guest["node"], guest["status"]) for guest in guests(sim)}
    assert settled[102] == ("pve3", "running")  # its second home
    assert settled[101] == ("pve3", "running")  # apart from the other shop
    assert settled[100] == ("pve1", "running")
    assert {resource.crm_state for resource in sim.world.rows(HaResource).values()} == {"started"}
    sim.faults.cause(node_online="pve2")
    sim.clock.advance(600)
    assert {guest["vmid"]: guest["node"] for guest in guests(sim)}[102] == "pve2"  # at home again
    assert sim.request("GET", "/cluster/ceph/status")["health"]["status"] == "HEALTH_OK"
    assert check_invariants(sim.world) == []


def test_a_fleet() -> None:
    sim = Simulator("fleet")
    reader = "inventory@pve!reader"
    seen = guests(sim, reader)
    assert len(seen) == 1500
    assert len({guest["node"] for guest in seen}) == 16
    assert 0.8 < sum(guest["status"] == "running" for guest in seen) / 1500 < 0.95
    assert refusal(sim, "POST", f"/nodes/{seen[0]['node']}/qemu/1000/status/stop", user=reader) == 403
    pve = sim.connect(reader, timeout=0.3)
    assert pve.nodes("pve1").status.get()
    with pytest.raises(requests.exceptions.ReadTimeout):
        pve.nodes("pve7").status.get()


def test_a_node_fails_during_a_migration() -> None:
    sim = Simulator("failing-node")
    upid = sim.request("POST", "/nodes/pve1/qemu/110/migrate", {"target": "pve2", "online": 1})
    task = done(sim, upid)
    assert task.exitstatus not in (None, "OK")
    assert not sim.world.rows(Node)["pve2"].online
    guest = sim.world.rows(Guest)[110]
    assert (guest.node, guest.running, guest.lock) == ("pve1", True, None)
    again = sim.request("POST", "/nodes/pve1/qemu/110/migrate", {"target": "pve2", "online": 1})
    assert done(sim, again).exitstatus not in (None, "OK")
    sim.clock.advance(700)
    assert sim.world.rows(Node)["pve2"].online
    assert check_invariants(sim.world) == []
    upid = sim.request("POST", "/nodes/pve1/qemu/110/migrate", {"target": "pve2", "online": 1})
    assert done(sim, upid).exitstatus == "OK"
    assert sim.world.rows(Guest)[110].node == "pve2"


def test_the_storage_fills_up_in_the_middle_of_the_backups() -> None:
    sim = Simulator("storage-full")
    job = {"vmid": "100,101,200", "storage": "nas", "mode": "snapshot"}
    task = done(sim, sim.request("POST", "/nodes/pve1/vzdump", job))
    assert task.exitstatus == "job errors"
    told = "\n".join(task.log)
    assert "Finished Backup of VM 100" in told
    assert "No space left on device" in told
    assert "Finished Backup of VM 101" not in told
    kept = {
        row["vmid"] for row in sim.request("GET", "/nodes/pve1/storage/nas/content") if row["ctime"] >= task.starttime
    }
    assert kept == {100}
    assert sim.request("GET", "/nodes/pve1/storage/nas/status")["avail"] == 0
    sim.clock.advance(3700)
    assert done(sim, sim.request("POST", "/nodes/pve1/vzdump", {**job, "vmid": "101,200"})).exitstatus == "OK"
    assert check_invariants(sim.world) == []


def test_least_privilege() -> None:
    sim = Simulator("least-privilege")
    assistant = "olga@pve!assistant"
    for user in ("olga@pve", assistant):
        assert {guest["vmid"] for guest in guests(sim, user)} == {100, 101, 200}
        assert refusal(sim, "GET", "/nodes/pve1/qemu/900/config", user=user) == 403
        assert refusal(sim, "POST", "/nodes/pve1/qemu/900/status/stop", user=user) == 403
        assert refusal(sim, "PUT", "/nodes/pve1/qemu/100/config", {"memory": 4096}, user=user) == 403
        assert refusal(sim, "DELETE", "/nodes/pve2/qemu/101", user=user) == 403
        assert refusal(sim, "POST", "/access/users", {"userid": "x@pve"}, user=user) == 403
        assert refusal(sim, "POST", "/nodes/pve1/status", {"command": "reboot"}, user=user) == 403
        assert refusal(sim, "POST", "/storage", {"storage": "x1", "type": "dir", "path": "/x"}, user=user) == 403
    assert done(sim, sim.request("POST", "/nodes/pve2/qemu/101/status/start", user="olga@pve")).exitstatus == "OK"
    snapshot = {"snapname": "before"}
    assert done(sim, sim.request("POST", "/nodes/pve1/qemu/100/snapshot", snapshot, user=assistant)).exitstatus == "OK"
    dump = {"vmid": "100", "storage": "local"}
    assert done(sim, sim.request("POST", "/nodes/pve1/vzdump", dump, user="olga@pve")).exitstatus == "OK"
    pve = sim.connect(assistant)
    assert pve.version.get()
    sim.clock.advance(10 * 3600)
    with pytest.raises(Exception, match="401"):
        pve.version.get()


def test_restoring_after_a_disaster() -> None:
    sim = Simulator("disaster-restore")
    assert refusal(sim, "GET", "/nodes/pve2/qemu/201/config") == 595
    assert sim.request("GET", "/cluster/status")[0]["quorate"] == 1
    found = sim.request("GET", "/nodes/pve1/storage/nas/content", {"content": "backup", "vmid": 201})
    newest = max(found, key=lambda row: row["ctime"])
    taken = {"vmid": 201, "archive": newest["volid"]}
    assert refusal(sim, "POST", "/nodes/pve1/qemu", taken) == 500
    restored = {"vmid": 1201, "archive": newest["volid"], "storage": "local-lvm", "unique": 1, "start": 1}
    assert done(sim, sim.request("POST", "/nodes/pve1/qemu", restored)).exitstatus == "OK"
    sim.clock.advance(60)
    back = sim.world.rows(Guest)[1201]
    assert (back.node, back.running, back.config["name"], back.config["cores"]) == ("pve1", True, "erp", 4)
    proxy = sim.request("GET", "/nodes/pve3/storage/nas/content", {"content": "backup", "vmid": 301})[0]
    container = {"vmid": 1301, "ostemplate": proxy["volid"], "restore": 1, "storage": "local-lvm"}
    assert done(sim, sim.request("POST", "/nodes/pve3/lxc", container)).exitstatus == "OK"
    assert sim.world.rows(Guest)[1301].config["hostname"] == "proxy"
    assert refusal(sim, "DELETE", f"/nodes/pve1/storage/nas/content/{proxy['volid']}") is None
    assert check_invariants(sim.world) == []


def test_backups_on_a_backup_server() -> None:
    sim = Simulator("pbs-backups")
    assert [job["id"] for job in sim.request("GET", "/cluster/backup")] == ["nightly"]
    kept = sim.request("GET", "/nodes/pve1/storage/pbs/content", {"vmid": 100})
    assert [row["format"] for row in kept] == ["pbs-vm"] * 4
    assert sum(row.get("protected", 0) for row in kept) == 1
    job = {"vmid": "100", "storage": "pbs"}
    assert done(sim, sim.request("POST", "/nodes/pve1/vzdump", job)).exitstatus == "OK"
    sim.clock.advance(2 * 3600)
    away = sim.request("POST", "/nodes/pve1/vzdump", job)
    assert done(sim, away).exitstatus not in (None, "OK")
    assert sim.request("GET", "/nodes/pve1/storage/pbs/status")["active"] == 0
    sim.clock.advance(20 * 60)
    assert done(sim, sim.request("POST", "/nodes/pve1/vzdump", job)).exitstatus == "OK"
    assert len(sim.request("GET", "/nodes/pve1/storage/pbs/content", {"vmid": 100})) == 6
    sim.clock.advance(24 * 3600)
    nightly = [task for task in sim.world.rows(Task).values() if task.type == "vzdump"][-2:]
    assert [task.exitstatus for task in nightly] == ["OK", "OK"]
    assert {task.node for task in nightly} == {"pve1", "pve2"}


def test_the_backup_server_is_a_variable() -> None:
    from pvesim.scenario import load

    sim = Simulator(load("pbs-backups", variables={"server": "pbs.example.test", "datastore": "second"}))
    storage = sim.request("GET", "/storage/pbs")
    assert (storage["server"], storage["datastore"]) == ("pbs.example.test", "second")


def test_an_upgrade_window() -> None:
    sim = Simulator("upgrade-window", clock="manual")
    window = "maintainer@pve!window"
    drain = {"target": "pve2", "maxworkers": 2}
    assert done(sim, sim.request("POST", "/nodes/pve3/migrateall", drain, user=window)).exitstatus == "OK"
    sim.clock.advance(300)
    assert [guest["vmid"] for guest in guests(sim) if guest["node"] == "pve3" and guest["type"] == "qemu"] == []
    sim.request("POST", "/nodes/pve3/status", {"command": "reboot"}, user=window)
    sim.clock.advance(10)
    assert "slow-after-pve3" in [fault.name for fault in sim.faults]
    pve = sim.connect(window, timeout=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        pve.version.get()
    sim.clock.advance(300)
    assert sim.world.rows(Node)["pve3"].online
    assert pve.version.get()["version"] == "9.1.2"
    cut = 0
    for _ in range(100):
        try:
            pve.nodes("pve1").status.get()
        except requests.exceptions.ChunkedEncodingError:
            cut += 1
    assert 2 <= cut <= 25
    sim.clock.advance(4 * 3600)
    with pytest.raises(Exception, match="401"):
        pve.version.get()
