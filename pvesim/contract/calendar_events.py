"""Calendar events: when a job runs. `mon..fri 02:30`, `*/15`, `daily`, `*-*-1 04:00`.

The form is that of systemd's calendar events as far as PVE's scheduler takes it. Bounds are inclusive.
"""

from __future__ import annotations

import re

from pvesim.contract.format_errors import FormatError

_KEYWORDS = frozenset(
    ("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "semi-annually", "yearly")
) | {"annually"}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY_NAMES = frozenset(_DAYS) | {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}


def _item_fits(item: str, low: int, high: int) -> bool:
    """One of `*`, `5`, `1..5`, each with an optional `/step`."""
    match = re.fullmatch(r"(?:\*|(\d{1,4})(?:\.\.(\d{1,4}))?)(?:/(\d{1,4}))?", item, re.ASCII)
    if match is None:
        return False
    first, last, step = (None if group is None else int(group) for group in match.groups())
    if first is not None and not low <= first <= high:
        return False
    if last is not None and not (first is not None and first < last <= high):
        return False
    return step is None or 0 < step <= high


def _list_fits(text: str, low: int, high: int) -> bool:
    return all(_item_fits(item, low, high) for item in text.split(","))


def _is_days(text: str) -> bool:
    for item in text.lower().split(","):
        first, dots, last = item.partition("..")
        names = (first, last) if dots else (first,)
        if any(name not in _DAY_NAMES for name in names):
            return False
        if dots and _DAYS.index(first[:3]) >= _DAYS.index(last[:3]) and last[:3] != "sun":
            return False
    return True


def _is_date(text: str) -> bool:
    parts = text.split("-")
    bounds = ((1970, 2199), (1, 12), (1, 31))[3 - len(parts) :]
    return len(parts) in (2, 3) and all(_list_fits(part, *bound) for part, bound in zip(parts, bounds, strict=True))


def _is_time(text: str) -> bool:
    parts = text.split(":")
    if len(parts) == 1:
        return _list_fits(parts[0], 0, 59)
    bounds = ((0, 23), (0, 59), (0, 59))[: len(parts)]
    return len(parts) <= 3 and all(_list_fits(part, *bound) for part, bound in zip(parts, bounds, strict=True))


def is_calendar_event(text: str) -> bool:
    """Whether PVE's scheduler can read the text: a keyword, or days, date and time in this order, each optional."""
    words = text.split()
    if words and words[-1].upper() == "UTC":
        words.pop()
    if not words:
        return False
    if len(words) == 1 and words[0].lower() in _KEYWORDS:
        return True
    for kind in (_is_days, _is_date, _is_time):
        if words and kind(words[0]):
            words.pop(0)
    return not words


def calendar_event(text: str) -> None:
    """Raises FormatError unless `is_calendar_event`; the text ends in a line feed of its own (recorded exchange)."""
    if not is_calendar_event(text):
        raise FormatError(f"invalid calendar event '{text}' - unable to parse calendar event\n")
