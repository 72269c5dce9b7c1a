"""Whatever a write is given, it is refused with nothing changed, or done as PVE would; never anything else.

Every run tries a part of the cases, `PVESIM_DEEP=1` all of them.
"""

from __future__ import annotations

import re

import pytest

from pvesim.contract import Method
from pvesim.core.errors import ApiError, ParameterErrors
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.storage.records import Volume
from tests.pvesim.properties.hostile import HOSTILE, Case, cases, furnished, short, sound, writes
from tests.pvesim.properties.profiles import DEEP

SHARE = 100 if DEEP else 60  # percent of the cases


@pytest.mark.parametrize("method", writes(), ids=lambda method: f"{method.verb} {method.path}")
def test_a_write_survives_anything(method: Method) -> None:
    simulator = furnished().fork()
    simulator.checkpoint("before")
    for case in cases(method):
        if case.chance < SHARE:
            attempt(simulator, case)


def attempt(simulator: Simulator, case: Case) -> None:
    """Ask, and look at what became of it."""
    before = simulator.world.fork()
    where = f"{case.verb} {case.path} with {case.label}"
    error: ApiError | None = None
    try:
        simulator.request(case.verb, case.path, case.params)
    except ApiError as refused:
        error = refused
    except Exception as crash:
        raise AssertionError(f"{where} crashes the simulator: {crash!r}") from crash
    if case.field is not None:
        assert isinstance(error, ParameterErrors), f"{where} is not refused as a parameter error: {error}"
        named = error.errors or {}
        assert any(case.field in re.split(r"[.\[\]]", name) for name in named), f"{where}: only {list(named)}"
    if error is not None:
        assert before.diff(simulator.world) == [], f"{where} is refused and changes something"
        return
    simulator.clock.advance(90)
    assert list(traces(simulator.world)) == [], where
    simulator.restore("before")


def traces(world: World) -> list[str]:
    """Names and values in the world that would harm a real node."""
    found = [volume.volid for volume in world.rows(Volume).values() if is_hostile(volume.name)]
    for guest in world.rows(Guest).values():
        found += [
            f"{guest.vmid} {key}"
            for key, text in [*guest.config.items(), *guest.pending.items()]
            if key != "description" and "\n" in str(text)
        ]
    return found


def is_hostile(name: str) -> bool:
    return ".." in name.split("/") or any(character < " " for character in name) or name.startswith("/")


def test_there_is_something_to_try() -> None:
    everything = [case for method in writes() for case in cases(method)]
    assert len(everything) > 20_000
    assert {case.label.partition(" ")[2] for case in everything} >= {"missing", f"is {short(HOSTILE[0])}"}


def test_most_requests_would_be_done_but_for_the_spoilt_parameter() -> None:
    simulator = furnished().fork()
    simulator.checkpoint("before")
    done = [method for method in writes() if answers(simulator, sound(method))]
    assert len(done) > len(writes()) / 2


def answers(simulator: Simulator, case: Case) -> bool:
    simulator.restore("before")
    try:
        simulator.request(case.verb, case.path, case.params)
    except ApiError:
        return False
    return True
