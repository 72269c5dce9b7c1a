"""The same seed and the same requests give the same answers, byte for byte, in any process."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.pvesim.properties.sessions import Session, digest, transcript
from tests.pvesim.properties.worlds import cluster

ROOT = Path(__file__).parents[3]


@cache
def known(seed: int) -> tuple[bytes, ...]:
    return tuple(transcript(seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_simulators_answer_alike(seed: int) -> None:
    assert known(seed) == tuple(transcript(seed))


def test_another_seed_is_another_session() -> None:
    assert known(1) != known(2)


def test_most_of_a_session_is_answered() -> None:
    """A session of refusals alone would prove little."""
    answers = [answer for seed in (1, 2, 3) for answer in known(seed)]
    assert sum(answer.startswith(b"(200,") for answer in answers) > len(answers) / 3


@pytest.mark.parametrize("hash_seed", ["1", "4711"])
def test_the_order_of_hashes_does_not_show(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.pvesim.properties.sessions", "3"]
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    assert other.stdout == digest(known(3))


def test_a_fork_goes_on_as_its_original_would() -> None:
    original = Session(cluster(2), 9)
    for _ in range(60):
        original.ask()
    fork = Session(original.sim.fork(), 0)
    fork.random.setstate(original.random.getstate())
    assert [original.answer() for _ in range(60)] == [fork.answer() for _ in range(60)]
    assert original.sim.world.diff(fork.sim.world) == []
