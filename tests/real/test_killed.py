"""A run that is killed at a random moment, and then swept, leaves the node as it was: byte for byte in its dump.

Killed is the line to the node: from a request on, drawn at random among all that change something, those of the MCP
tools included, nothing reaches it any more. `python -m tests.real.killing` kills processes instead, which takes longer.
"""

import random
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from pvesim.scenario import load
from tests.contract.runner import FOLDER
from tests.real.conftest import Served
from tests.real.node import NodeUnfit, SetupFailed
from tests.real.run import run_all
from tests.real.sweep import sweep

SOME = {name: load(FOLDER / "contract" / f"{name}.yaml") for name in ("api", "networking", "firewall")}
WRITES = 55


class Killed(requests.exceptions.SSLError):
    """The process is gone. It is no error after which a read would be repeated."""


class Line:
    """All requests to the node, until one of those that change something; it may arrive, but its answer does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, moment: int, *, arrives: bool) -> None:
        self.writes = 0
        whole = HTTPAdapter.send

        def send(adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
            self.writes += request.method != "GET"
            if self.writes < moment:
                return whole(adapter, request, *args, **options)
            if self.writes == moment and arrives and request.method != "GET":
                whole(adapter, request, *args, **options)
                self.writes += 1
            raise Killed

        monkeypatch.setattr(HTTPAdapter, "send", send)
        monkeypatch.setattr("tests.real.target.Real.patience", 0.0)


def test_the_moments_lie_within_the_run(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    node = served.node()
    with monkeypatch.context() as patch:
        line = Line(patch, 10**6, arrives=False)
        run_all(node, lambda text: None, only=SOME)
    node.close()
    assert line.writes >= WRITES


@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_is_killed_is_swept(served: Served, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    before = served.state()
    chance = random.Random(seed)
    dying = served.node()
    with monkeypatch.context() as patch:
        Line(patch, chance.randint(2, WRITES), arrives=chance.random() < 0.5)
        with pytest.raises((NodeUnfit, SetupFailed)):
            run_all(dying, lambda text: None, only=SOME)
    dying.close()
    node = served.node()
    if served.state() != before:
        with pytest.raises(NodeUnfit, match="sweep the node first"):
            run_all(node, lambda text: None, only=SOME)
        sweep(node)
    node.close()
    assert served.state() == before


def test_a_run_with_ids_and_a_pool_of_its_own_is_swept_without_being_told_them(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served.state()
    dying = served.node()
    with monkeypatch.context() as patch:
        Line(patch, 12, arrives=True)
        with pytest.raises((NodeUnfit, SetupFailed)):
            run_all(dying, lambda text: None, pool="other", first=500, last=599, only=SOME)
    dying.close()
    assert served.state() != before
    node = served.node()
    assert "pool other" in sweep(node)
    node.close()
    assert served.state() == before
