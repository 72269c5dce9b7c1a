"""The file of approvals; what may be tried with it stands in redteam/."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from proxmox_mcp.errors import NotApproved
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.approval import Act, Approvals


def act(digest: str = "d", fingerprint: str = "f", scope: str = "", client: str = "test 1") -> Act:
    preview = Preview(summary="Delete it.", target="VM 105", facts=["State: stopped"], fingerprint=fingerprint)
    return Act(digest, scope or digest, "delete_vm", {"vmid": 105}, "lab as root@pam", client, preview)


def test_asked_approved_and_used_up(tmp_path: Path) -> None:
    store = Approvals(tmp_path / "state", 60)
    state, request = store.take(act())
    assert (state, request.target, request.facts) == ("pending", "VM 105", ["State: stopped"])
    assert store.take(act())[0] == "pending"
    assert store.find(request.code.lower().replace("-", " ")) == request
    assert store.decide(request.code, True) is not None
    assert store.take(act())[0] == "approved"
    assert store.take(act())[0] == "pending"


def test_a_change_voids_an_approval(tmp_path: Path) -> None:
    store = Approvals(tmp_path / "state", 60)
    _, request = store.take(act())
    store.decide(request.code, True)
    state, fresh = store.take(act(fingerprint="g"))
    assert state == "changed"
    assert fresh.code != request.code
    assert [one.code for one in store.listed()] == [fresh.code]


def test_requests_and_answers_expire(tmp_path: Path) -> None:
    now = [1000.0]
    store = Approvals(tmp_path / "state", 60, lambda: now[0])
    _, request = store.take(act())
    now[0] += 50
    store.decide(request.code, True)
    now[0] += 59
    assert [one.state for one in store.listed()] == ["approved"]
    now[0] += 2
    assert store.listed() == []
    assert store.take(act())[0] == "pending"


def test_codes_are_not_alike(tmp_path: Path) -> None:
    store = Approvals(tmp_path / "state", 60)
    codes = {store.take(act(str(number)))[1].code for number in range(20)}
    assert len(codes) == 20
    assert all(len(code) == 9 for code in codes)


def _take(folder: Path) -> str:
    return Approvals(folder, 60).take(act())[0]


def test_two_processes_cannot_use_one_approval(tmp_path: Path) -> None:
    store = Approvals(tmp_path / "state", 60)
    _, request = store.take(act())
    store.decide(request.code, True)
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        states = list(pool.map(_take, [tmp_path / "state"] * 8))
    assert sorted(states) == ["approved", *["pending"] * 7]


def test_a_denial_holds_for_all_ways_to_write_the_same(tmp_path: Path) -> None:
    store = Approvals(tmp_path / "state", 60)
    _, request = store.take(act("purge", scope="delete_vm 105"))
    store.decide(request.code, False)
    assert store.take(act("plain", scope="delete_vm 105"))[0] == "denied"
    assert store.take(act("plain", scope="delete_vm 106"))[0] == "pending"


def test_one_client_does_not_take_all_the_room(tmp_path: Path) -> None:
    store = Approvals(tmp_path / "state", 60)
    for number in range(20):
        store.take(act(str(number)))
    with pytest.raises(NotApproved, match="20 calls wait for a person's approval"):
        store.take(act("one more"))
    assert store.take(act("another's", client="test 2"))[0] == "pending"
