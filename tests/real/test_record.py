"""Records of runs, and the table that is made from them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.contract.runner import StepRun
from tests.real.record import Record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def documents() -> ModuleType:
    spec = importlib.util.spec_from_file_location("contracts_table", ROOT / "docs" / "contracts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def record() -> Record:
    made = Record("real", "9.1.1", "2026-01-01", "a node in a cupboard")
    made.add("one", StepRun("first", "passed", 2.0))
    made.add("one", StepRun("second", "left out", 0.0, "no bridge"))
    made.add("two", StepRun("third", "broken", 3.0, "expected 'a|b',\n  got 2"))
    return made


def test_a_record_is_read_as_it_was_written_but_for_times(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path / "there" / "real.json")
    read = Record.read(tmp_path / "there" / "real.json")
    assert read.counts() == record.counts() == {"passed": 1, "left out": 1, "broken": 1}
    assert read.reasons() == {"no bridge": ["one: second"]}
    assert (read.called, read.version, read.date) == ("a node in a cupboard", "9.1.1", "2026-01-01")


def test_the_slowest_come_first(record: Record) -> None:
    assert [run.step for _, run in record.slowest()] == ["third", "first", "second"]


def test_the_table_names_what_was_left_out_and_why(record: Record, documents: ModuleType) -> None:
    lines = documents.table({"real": record}).splitlines()
    assert "| one | 1 passed, 1 left out |" in lines
    assert "| two | 1 broken |" in lines
    assert "| no bridge | one: second |" in lines
    assert "| **steps passed** | **1 of 3, 33%** |" in lines


def test_the_table_says_what_is_different(record: Record, documents: ModuleType) -> None:
    lines = documents.table({"real": record}).splitlines()
    assert lines[lines.index("Different on real:") + 4] == r"| two: third | expected 'a\|b', got 2 |"


def test_the_table_is_what_the_records_say(documents: ModuleType) -> None:
    text = documents.DOCUMENT.read_text()
    assert documents.render(text) == text, "run: python docs/contracts.py"
