"""The file of approvals; what may be tried with it stands in redteam/."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from proxmox_mcp.results import Preview
from proxmox_mcp.safety.approval import Act, Approvals


def act(digest: str = "d", fingerprint: str = "f") -> Act:
    preview = Preview(summary="Delete it.", target="VM 105", facts=["State: stopped"], fingerprint=fingerprint)
    return Act(digest, "delete_vm", {"vmid": 105}, "lab as root@pam", "test 1", preview)


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
