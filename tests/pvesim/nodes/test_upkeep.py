"""Packages, subscription, certificates, shells, scans and reports of a node."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from pvesim.storage.records import Space, Storage
from tests.pvesim.small_world import GIB, small_simulator

NODE = "/nodes/pve1"


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any], user: str = "root@pam") -> ApiError:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params, user=user)
    assert not before.diff(simulator.world)
    return caught.value


# -- packages ----------------------------------------------------------------------------------------------------------


def test_versions_are_those_of_the_release(simulator: Simulator) -> None:
    rows = {row["Package"]: row for row in simulator.request("GET", f"{NODE}/apt/versions")}
    version = simulator.request("GET", "/version")
    assert rows["pve-manager"]["Version"] == version["version"]
    assert rows["proxmox-ve"]["RunningKernel"] in simulator.request("GET", f"{NODE}/status")["kversion"]


def test_a_refresh_asks_the_repositories_that_are_on(simulator: Simulator) -> None:
    listed = simulator.request("GET", f"{NODE}/apt/repositories")
    enterprise = next(file for file in listed["files"] if file["path"].endswith("pve-enterprise.sources"))
    off = {"path": enterprise["path"], "index": 0, "enabled": 0, "digest": listed["digest"]}
    simulator.request("POST", f"{NODE}/apt/repositories", off)
    simulator.request("PUT", f"{NODE}/apt/repositories", {"handle": "no-subscription"})
    status = {
        row["handle"]: row.get("status")
        for row in simulator.request("GET", f"{NODE}/apt/repositories")["standard-repos"]
    }
    assert (status["enterprise"], status["no-subscription"], status["test"]) == (0, 1, None)
    upid = simulator.request("POST", f"{NODE}/apt/update")
    simulator.clock.run_until_done(upid)
    log = [line["t"] for line in simulator.request("GET", f"{NODE}/tasks/{upid}/log")]
    assert [line for line in log if "download.proxmox.com" in line]
    assert not [line for line in log if "enterprise" in line]
    assert simulator.request("GET", "/nodes/pve2/apt/repositories")["digest"] == listed["digest"]


@pytest.mark.parametrize(
    ("verb", "params", "message"),
    [
        ("POST", {"path": "/etc/passwd", "index": 0, "enabled": 1}, "file '/etc/passwd' does not exist"),
        ("POST", {"path": "/etc/apt/sources.list.d/debian.sources", "index": 7}, "invalid repository index 7"),
        ("PUT", {"handle": "enterprise"}, "standard repository 'enterprise' is already configured"),
        ("PUT", {"handle": "other"}, "unknown repository handle 'other'"),
        ("PUT", {"handle": "test", "digest": "0" * 64},
         "detected modified configuration - file changed by other user? Try again."),
    ],
)  # fmt: skip
def test_repositories_refuse(simulator: Simulator, verb: str, params: dict[str, Any], message: str) -> None:
    assert refusal(simulator, verb, f"{NODE}/apt/repositories", params).message == message


def test_updates_have_a_changelog(simulator: Simulator) -> None:
    update = simulator.request("GET", f"{NODE}/apt/update")[0]
    text = simulator.request("GET", f"{NODE}/apt/changelog", {"name": update["Package"]})
    assert text.startswith(f"{update['Package']} ({update['Version']})")
    assert "not found" in refusal(simulator, "GET", f"{NODE}/apt/changelog", {"name": "nosuch"}).message


# -- subscription and certificates -------------------------------------------------------------------------------------


def test_a_subscription_comes_and_goes(simulator: Simulator) -> None:
    assert simulator.request("GET", f"{NODE}/subscription")["status"] == "notfound"
    simulator.request("PUT", f"{NODE}/subscription", {"key": "pve1c-0123456789"})
    shown = simulator.request("GET", f"{NODE}/subscription")
    assert (shown["status"], shown["key"], shown["level"]) == ("active", "pve1c-0123456789", "c")
    simulator.clock.advance(3600)
    simulator.request("POST", f"{NODE}/subscription")
    assert simulator.request("GET", f"{NODE}/subscription")["checktime"] == shown["checktime"] + 3600
    simulator.request("DELETE", f"{NODE}/subscription")
    assert simulator.request("GET", f"{NODE}/subscription")["status"] == "notfound"
    assert simulator.request("GET", "/nodes/pve2/subscription")["status"] == "notfound"


def test_a_subscription_is_for_all_sockets(simulator: Simulator) -> None:
    node = simulator.world.rows(Node)["pve1"]
    simulator.world.put(replace(node, hardware=replace(node.hardware, sockets=2)))
    wrong = refusal(simulator, "PUT", f"{NODE}/subscription", {"key": "pve1c-0123456789"})
    assert wrong.message == "Invalid subscription key: wrong number of sockets"


def pair() -> dict[str, str]:
    """A certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pve1.example.test")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2030))
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"certificates": certificate.public_bytes(Encoding.PEM).decode(), "key": pem}


def test_ones_own_certificate(simulator: Simulator) -> None:
    place, given = f"{NODE}/certificates/custom", pair()
    shown = simulator.request("POST", place, given)
    assert (shown["filename"], shown["public-key-type"]) == ("pveproxy-ssl.pem", "id-ecPublicKey")
    assert simulator.request("GET", f"{NODE}/certificates/info")[-1] == shown
    assert simulator.request("GET", "/nodes")[0]["ssl_fingerprint"] == shown["fingerprint"]
    assert refusal(simulator, "POST", place, given).errors == {
        "force": "Custom certificate exists but 'force' is not set."
    }
    other = {**pair(), "key": given["key"], "force": 1}
    assert refusal(simulator, "POST", place, other).message == "certificate and key do not match"
    simulator.request("DELETE", place)
    assert len(simulator.request("GET", f"{NODE}/certificates/info")) == 2
    assert "key" in (refusal(simulator, "POST", place, {"certificates": given["certificates"]}).errors or {})


# -- shells and surveys ------------------------------------------------------------------------------------------------


def test_shells_give_tickets(simulator: Simulator) -> None:
    assert refusal(simulator, "POST", f"{NODE}/termproxy", {}, user="audit@pve").status == 403
    for verb in ("termproxy", "vncshell"):
        answer = simulator.request("POST", f"{NODE}/{verb}")
        assert answer["ticket"].startswith("PVEVNC:")
        assert ":vncshell::" in answer["upid"]
    assert simulator.request("POST", f"{NODE}/spiceshell")["type"] == "spice"


def test_scans_find_the_servers_of_storages(simulator: Simulator) -> None:
    put = simulator.world.put
    put(Storage("nas", "nfs", shared=True, options={"server": "10.0.0.9", "export": "/srv/pve"}))
    put(Storage("smb", "cifs", shared=True, options={"server": "10.0.0.9", "share": "pve"}))
    put(Storage("san", "iscsi", options={"portal": "10.0.0.8", "target": "iqn.2026-01.test:a"}))
    put(Storage("pbs", "pbs", shared=True, options={"server": "10.0.0.7", "datastore": "main"}))
    put(Storage("thin", "lvmthin", options={"vgname": "pve", "thinpool": "data"}))

    def scan(kind: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = simulator.request("GET", f"{NODE}/scan/{kind}", params)
        return found

    assert scan("nfs", server="10.0.0.9") == [{"options": "*", "path": "/srv/pve"}]
    assert scan("cifs", server="10.0.0.9") == [{"description": "", "share": "pve"}]
    assert scan("iscsi", portal="10.0.0.8") == [{"portal": "10.0.0.8:3260", "target": "iqn.2026-01.test:a"}]
    assert scan("pbs", server="10.0.0.7", username="a@pbs", password="b")[0]["store"] == "main"
    assert scan("lvmthin", vg="pve") == [{"lv": "data"}]
    for kind, params in (
        ("nfs", {"server": "10.9.9.9"}),
        ("cifs", {"server": "10.9.9.9"}),
        ("iscsi", {"portal": "10.9.9.9"}),
        ("pbs", {"server": "10.9.9.9", "username": "a@pbs", "password": "b"}),
        ("lvmthin", {"vg": "other"}),
    ):
        assert refusal(simulator, "GET", f"{NODE}/scan/{kind}", params).status == 500


def test_disks_and_pools_tell_their_health(simulator: Simulator) -> None:
    simulator.world.put(Storage("tank", "zfspool", options={"pool": "tank"}))
    simulator.world.put(Space("tank", "pve1", 100 * GIB, GIB))
    disk = simulator.request("GET", f"{NODE}/disks/list")[0]["devpath"]
    assert simulator.request("GET", f"{NODE}/disks/smart", {"disk": disk, "healthonly": 1}) == {"health": "PASSED"}
    assert simulator.request("GET", f"{NODE}/disks/smart", {"disk": disk})["attributes"]
    pool = simulator.request("GET", f"{NODE}/disks/zfs/tank")
    assert pool["children"][0]["children"][0]["name"] == disk
    assert refusal(simulator, "GET", f"{NODE}/disks/zfs/other", {}).status == 500
    assert refusal(simulator, "GET", f"{NODE}/disks/smart", {"disk": "/dev/nope"}).status == 500


def test_devices_that_cannot_be_divided(simulator: Simulator) -> None:
    device = simulator.request("GET", f"{NODE}/hardware/pci")[0]["id"]
    assert simulator.request("GET", f"{NODE}/hardware/pci/{device}/mdev") == []
    assert refusal(simulator, "GET", f"{NODE}/hardware/pci/0000:99:00.0/mdev", {}).message == (
        "pci device '0000:99:00.0' not found"
    )
    assert refusal(simulator, "GET", f"{NODE}/hardware/pci/gpu/mdev", {}).message == "mapping 'gpu' not found"


def test_the_report_names_what_there_is(simulator: Simulator) -> None:
    text = simulator.request("GET", f"{NODE}/report")
    assert "100 qemu web1 running" in text
    assert "local dir active" in text
