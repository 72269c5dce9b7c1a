from typing import Any

import pytest

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, UnknownGuest, WrongKind, WrongNode
from proxmox_mcp.locate import Guests
from proxmox_mcp.pve import Pve
from tests.proxmox_mcp.conftest import GUESTS, FakeCluster, Refusal, no_guest

pytestmark = pytest.mark.anyio


async def test_one_request_finds_any_guest(cluster: FakeCluster, pve: Pve) -> None:
    guests = Guests(pve)
    assert (await guests.find(101)).path == "/nodes/pve2/qemu/101"
    assert (await guests.find(200, kind="lxc")).path == "/nodes/pve1/lxc/200"
    assert cluster.requests == [("GET", "/cluster/resources", {"type": "vm"})]


async def test_nothing_is_asked_when_node_and_kind_are_given(cluster: FakeCluster, pve: Pve) -> None:
    assert (await Guests(pve).find(100, "pve9", "qemu")).path == "/nodes/pve9/qemu/100"
    assert cluster.requests == []


async def test_a_write_is_checked_first(pve: Pve) -> None:
    with pytest.raises(WrongNode, match=r"Guest 101 is on node pve2, not on pve1.*node=pve2"):
        await Guests(pve).find(101, "pve1", "qemu", check=True)


async def test_a_container_is_no_vm(pve: Pve) -> None:
    with pytest.raises(WrongKind, match="Guest 200 is a container, not a VM"):
        await Guests(pve).find(200, kind="qemu")


async def test_an_unknown_guest_has_neighbours(pve: Pve) -> None:
    with pytest.raises(InvalidArgument, match=r"no guest 102; nearest: 101 \(db1\), 100 \(web1\), 200 \(ct1\)"):
        await Guests(pve).find(102)


async def test_who_sees_no_guests_is_told_what_is_needed(cluster: FakeCluster, pve: Pve) -> None:
    cluster.routes["GET /cluster/resources"] = []
    with pytest.raises(InvalidArgument, match=r"VM\.Audit"):
        await Guests(pve).find(100)


async def test_a_list_is_trusted_for_two_seconds(cluster: FakeCluster, pve: Pve) -> None:
    now = [0.0]
    guests = Guests(pve, now=lambda: now[0])
    await guests.find(100)
    now[0] = 1.9
    await guests.find(101)
    assert len(cluster.requests) == 1
    now[0] = 2.1
    await guests.find(101)
    assert len(cluster.requests) == 2


async def test_a_guest_that_is_new_is_found_at_once(cluster: FakeCluster, pve: Pve) -> None:
    guests = Guests(pve, now=lambda: 0.0)
    await guests.find(100)
    cluster.routes["GET /cluster/resources"] = [*GUESTS, {**GUESTS[0], "vmid": 150, "node": "pve3"}]
    assert (await guests.find(150)).node == "pve3"


async def refused(cluster: FakeCluster, pve: Pve, path: str, refusal: Refusal) -> ProxmoxError:
    cluster.routes[f"GET {path}"] = refusal
    with pytest.raises(UnknownGuest) as raised:
        await pve.get(path)
    return await Guests(pve).explain(raised.value)


@pytest.mark.parametrize(
    ("path", "refusal", "kind"),
    [
        ("/nodes/pve1/qemu/999/config", no_guest(999), InvalidArgument),
        ("/nodes/pve1/qemu/101/config", no_guest(101), WrongNode),
        ("/nodes/pve1/qemu/200/config", no_guest(200), WrongKind),
        ("/nodes/pve1/lxc/100/config", no_guest(100, folder="lxc"), WrongKind),
    ],
)
async def test_what_pve_says_of_an_unknown_guest_is_explained(
    cluster: FakeCluster, pve: Pve, path: str, refusal: Refusal, kind: type[Any]
) -> None:
    assert type(await refused(cluster, pve, path, refusal)) is kind


async def test_an_explanation_that_cannot_be_had_leaves_the_error(cluster: FakeCluster, pve: Pve) -> None:
    cluster.routes["GET /cluster/resources"] = Refusal(403, "Permission check failed (/, Sys.Audit)")
    assert type(await refused(cluster, pve, "/nodes/pve1/qemu/999/config", no_guest(999))) is UnknownGuest
