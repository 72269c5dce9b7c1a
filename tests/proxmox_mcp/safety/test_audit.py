"""The audit's chain; what may be tried with it stands in redteam/."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxmox_mcp.errors import AuditUnwritable
from proxmox_mcp.safety.audit import START, Audit


def test_lines_are_numbered_dated_and_chained(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state", lambda: 1_790_000_000.5)
    hashes = [audit.append({"event": "begin", "tool": name}) for name in ("a", "b", "c")]
    records = list(audit.records())
    assert [record["sequence"] for record in records] == [1, 2, 3]
    assert [record["previous"] for record in records] == [START, *hashes[:2]]
    assert records[0]["time"] == "2026-09-21T14:13:20.500+00:00"
    assert audit.verify() == type(audit.verify())(3, hashes[-1])


def test_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    assert Audit(tmp_path).verify().problem == f"there is no {tmp_path / 'audit.jsonl'}"
    assert list(Audit(tmp_path).records()) == []
    assert list(Audit(tmp_path).since(0)) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path: Path, data: st.DataObject) -> None:
    audit = Audit(tmp_path / "state")
    if not audit.path.exists():
        for number in range(3):
            audit.append({"event": "begin", "tool": f"tool{number}", "arguments": {"name": "wäb\n"}})
    good = audit.path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 2))
    byte = data.draw(st.integers(32, 126).filter(lambda byte: byte != good[at]))
    audit.path.write_bytes(good[:at] + bytes([byte]) + good[at + 1 :])
    assert audit.verify().problem
    audit.path.write_bytes(good)
    assert audit.verify().problem == ""


def test_endless_arguments_do_not_end_the_audit(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state")
    for _ in range(2):
        audit.append({"event": "begin", "tool": "set_notes", "arguments": {"text": "ä" * 200_000}, "guests": [105]})
    record = list(audit.records())[-1]
    assert (record["tool"], record["guests"], record["left_out"]) == ("set_notes", [105], ["arguments"])
    assert audit.verify().problem == ""
    assert audit.path.stat().st_size < 2000


def test_nothing_is_added_to_what_is_no_audit(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state")
    audit.append({"event": "begin"})
    with audit.path.open("a") as file:
        file.write("x\n")
    with pytest.raises(AuditUnwritable, match="does not end with a line of an audit"):
        audit.append({"event": "end"})


def _append(job: tuple[Path, int]) -> None:
    folder, count = job
    for number in range(count):
        Audit(folder).append({"event": "begin", "number": number})


def test_several_servers_share_one_chain(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_append, [(folder, 10)] * 3))
    found = Audit(folder).verify()
    assert (found.lines, found.problem) == (30, "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(lengths=st.lists(st.sampled_from([0, 10, 40_000, 60_000]), max_size=12), at=st.integers(0, 12))
def test_lines_since_a_moment_however_long_they_are(tmp_path: Path, lengths: list[int], at: int) -> None:
    now = [0.0]
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    audit = Audit(folder, lambda: now[0])
    for number, length in enumerate(lengths):
        now[0] = float(number)
        audit.append({"number": number, "text": "x" * length})
    assert [record["number"] for record in audit.since(float(at))] == [*reversed(range(at, len(lengths)))]


def test_an_audit_that_was_cut_is_not_gone_on_with(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state")
    for number in range(3):
        audit.append({"event": "begin", "number": number})
    whole = audit.path.read_bytes()
    for left in (whole[: whole.index(b"\n") + 1], b""):
        audit.path.write_bytes(left)
        with pytest.raises(AuditUnwritable, match="was cut while this server ran"):
            audit.append({"event": "begin"})
        assert audit.path.read_bytes() == left
    audit.path.write_bytes(whole)
    Audit(tmp_path / "state").append({"event": "another server's"})
    audit.append({"event": "begin"})
    assert audit.verify().lines == 5


def test_what_speaks_against_a_line_is_asked_before_it_is_written(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state")

    def full() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        audit.append({"event": "begin"}, full)
    assert list(audit.records()) == []
