"""When a schedule is next due: calendar events such as `mon..fri 02:30`, `*/15`, `daily`, `*-*-1 04:00`.

The form is systemd's as far as PVE's scheduler takes it; `pvesim.contract.calendar_events` tells what that is.
All times are UTC. Source: recorded exchange `cluster/040`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_KEYWORDS = {
    "minutely": "*:*",
    "hourly": "*:00",
    "daily": "00:00",
    "weekly": "mon 00:00",
    "monthly": "*-*-1 00:00",
    "quarterly": "*-1,4,7,10-1 00:00",
    "semiannually": "*-1,7-1 00:00",
    "semi-annually": "*-1,7-1 00:00",
    "yearly": "*-1-1 00:00",
    "annually": "*-1-1 00:00",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_YEARS, _MONTHS, _MONTH_DAYS = (1970, 2199), (1, 12), (1, 31)
_HOURS, _SIXTY = (0, 23), (0, 59)
_FARTHEST = timedelta(days=12 * 366)  # a 29th of February on a given weekday may be that far away

Values = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """The values that each part of a moment may have, lowest first; `weekdays` count from Monday, which is 0."""

    weekdays: Values
    years: Values
    months: Values
    days: Values
    hours: Values
    minutes: Values
    seconds: Values

    def after(self, time: float) -> int | None:
        """The first moment later than `time` (seconds since the epoch), or None if there is none."""
        earliest = datetime.fromtimestamp(int(time) + 1, UTC)
        day = earliest.replace(hour=0, minute=0, second=0)
        while day - earliest < _FARTHEST and day.year <= self.years[-1]:
            if self._on(day):
                for moment in self._moments(day):
                    if moment >= earliest:
                        return int(moment.timestamp())
            day += timedelta(days=1)
        return None

    def _on(self, day: datetime) -> bool:
        return (
            day.day in self.days
            and day.month in self.months
            and day.weekday() in self.weekdays
            and day.year in self.years
        )

    def _moments(self, day: datetime) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                for second in self.seconds:
                    yield day.replace(hour=hour, minute=minute, second=second)


def parse_calendar_event(text: str) -> CalendarEvent:
    """Read a calendar event that has been verified."""
    words = [word for word in text.lower().split() if word != "utc"]
    if len(words) == 1 and words[0] in _KEYWORDS:
        words = _KEYWORDS[words[0]].split()
    weekdays = _read_weekdays(words.pop(0)) if words[0][0].isalpha() else tuple(range(7))
    date = words.pop(0) if words and "-" in words[0] else "*-*-*"
    years, months, days = _read_date(date)
    hours, minutes, seconds = _read_time(words[0] if words else "00:00")
    return CalendarEvent(weekdays, years, months, days, hours, minutes, seconds)


def _read_weekdays(text: str) -> Values:
    days: set[int] = set()
    for item in text.split(","):
        first, _, last = item.partition("..")
        low = _DAYS.index(first[:3])
        high = _DAYS.index(last[:3]) if last else low
        days.update(range(low, high + 1) if low <= high else (*range(low, 7), *range(high + 1)))
    return tuple(sorted(days))


def _read_date(text: str) -> tuple[Values, Values, Values]:
    parts = text.split("-")
    year = parts[0] if len(parts) == 3 else "*"
    return _read_list(year, _YEARS), _read_list(parts[-2], _MONTHS), _read_list(parts[-1], _MONTH_DAYS)


def _read_time(text: str) -> tuple[Values, Values, Values]:
    parts = text.split(":")
    if len(parts) == 1:  # minutes of every hour
        parts = ["*", *parts]
    second = parts[2] if len(parts) == 3 else "0"
    return _read_list(parts[0], _HOURS), _read_list(parts[1], _SIXTY), _read_list(second, _SIXTY)


def _read_list(text: str, bounds: tuple[int, int]) -> Values:
    values: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, dots, last = span.partition("..")
        low = bounds[0] if first == "*" else int(first)
        high = int(last) if dots else bounds[1] if first == "*" or slash else low
        values.update(range(low, high + 1, int(step) if slash else 1))
    return tuple(sorted(values))
