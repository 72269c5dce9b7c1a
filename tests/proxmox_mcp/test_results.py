from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Bytes, Moment, Page, Result, Seconds, Share, Value, bytes_text, paginate, table


class Row(Result):
    name: str
    size: Bytes | None = None
    load: Share | None = None
    since: Moment | None = None
    age: Seconds | None = None
    labels: list[str] | None = None


class Rows(Page):
    rows: list[Row]
    log_tail: list[str] | None = None
    first: Row | None = None


def test_empty_fields_are_left_out_of_both_forms() -> None:
    result = Rows(total=1, rows=[Row(name="a")])
    assert result.structured() == {"total": 1, "rows": [{"name": "a"}]}
    assert result.text() == "total: 1\nrows:\nname\na"


def test_text_shows_units_and_structure_shows_figures() -> None:
    row = Row(name="a", size=1536 * 1024**2, load=0.1234, since=1795408799, age=3700, labels=["x", "y"])
    assert row.structured()["size"] == 1610612736
    assert row.text() == "name: a\nsize: 1.5 GiB\nload: 12.3%\nsince: 2026-11-23T04:39:59Z\nage: 1h1m\nlabels: x, y"


def test_a_table_has_the_columns_that_any_row_fills() -> None:
    rows = [Row(name="a\tb", age=0), Row(name="c", load=1.0)]
    assert Rows(total=2, rows=rows).text() == "total: 2\nrows:\nname\tload\tage\na b\t-\t0s\nc\t100.0%\t-"


class LongRow(Row):
    note: str


def test_a_table_of_two_kinds_has_the_columns_of_both_in_the_order_of_the_first() -> None:
    rows = [Row(name="a", age=60), LongRow(name="b", size=1024, note="")]
    assert table(rows) == "name\tsize\tage\tnote\na\t-\t1m\t-\nb\t1 KiB\t-\t-"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (-2048, "-2 KiB"), (2**50, "1 PiB"), (2**61, "2048 PiB")],
)
def test_sizes_are_told_in_the_unit_that_fits(size: int, text: str) -> None:
    assert bytes_text(size) == text


def test_logs_are_lines_and_records_inside_are_prefixed() -> None:
    result = Rows(total=0, rows=[], log_tail=["one", "two"], first=Row(name="a"))
    assert result.text() == "total: 0\nrows: none\nfirst.name: a\nlog_tail:\n  one\n  two"


keys = st.one_of(
    st.sets(st.integers()), st.sets(st.text(max_size=5)), st.sets(st.tuples(st.text(max_size=3), st.integers()))
)


@given(keys, st.integers(1, 7))
def test_pages_together_are_the_sorted_list(items: set[object], limit: int) -> None:
    seen: list[object] = []
    cursor = None
    while True:
        page, total, cursor = paginate(items, lambda item: item, limit, cursor)
        assert total == len(items)
        assert len(page) <= limit
        seen.extend(page)
        if cursor is None:
            break
    assert seen == sorted(items)  # type: ignore[type-var]


def test_a_cursor_survives_items_that_come_and_go() -> None:
    _, _, cursor = paginate([1, 2, 3, 4], lambda item: item, 2, None)
    page, _, _ = paginate([2, 3, 5], lambda item: item, 2, cursor)
    assert page == [3, 5]


@pytest.mark.parametrize("cursor", ["", "x", "after:", "after:[1", 'after:"text"', "after:{}", "after:null"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="not one of this list"):
        paginate([1, 2], lambda item: item, 1, cursor)


class Machine(Result):
    config: dict[str, object]
    loads: list[float]


def test_a_map_is_a_line_per_entry_and_a_line_break_does_not_break_it() -> None:
    result = Machine(config={"cores": 2, "description": "one\ntwo\n", "onboot": True}, loads=[0.5, 1.25])
    assert result.text() == "config.cores: 2\nconfig.description: one\\ntwo\nconfig.onboot: yes\nloads: 0.5, 1.25"
    assert Machine(config={}, loads=[]).text() == "config: {}\nloads: none"


class Held(Result):
    value: Value | None = None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_a_value_is_shown_as_it_is_and_always_fits_its_schema(value: Any) -> None:
    shown = Held(value=value).structured()
    jsonschema.validate(shown, Held.model_json_schema())
    if value is not None and not (
        isinstance(value, list) and any(item is None or isinstance(item, list) for item in value)
    ):
        assert shown == {"value": Held(value=value).value}
        assert type(shown["value"]) is type(value)


def test_items_that_are_lists_are_shown_as_text() -> None:
    assert Held(value=[1, [2, 3], None]).value == [1, "[2, 3]", "null"]
