"""What cloud-init is told, and the hash that carries its password."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.qemu.shacrypt import salt_of, sha256_crypt
from tests.pvesim.guests.yard import done, make_vm, vm, yard

KEY = "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIM%2FF0RUfARhMDDbvnOUCHgtfqiLM%2B1gq4qHRd0gNyC9f%20root%40vm"


def dump(type: str, **options: Any) -> str:
    sim = yard()
    make_vm(sim, name="web1", net0="virtio=BC:24:11:00:00:01,bridge=vmbr0", **options)
    text: str = sim.request("GET", vm(100, "/cloudinit/dump"), {"type": type})
    return text


def test_user_data() -> None:
    lines = dump("user", ciuser="joe", cipassword="$5$salt$hash", sshkeys=KEY).splitlines()
    assert lines == [
        "#cloud-config",
        "hostname: web1",
        "manage_etc_hosts: true",
        "fqdn: web1",
        "user: joe",
        "password: $5$salt$hash",
        "ssh_authorized_keys:",
        "  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM/F0RUfARhMDDbvnOUCHgtfqiLM+1gq4qHRd0gNyC9f root@vm",
        "chpasswd:",
        "  expire: False",
        "users:",
        "  - default",
        "package_upgrade: true",
    ]


def test_the_domain_completes_the_name() -> None:
    assert "fqdn: web1.example.test\n" in dump("user", searchdomain="example.test")
    assert "package_upgrade: false\n" in dump("user", ciupgrade=0)


def test_network_data() -> None:
    text = dump("network", ipconfig0="ip=10.0.0.5/24,gw=10.0.0.1,ip6=auto", nameserver="10.0.0.53")
    for line in (
        "mac_address: 'bc:24:11:00:00:01'",
        "netmask: '255.255.255.0'",
        "gateway: '10.0.0.1'",
        "- '10.0.0.53'",
    ):
        assert line in text
    assert "dhcp4" in dump("network", ipconfig0="ip=dhcp")


def test_meta_data_changes_with_the_rest() -> None:
    assert dump("meta") == dump("meta")
    assert dump("meta") != dump("meta", ciuser="joe")


def test_a_running_machine_waits_for_its_drive_to_be_written_anew() -> None:
    sim = yard()
    make_vm(sim, ide2="local:cloudinit", ciuser="joe", cipassword="secret-pw")
    path = vm(100, "/cloudinit")
    in_step = [{"key": "cipassword", "value": "**********"}, {"key": "ciuser", "value": "joe"}]
    assert sim.request("GET", path) == in_step
    done(sim, "POST", vm(100, "/status/start"))
    sim.request("PUT", vm(100, "/config"), {"ciuser": "ann", "nameserver": "10.0.0.1", "delete": "cipassword"})
    assert sim.request("GET", path) == [
        {"key": "cipassword", "delete": 1},
        {"key": "ciuser", "value": "joe", "pending": "ann"},
        {"key": "nameserver", "pending": "10.0.0.1"},
    ]
    sim.request("PUT", vm(100, "/config"), {"ciuser": "joe", "delete": "nameserver"})
    assert sim.request("GET", path) == [{"key": "cipassword", "delete": 1}, {"key": "ciuser", "value": "joe"}]
    assert sim.request("PUT", path) is None
    assert sim.request("GET", path) == [{"key": "ciuser", "value": "joe"}]


@pytest.mark.parametrize(
    ("password", "salt", "hashed"),
    [
        ("Hello world!", "saltstring", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
        ("secret-pw", "j5J0XYst", "$5$j5J0XYst$79MweOkKJFTVMIaxk5XonOXTJa1/WJGQU7tJO4gdeq2"),
    ],
)
def test_known_hashes(password: str, salt: str, hashed: str) -> None:
    assert sha256_crypt(password, salt) == hashed


def test_a_salt_has_eight_characters() -> None:
    assert len(salt_of(bytes(range(200, 208)))) == 8
