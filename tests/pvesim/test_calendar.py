"""When calendar events are due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.calendar import parse_calendar_event
from pvesim.contract.calendar_events import is_calendar_event
from tests.pvesim.small_world import small_simulator

START = "2023-11-14 22:13:20"  # a Tuesday
NUMBERS = st.one_of(
    st.just("*"), st.integers(0, 23).map(str), st.sampled_from(["*/7", "5/6", "3..9", "1..20/4", "0,12,23"])
)


def next_time(event: str, start: str = START) -> str | None:
    moment = parse_calendar_event(event).after(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp())
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("event", "due"),
    [
        ("minutely", "2023-11-14 22:14:00"),
        ("hourly", "2023-11-14 23:00:00"),
        ("daily", "2023-11-15 00:00:00"),
        ("weekly", "2023-11-20 00:00:00"),
        ("monthly", "2023-12-01 00:00:00"),
        ("quarterly", "2024-01-01 00:00:00"),
        ("semi-annually", "2024-01-01 00:00:00"),
        ("yearly", "2024-01-01 00:00:00"),
        ("*/15", "2023-11-14 22:15:00"),
        ("10", "2023-11-14 23:10:00"),
        ("22:13", "2023-11-15 22:13:00"),
        ("22:13:21", "2023-11-14 22:13:21"),
        ("8..17/4:00", "2023-11-15 08:00:00"),
        ("mon..fri 02:30", "2023-11-15 02:30:00"),
        ("Sat,sunday 1:00 UTC", "2023-11-18 01:00:00"),
        ("sat", "2023-11-18 00:00:00"),
        ("*-*-1 04:00", "2023-12-01 04:00:00"),
        ("2-29", "2024-02-29 00:00:00"),
        ("2024-12-31", "2024-12-31 00:00:00"),
        ("2020-1-1", None),
        ("2-30", None),
    ],
)
def test_the_next_time(event: str, due: str | None) -> None:
    assert is_calendar_event(event)
    assert next_time(event) == due


def test_a_moment_that_has_come_is_over() -> None:
    assert next_time("daily", "2023-11-15 00:00:00") == "2023-11-16 00:00:00"


@given(NUMBERS, NUMBERS, st.integers(0, 2_000_000_000))
def test_moments_are_later_and_of_the_form(hour: str, minute: str, start: int) -> None:
    event = parse_calendar_event(f"{hour}:{minute}")
    moment = event.after(start)
    assert moment is not None
    assert start < moment <= start + 86_400
    due = datetime.fromtimestamp(moment, UTC)
    assert (due.hour in event.hours, due.minute in event.minutes, due.second) == (True, True, 0)


def test_schedules_are_analyzed() -> None:
    simulator = small_simulator()
    path = "/cluster/jobs/schedule-analyze"
    params = {"schedule": "daily", "iterations": 2, "starttime": 1_700_000_000}
    assert simulator.request("GET", path, params) == [
        {"timestamp": 1_700_006_400, "utc": "Wed Nov 15 00:00:00 2023"},
        {"timestamp": 1_700_092_800, "utc": "Thu Nov 16 00:00:00 2023"},
    ]
    assert len(simulator.request("GET", path, {"schedule": "*:0/5"})) == 10
    assert simulator.request("GET", path, {"schedule": "2020-1-1"}) == []
