"""Sizes, durations, moments."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.scenario.disks import size_text
from pvesim.scenario.values import read_duration, read_moment, read_size


@pytest.mark.parametrize(
    ("written", "size"),
    [(0, 0), (409600, 409600), ("512", 512), ("1K", 1024), ("32G", 32 << 30), ("1.5T", 3 << 39), ("2P", 2 << 50)],
)
def test_sizes(written: object, size: int) -> None:
    assert read_size(written) == size


@pytest.mark.parametrize(
    "written", [-1, 1.5, True, None, "", "32GB", "G", "-1G", "1 G", "١G", [], "2048P", "9" * 5000, 10**30]
)
def test_what_is_no_size(written: object) -> None:
    with pytest.raises(ValueError, match="a size is"):
        read_size(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (2.5, 2.5),
        ("45s", 45),
        ("2h30m", 9000),
        ("3d", 259200),
        ("1w1d", 691200),
        ("1y", 31536000),
        ("0.5h", 1800),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert read_duration(written) == seconds


@pytest.mark.parametrize(
    "written", [-1, True, None, "", "3", "3 d", "d3", "3q", math.inf, math.nan, "-3d", "31y", 10**30, "9" * 5000 + "s"]
)
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        read_duration(written)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        (0, 0),
        (1795409403, 1795409403),
        ("1970-01-02", 86400),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2026-11-23T04:50:03Z", 1795409403),
    ],
)
def test_moments_without_a_zone_are_utc(written: object, moment: float) -> None:
    assert read_moment(written) == moment


@pytest.mark.parametrize("written", [-1, True, None, "", "yesterday", 1e12])
def test_what_is_no_moment(written: object) -> None:
    with pytest.raises(ValueError, match="a moment is"):
        read_moment(written)


@given(st.integers(0, 1 << 50))
def test_a_size_as_pve_writes_it_is_read_back(size: int) -> None:
    assert read_size(size_text(size)) == size


@given(st.integers(1, 1000), st.sampled_from("KMGT"))
def test_a_size_is_written_in_its_largest_unit(number: int, unit: str) -> None:
    written: Any = f"{number}{unit}"
    assert len(size_text(read_size(written))) <= len(written)
