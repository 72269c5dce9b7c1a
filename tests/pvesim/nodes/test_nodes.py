"""A node's list entry, status, time, DNS, hosts, configuration, certificates, logs and devices."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError, Failure, Forbidden
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.metrics import guest_figures
from pvesim.nodes.records import Node
from pvesim.scenario import read
from pvesim.storage.records import Space, Storage
from tests.pvesim.small_world import GIB, NOW, give, small_simulator


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


def change_node(simulator: Simulator, name: str, **fields: Any) -> Node:
    node = simulator.world.get(Node, name)
    assert node is not None
    simulator.world.put(replace(node, **fields))
    return node


# -- list and status ---------------------------------------------------------------------------------------------------


def test_the_list_has_figures_for_an_auditor(simulator: Simulator) -> None:
    rows = {row["node"]: row for row in simulator.request("GET", "/nodes", user="audit@pve")}
    assert list(rows) == ["pve1", "pve2"]
    status = simulator.request("GET", "/nodes/pve1/status")
    row = rows["pve1"]
    assert (row["mem"], row["maxmem"]) == (status["memory"]["used"], status["memory"]["total"])
    assert (row["disk"], row["maxdisk"]) == (status["rootfs"]["used"], status["rootfs"]["total"])
    assert (row["uptime"], row["maxcpu"], row["cpu"]) == (90_000, status["cpuinfo"]["cpus"], status["cpu"])


def test_others_see_the_bare_entry(simulator: Simulator) -> None:
    row = simulator.request("GET", "/nodes", user="alice@pve")[0]
    assert {key: row[key] for key in row if key != "ssl_fingerprint"} == {
        "id": "node/pve1", "level": "", "node": "pve1", "status": "online", "type": "node",
    }  # fmt: skip
    assert len(row["ssl_fingerprint"].split(":")) == 32


def test_an_offline_node_has_no_figures_and_does_not_answer(simulator: Simulator) -> None:
    change_node(simulator, "pve2", online=False)
    row = simulator.request("GET", "/nodes")[1]
    assert row["status"] == "offline"
    assert "uptime" not in row
    with pytest.raises(ApiError) as caught:
        simulator.request("GET", "/nodes/pve2/status")
    assert caught.value.status == 595


def test_the_root_file_system_is_that_of_the_storage_on_it(simulator: Simulator) -> None:
    before = simulator.request("GET", "/nodes/pve1/status")["rootfs"]
    simulator.request(
        "POST", "/nodes/pve1/storage/local/content", {"filename": "vm-101-disk-5.raw", "size": "1G", "vmid": 101}
    )
    after = simulator.request("GET", "/nodes/pve1/status")["rootfs"]
    local = simulator.request("GET", "/nodes/pve1/storage/local/status")
    assert after["used"] - before["used"] == 4096
    assert (after["used"], after["avail"], after["total"]) == (local["used"], local["avail"], local["total"])


def test_status_sums_up(simulator: Simulator) -> None:
    status = simulator.request("GET", "/nodes/pve2/status")
    for part in ("memory", "rootfs", "swap"):
        figures = status[part]
        assert figures["used"] + figures["free"] == figures["total"], part
    assert status["uptime"] == 90_000
    assert status["pveversion"] == "pve-manager/9.1.2/1f7c0e9d2a5b4c3d"
    assert len(status["loadavg"]) == 3
    change_node(simulator, "pve2", hardware=replace(change_node(simulator, "pve2").hardware, cpu_flags="fpu svm"))
    assert simulator.request("GET", "/nodes/pve2/status")["cpuinfo"]["hvm"] == "1"


def test_status_needs_audit(simulator: Simulator) -> None:
    with pytest.raises(Forbidden) as caught:
        simulator.request("GET", "/nodes/pve1/status", user="alice@pve")
    assert caught.value.message == "Permission check failed (/nodes/pve1, Sys.Audit)"


def test_version(simulator: Simulator) -> None:
    assert simulator.request("GET", "/nodes/pve1/version") == simulator.request("GET", "/version")


# -- time, dns, hosts, config ------------------------------------------------------------------------------------------


def test_time_of_day(simulator: Simulator) -> None:
    now = int(NOW)
    assert simulator.request("GET", "/nodes/pve1/time") == {"localtime": now, "time": now, "timezone": "UTC"}
    simulator.request("PUT", "/nodes/pve1/time", {"timezone": "Europe/Vienna"})
    expected = {"localtime": now + 3600, "time": now, "timezone": "Europe/Vienna"}
    assert simulator.request("GET", "/nodes/pve1/time") == expected
    assert simulator.request("GET", "/nodes/pve2/time")["timezone"] == "UTC"


def test_a_clock_that_is_wrong() -> None:
    simulator = Simulator({"nodes": {"pve1": {}, "pve2": {"clock_offset": -90}}})
    right, wrong = (simulator.request("GET", f"/nodes/{node}/time")["time"] for node in ("pve1", "pve2"))
    assert wrong - right == -90
    again = Simulator(read(simulator.dump(), "dump"))
    assert again.request("GET", "/nodes/pve2/time") == simulator.request("GET", "/nodes/pve2/time")


@pytest.mark.parametrize("timezone", ["Mars/Base", "../etc/passwd", "Europe", "", "/etc/localtime"])
def test_a_timezone_that_there_is_not(simulator: Simulator, timezone: str) -> None:
    with pytest.raises(ApiError) as caught:
        simulator.request("PUT", "/nodes/pve1/time", {"timezone": timezone})
    assert caught.value.errors == {"timezone": "No such timezone"}


def test_dns_is_replaced_as_a_whole(simulator: Simulator) -> None:
    simulator.request("PUT", "/nodes/pve1/dns", {"search": "a.test", "dns1": "10.0.0.1", "dns2": "10.0.0.2"})
    simulator.request("PUT", "/nodes/pve1/dns", {"search": "b.test", "dns1": "10.0.0.3"})
    assert simulator.request("GET", "/nodes/pve1/dns") == {"search": "b.test", "dns1": "10.0.0.3"}


def test_hosts_follow_their_digest(simulator: Simulator) -> None:
    before = simulator.request("GET", "/nodes/pve1/hosts")
    simulator.request("POST", "/nodes/pve1/hosts", {"data": "127.0.0.1 localhost\n", "digest": before["digest"]})
    assert simulator.request("GET", "/nodes/pve1/hosts")["data"] == "127.0.0.1 localhost\n"
    with pytest.raises(Failure, match=r"^detected modified configuration - file changed by other user\? Try again\.$"):
        simulator.request("POST", "/nodes/pve1/hosts", {"data": "x", "digest": before["digest"]})


def test_config(simulator: Simulator) -> None:
    assert simulator.request("GET", "/nodes/pve1/config") == {}
    simulator.request("PUT", "/nodes/pve1/config", {"description": "the node", "startall-onboot-delay": 5})
    shown = simulator.request("GET", "/nodes/pve1/config")
    assert (shown["description"], shown["startall-onboot-delay"]) == ("the node\n", "5")
    assert simulator.request("GET", "/nodes/pve1/config", {"property": "description"}) == {"description": "the node\n"}
    simulator.request("PUT", "/nodes/pve1/config", {"delete": "description", "digest": shown["digest"]})
    assert "description" not in simulator.request("GET", "/nodes/pve1/config")
    with pytest.raises(Failure, match=r"^detected modified configuration"):
        simulator.request("PUT", "/nodes/pve1/config", {"description": "x", "digest": shown["digest"]})


# -- waking ------------------------------------------------------------------------------------------------------------


def test_a_node_does_not_wake_itself(simulator: Simulator) -> None:
    with pytest.raises(Failure, match=r"^'pve1' is local node, cannot wake my self!$"):
        simulator.request("POST", "/nodes/pve1/wakeonlan")


def test_waking_a_node_brings_it_back(simulator: Simulator) -> None:
    with pytest.raises(Failure, match=r"^No wake on LAN MAC address defined for 'pve2'!$"):
        simulator.request("POST", "/nodes/pve2/wakeonlan")
    simulator.request("PUT", "/nodes/pve2/config", {"wakeonlan": "BC:24:11:00:00:02"})
    change_node(simulator, "pve2", online=False)
    simulator.world.put(Node("pve3", nodeid=3))
    assert simulator.request("POST", "/nodes/pve2/wakeonlan") == "BC:24:11:00:00:02"
    assert simulator.request("GET", "/nodes")[1]["status"] == "offline"
    simulator.clock.advance(60)
    assert simulator.request("GET", "/nodes")[1]["status"] == "online"
    assert simulator.request("GET", "/nodes/pve2/status")["uptime"] <= 60


# -- several calls in one ----------------------------------------------------------------------------------------------


def test_execute_answers_each_call(simulator: Simulator) -> None:
    commands = [
        {"path": "version", "method": "GET", "args": {}},
        {"path": "nosuch", "method": "GET", "args": {}},
        {"path": "time", "method": "PUT", "args": {"timezone": "Mars"}},
        {"path": "dns", "method": "PUT", "args": {"search": "x.test"}},
    ]
    answers = simulator.request("POST", "/nodes/pve1/execute", {"commands": json.dumps(commands)})
    assert answers[0] == {"data": simulator.request("GET", "/version"), "status": 200}
    assert answers[1] == {"message": "no handler for 'nodes/pve1/nosuch'\n", "status": 500}
    assert (answers[2]["status"], answers[2]["errors"]) == (400, {"timezone": "No such timezone"})
    assert answers[3] == {"data": None, "status": 200}
    assert simulator.request("GET", "/nodes/pve1/dns") == {"search": "x.test"}


# -- services ----------------------------------------------------------------------------------------------------------


def run(simulator: Simulator, service: str, command: str) -> Task:
    upid = simulator.request("POST", f"/nodes/pve1/services/{service}/{command}")
    simulator.clock.run_until_done(upid)
    task = simulator.world.get(Task, upid)
    assert task is not None
    assert (task.type, task.id) == (f"srv{command}", service)
    return task


def state(simulator: Simulator, service: str) -> tuple[str, str]:
    shown = simulator.request("GET", f"/nodes/pve1/services/{service}/state")
    return shown["active-state"], shown["state"]


@pytest.fixture
def fresh() -> Simulator:
    return Simulator("single-node")


def test_services_stop_and_start(fresh: Simulator) -> None:
    assert state(fresh, "cron") == ("active", "running")
    refused = "invalid service cmd 'pveproxy stop': refusing to stop essential service!"
    assert run(fresh, "pveproxy", "stop").exitstatus == refused
    assert run(fresh, "cron", "stop").exitstatus == "OK"
    assert state(fresh, "cron") == ("inactive", "dead")
    listed = {row["service"]: row["state"] for row in fresh.request("GET", "/nodes/pve1/services")}
    assert (listed["cron"], listed["pveproxy"]) == ("dead", "running")
    failed = run(fresh, "cron", "reload")
    assert failed.exitstatus == "command 'systemctl reload cron' failed: exit code 1"
    for command in ("restart", "reload", "start"):
        assert run(fresh, "cron", command).exitstatus == "OK"
        assert state(fresh, "cron") == ("active", "running")


def test_a_unit_that_is_not_there(fresh: Simulator) -> None:
    task = run(fresh, "syslog", "restart")
    assert task.log == (
        "Failed to restart syslog.service: Unit syslog.service not found.",
        "TASK ERROR: command 'systemctl restart syslog' failed: exit code 5",
    )
    assert state(fresh, "syslog") == ("inactive", "dead")
    with pytest.raises(ApiError) as caught:
        fresh.request("GET", "/nodes/pve1/services/nosuch/state")
    assert caught.value.status == 400


# -- logs --------------------------------------------------------------------------------------------------------------


def test_syslog_is_numbered_and_paged(fresh: Simulator) -> None:
    all_lines = fresh.request("GET", "/nodes/pve1/syslog", {"limit": 0})
    assert [line["n"] for line in all_lines] == list(range(1, len(all_lines) + 1))
    assert fresh.request("GET", "/nodes/pve1/syslog", {"start": 2, "limit": 3}) == all_lines[2:5]
    run(fresh, "cron", "restart")
    later = fresh.request("GET", "/nodes/pve1/syslog", {"limit": 0})
    assert len(later) == len(all_lines) + 2
    assert "srvrestart:cron:root@pam: OK" in later[-1]["t"]
    only = fresh.request("GET", "/nodes/pve1/syslog", {"limit": 0, "service": "cron"})
    assert ["Started cron.service" in line["t"] for line in only] == [True]
    assert fresh.request("GET", "/nodes/pve1/syslog", {"since": "2099-01-01"}) == []


def test_the_journal_stands_between_cursors(fresh: Simulator) -> None:
    first, *lines, last = fresh.request("GET", "/nodes/pve1/journal")
    start, *tail, end = fresh.request("GET", "/nodes/pve1/journal", {"lastentries": 2})
    assert tail == lines[-2:]
    assert end == last
    before = fresh.request("GET", "/nodes/pve1/journal", {"startcursor": first, "endcursor": start})
    assert before[1:-1] == lines[:-2]
    run(fresh, "cron", "restart")
    assert len(fresh.request("GET", "/nodes/pve1/journal", {"startcursor": last})) == 4


# -- certificates and devices ------------------------------------------------------------------------------------------


def test_certificates_are_real_and_the_same_in_every_run(simulator: Simulator) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    authority, node = simulator.request("GET", "/nodes/pve1/certificates/info")
    parsed = x509.load_pem_x509_certificate(node["pem"].encode())
    parsed.verify_directly_issued_by(x509.load_pem_x509_certificate(authority["pem"].encode()))
    assert node["fingerprint"] == parsed.fingerprint(SHA256()).hex(":").upper()
    assert node["fingerprint"] == simulator.request("GET", "/nodes")[0]["ssl_fingerprint"]
    assert {"10.0.0.1", "pve1", "localhost"} <= set(node["san"])
    assert small_simulator().request("GET", "/nodes/pve1/certificates/info") == [authority, node]


def test_disks_are_those_behind_the_storages(simulator: Simulator) -> None:
    assert simulator.request("GET", "/nodes/pve1/disks/list") == []
    assert simulator.request("GET", "/nodes/pve1/disks/lvm") == {"children": [], "leaf": 0}
    world = simulator.world
    world.put(Storage("thin", "lvmthin", options={"vgname": "pve", "thinpool": "data"}))
    world.put(Storage("tank", "zfspool", options={"pool": "tank/vm"}))
    world.put(Space("thin", "pve1", 50 * GIB, 5 * GIB))
    world.put(Space("tank", "pve1", 30 * GIB))
    disks = simulator.request("GET", "/nodes/pve1/disks/list")
    assert [(disk["devpath"], disk["used"], disk["size"]) for disk in disks] == [
        ("/dev/sda", "LVM", 50 * GIB), ("/dev/sdb", "ZFS", 30 * GIB),
    ]  # fmt: skip
    assert simulator.request("GET", "/nodes/pve1/disks/lvm")["children"][0]["name"] == "pve"
    (pool,) = simulator.request("GET", "/nodes/pve1/disks/lvmthin")
    assert (pool["lv"], pool["used"]) == ("data", 5 * GIB)
    assert simulator.request("GET", "/nodes/pve1/disks/zfs")[0]["free"] == 30 * GIB
    assert simulator.request("GET", "/nodes/pve1/scan/lvm") == [{"vg": "pve"}]
    assert simulator.request("GET", "/nodes/pve1/scan/zfs") == [{"pool": "tank"}]
    assert simulator.request("GET", "/nodes/pve2/disks/list") == []


def test_pci_classes_may_be_left_out(simulator: Simulator) -> None:
    def classes(**params: str) -> set[str]:
        rows = simulator.request("GET", "/nodes/pve1/hardware/pci", params)
        return {row["class"][2:4] for row in rows}

    assert "06" not in classes()
    assert "06" in classes(**{"pci-class-blacklist": ""})
    assert classes(**{"pci-class-blacklist": "02;06"}) == {"01", "03"}


def test_traffic_of_the_guests_that_run(simulator: Simulator) -> None:
    assert simulator.request("GET", "/nodes/pve1/netstat") == []
    world = simulator.world
    for vmid in (100, 101):  # of which only 100 runs
        guest = world.rows(Guest)[vmid]
        world.put(replace(guest, config={**guest.config, "net0": "virtio,bridge=vmbr0", "net1": "virtio"}))
    rows = simulator.request("GET", "/nodes/pve1/netstat")
    assert [(row["vmid"], row["dev"]) for row in rows] == [(100, "net0"), (100, "net1")]
    received = guest_figures(world, world.rows(Guest)[100]).netin
    assert 0 <= received - sum(row["in"] for row in rows) < 2
    assert received > 0


# -- what it offers ----------------------------------------------------------------------------------------------------


def test_a_template_is_downloaded(fresh: Simulator) -> None:
    template = fresh.request("GET", "/nodes/pve1/aplinfo")[0]["template"]
    upid = fresh.request("POST", "/nodes/pve1/aplinfo", {"storage": "local", "template": template})
    fresh.clock.run_until_done(upid)
    rows = fresh.request("GET", "/nodes/pve1/storage/local/content", {"content": "vztmpl"})
    assert f"local:vztmpl/{template}" in [row["volid"] for row in rows]
    with pytest.raises(ApiError) as caught:
        fresh.request("POST", "/nodes/pve1/aplinfo", {"storage": "local", "template": "nosuch"})
    assert caught.value.errors == {"template": "no such template"}


def test_templates_need_a_storage_for_them(simulator: Simulator) -> None:
    template = simulator.request("GET", "/nodes/pve1/aplinfo")[0]["template"]
    with pytest.raises(Failure, match=r"^storage 'local' does not support templates$"):
        simulator.request("POST", "/nodes/pve1/aplinfo", {"storage": "local", "template": template})


def test_machines_follow_the_version_of_qemu(simulator: Simulator) -> None:
    ids = [row["id"] for row in simulator.request("GET", "/nodes/pve1/capabilities/qemu/machines")]
    assert (ids[0], "pc-q35-9.2" in ids, "pc-q35-9.3" in ids, "pc-i440fx-10.2" in ids) == (
        "pc-i440fx-10.1", True, False, False,
    )  # fmt: skip
    assert "host" in [row["name"] for row in simulator.request("GET", "/nodes/pve1/capabilities/qemu/cpu")]


def test_subscription_and_rights(simulator: Simulator) -> None:
    assert simulator.request("GET", "/nodes/pve1/subscription", user="alice@pve")["status"] == "notfound"
    give(simulator.world, "alice@pve", "/nodes/pve1", "PVEAuditor")
    assert simulator.request("GET", "/nodes/pve1/services", user="alice@pve") is not None
    with pytest.raises(Forbidden, match=r"\(/nodes/pve1, Sys.Modify\)"):
        simulator.request("POST", "/nodes/pve1/services/cron/stop", user="alice@pve")
