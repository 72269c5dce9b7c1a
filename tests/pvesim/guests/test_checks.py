"""What options refer to has to be there, and has to be open to who asks."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.records import AclEntry
from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.engine import Simulator
from pvesim.guests.checks import check_ssh_keys
from pvesim.storage.records import Volume
from tests.pvesim.guests.yard import TEMPLATE, config, ct, make_ct, make_vm, task_of, vm, yard
from tests.pvesim.small_world import give

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM/F0RUfARhMDDbvnOUCHgtfqiLM+1gq4qHRd0gNyC9f root@vm"


@pytest.fixture
def sim() -> Simulator:
    sim = yard()
    for vmid in (100, 200):
        give(sim.world, "alice@pve", f"/vms/{vmid}", "PVEVMAdmin")
    give(sim.world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    return sim


@pytest.mark.parametrize(
    ("net", "path"),
    [
        ("bridge=vmbr0", "/sdn/zones/localnetwork/vmbr0"),
        ("bridge=vmbr0,tag=7", "/sdn/zones/localnetwork/vmbr0/7"),
        ("bridge=vmbr0,trunks=7;8", "/sdn/zones/localnetwork/vmbr0/7"),
    ],
)
def test_a_bridge_wants_the_right_to_use_it(sim: Simulator, net: str, path: str) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("qemu", {"vmid": 100, "net0": f"virtio,{net}"}),
        ("lxc", {"vmid": 200, "ostemplate": TEMPLATE, "net0": f"name=eth0,{net}"}),
    ]
    for kind, params in asked:
        with pytest.raises(Forbidden) as refused:
            sim.request("POST", f"/nodes/pve1/{kind}", params, user="alice@pve")
        assert refused.value.message == f"Permission check failed ({path}, SDN.Use)"
    sim.world.put(AclEntry("/sdn/zones/localnetwork", "user", "alice@pve", "PVESDNUser"))
    for kind, params in asked:
        assert task_of(sim, "POST", f"/nodes/pve1/{kind}", params, user="alice@pve").exitstatus == "OK"


def test_the_right_is_wanted_for_changes_and_clones_too(sim: Simulator) -> None:
    make_vm(sim, net0="virtio,bridge=vmbr0")
    make_ct(sim, net0="name=eth0,bridge=vmbr0")
    for vmid in (101, 201):
        give(sim.world, "alice@pve", f"/vms/{vmid}", "PVEVMAdmin")
    for verb, path, params in (
        ("PUT", vm(100, "/config"), {"net1": "virtio,bridge=vmbr0"}),
        ("PUT", ct(200, "/config"), {"net1": "name=eth1,bridge=vmbr0"}),
        ("POST", vm(100, "/clone"), {"newid": 101}),
        ("POST", ct(200, "/clone"), {"newid": 201}),
    ):
        with pytest.raises(Forbidden, match=r"/sdn/zones/localnetwork/vmbr0, SDN.Use"):
            sim.request(verb, path, params, user="alice@pve")


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n\n{KEY}\n", f'command="/bin/true" {KEY}', ""])
def test_good_keys(text: str) -> None:
    check_ssh_keys(text)


@pytest.mark.parametrize(
    "text",
    ["not a key", "ssh-ed25519", "ssh-ed25519 AAAA", KEY.replace("ed25519 ", "rsa "), f"{KEY}\n# remark", KEY[:60]],
)
def test_bad_keys(text: str) -> None:
    with pytest.raises(Failure, match="SSH public key validation error"):
        check_ssh_keys(text)


def test_keys_are_looked_at_before_anything_is_made(sim: Simulator) -> None:
    for path, params in (
        ("/nodes/pve1/qemu", {"vmid": 100, "sshkeys": "not%20a%20key"}),
        ("/nodes/pve1/lxc", {"vmid": 200, "ostemplate": TEMPLATE, "ssh-public-keys": "not a key"}),
    ):
        with pytest.raises(Failure, match="SSH public key validation error"):
            sim.request("POST", path, params)


def test_hook_scripts(sim: Simulator) -> None:
    make_vm(sim)
    make_ct(sim)
    for volid, text in (
        ("local:iso/tiny.iso", "'local:iso/tiny.iso' is not in the snippets directory"),
        ("local:snippets/hook.pl", "script 'local:snippets/hook.pl' does not exist"),
    ):
        with pytest.raises(ParameterErrors) as refused:
            sim.request("PUT", vm(100, "/config"), {"hookscript": volid})
        assert refused.value.errors == {"hookscript": f"{text}\n"}
        with pytest.raises(ApiError, match=text):
            sim.request("PUT", ct(200, "/config"), {"hookscript": volid})
    sim.world.put(Volume("local", "pve1", "snippets/hook.pl", "snippets", "snippet", 10))
    sim.request("PUT", vm(100, "/config"), {"hookscript": "local:snippets/hook.pl"})
    assert config(sim, 100)["hookscript"] == "local:snippets/hook.pl"
