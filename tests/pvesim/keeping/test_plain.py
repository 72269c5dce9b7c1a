"""Records as texts and back."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.core.sections import Section
from pvesim.core.tasks import Step, Task
from pvesim.keeping.plain import Decoder, UnknownRecord, class_of, encode_key, encode_record, name_of

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(st.integers() | st.tuples(st.text(max_size=2)), inner, max_size=3)
        | st.frozensets(scalars, max_size=3)
    ),
    max_leaves=10,
)


class Anything(Section):
    """A record with a mapping."""

    __slots__ = ()


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_what_is_written_is_read(options: dict[str, Any]) -> None:
    record = Anything("a", "b", options)
    back = Decoder().record(Anything, encode_record(record))
    assert back == record
    assert repr(back) == repr(record) or "frozenset" in repr(record)  # 1, 1.0 and True are told apart


def test_records_stand_in_records() -> None:
    steps = (Step(after=1.5, log=("a",), arguments=(1, ("b",))), Step())
    task = Task("UPID", 1, "pve1", 2, 3, 4.0, "t", "i", "u", steps=steps, cleanup=Step(effect="e"))
    assert Decoder().record(Task, encode_record(task)) == task


def test_read_only_mappings_and_broken_unicode_survive() -> None:
    record = Anything("\ud800", "b", MappingProxyType({"big": 1 << 70}))
    assert Decoder().record(Anything, encode_record(record)) == record


def test_keys_are_told_apart() -> None:
    keys: list[Any] = [1, "1", ("1",), ("1", ""), None]
    assert len({encode_key(key) for key in keys}) == len(keys)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        encode_record(Anything("a", "b", {"x": object()}))


@pytest.mark.parametrize("name", ["os.path", "pvesim.core.tasks.Nothing", "pvesim.core.tasks.start_task", "Task"])
def test_only_records_of_ours_are_looked_up(name: str) -> None:
    with pytest.raises(UnknownRecord):
        class_of(name)


def test_names_lead_back() -> None:
    assert class_of(name_of(Task)) is Task


def test_other_fields_are_refused() -> None:
    with pytest.raises(UnknownRecord, match="other fields"):
        Decoder().record(Step, b"[1]")
