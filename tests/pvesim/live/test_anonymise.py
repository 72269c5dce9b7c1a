"""A scenario without what tells whose cluster it is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pvesim import Simulator
from pvesim.guests.records import Guest
from pvesim.live import SimulatedCluster, anonymised, read_cluster

TELLING = (
    *("homelab", "pve1", "pve2", "pve3", "nas", "backup-usb", "tank", "proxmox", "alice", "former", "operators"),
    *("PowerUser", "production", "lab", "webserver", "management", "lan", "monitor-home", "staging", "monitor", "db"),
    *("before-tls", "experiment", "prod", "web", "desktop", "BC:24:11:00:01:50", "10.10.10.", "ubuntu-24", "debian-13"),
    *("Public web server", "administrators", "cupboard", "PostgreSQL", "user-data", "automation", "auditor", "media"),
)


@pytest.fixture(scope="module")
def read() -> dict[str, Any]:
    return read_cluster(SimulatedCluster(Simulator("homelab", clock="manual"))).scenario


def test_nothing_that_tells_is_left(read: dict[str, Any]) -> None:
    text = yaml.safe_dump(anonymised(read))
    left = [word for word in TELLING if word in text.replace("medi" + "a=cdrom", "").replace("webp", "")]
    assert left == []
    for guest in read["vms"].values():
        assert guest["config"]["smbios1"].partition("=")[2] not in text
        assert guest["config"]["net0"].partition("=")[2][:17] not in text


def test_it_loads_and_is_the_same_cluster_otherwise(read: dict[str, Any]) -> None:
    before, after = Simulator(read).world.rows(Guest), Simulator(anonymised(read)).world.rows(Guest)
    assert list(before) == list(after)
    for vmid, guest in before.items():
        other = after[vmid]
        assert (other.kind, other.status, len(other.snapshots)) == (guest.kind, guest.status, len(guest.snapshots))
        assert other.config.get("memory") == guest.config.get("memory")
        assert other.behaviour.cpu_load == guest.behaviour.cpu_load


def test_it_is_deterministic(read: dict[str, Any]) -> None:
    assert yaml.safe_dump(anonymised(read)) == yaml.safe_dump(anonymised(yaml.safe_load(yaml.safe_dump(read))))


def test_the_same_things_have_the_same_names(read: dict[str, Any]) -> None:
    made = anonymised(read)
    assert made["pools"]["pool2"]["storages"] == ["storage2"]
    assert made["ha"]["rules"]["rule1"]["nodes"] == "node3:2,node1:1"
    assert made["firewall"]["guests"][100]["rules"][0]["action"] in made["firewall"]["groups"]
    assert {"path": "/pool/pool2", "group": "group1", "role": "role1"} in made["acl"]
    assert made["nodes"]["node1"]["ip"].endswith(".11")
    assert made["firewall"]["cluster"]["aliases"]["alias1"]["cidr"] == "10.100.0.0/24"


def test_names_that_are_words_of_pves_own() -> None:
    read = {
        "nodes": {"debian": {}, "images": {}},
        "storages": {
            "local": {"type": "dir", "config": {"path": "/var/lib/vz"}},
            "backup": {"type": "nfs", "config": {"server": "nas.acme.test", "export": "/x", "content": "iso,backup"}},
            "iso": {"type": "dir", "config": {"path": "/iso", "content": "iso,images"}, "volumes": []},
        },
        "vms": {100: {"node": "debian", "config": {"name": "iso", "ide2": "none,media=cdrom", "scsi0": "iso:4"}}},
        "pools": {"notes": {"guests": [100]}, "size": {}},
    }
    read["storages"]["backup"]["volumes"] = [{"name": "iso/acme.iso", "size": 5}]
    read["vms"][100]["config"]["ide0"] = "backup:iso/acme.iso,media=cdrom,size=5"
    made = anonymised(read)
    assert made["storages"]["storage1"]["config"]["content"] == "iso,backup"
    assert made["storages"]["storage1"]["config"]["server"] == "host1.example.test"
    assert made["storages"]["storage1"]["volumes"][0]["name"] == "iso/file1.iso"
    assert made["vms"][100]["config"]["ide0"] == "storage1:iso/file1.iso,media=cdrom,size=5"
    assert made["vms"][100]["config"]["scsi0"] == "storage2:4"
    assert len(made["pools"]) == 2
    assert "acme" not in yaml.safe_dump(made)
    Simulator(made)


def test_addresses_of_both_families_keep_their_networks() -> None:
    read = {
        "nodes": {"a": {"ip": "192.168.7.4", "dns": {"dns1": "192.168.7.1", "dns2": "2a01:4f8:1:2::1"}}},
        "firewall": {
            "cluster": {
                "aliases": {"x": {"cidr": "2a01:4f8:1:2::/64"}, "y": {"cidr": "172.16.0.0/16"}, "z": {"cidr": "::/0"}}
            }
        },
    }
    made = anonymised(read)
    assert made["nodes"]["node1"]["dns"] == {"dns1": "10.100.1.1", "dns2": "fd00:0:0:1::1"}
    aliases = made["firewall"]["cluster"]["aliases"]
    assert aliases["alias1"]["cidr"] == "fd00:0:0:1::/64"
    assert aliases["alias2"]["cidr"] == "10.100.0.0/16"
    assert aliases["alias3"]["cidr"] == "::/0"
