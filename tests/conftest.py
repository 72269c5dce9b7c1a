"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings

from pvesim.contract import fits
from pvesim.contract.answers import GENUINE_MISFITS, PRESUMED_MISFITS
from pvesim.engine import Simulator
from pvesim.routing import Answer
from pvesim.wire import to_json
from tests.asked import FOLDER, Recorder

# No test is timed: on a machine that is busy with other things nothing else is true than on a quiet one.
settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio: the MCP SDK and uvicorn are used on no other loop here."""
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def state_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes to the audit, or the approvals, of the person who runs it; nor do the processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True, scope="session")
def answers_fit_the_contract() -> Iterator[None]:
    """Whatever a test asks a simulator in this process, the answer has the shape that PVE's schema promises."""
    unchecked = Simulator._dispatch

    def checked(self: Simulator, verb: str, path: str, given: dict[str, Any], identity: Any) -> Answer:
        answer = unchecked(self, verb, path, given, identity)
        found = self.contract.find(verb, [part for part in path.split("/") if part])
        if found is not None and answer.raw is None and (verb, found[0].path) not in GENUINE_MISFITS | PRESUMED_MISFITS:
            problems = fits(found[0].returns, orjson.loads(to_json(answer.data)))
            assert not problems, f"{verb} {path} does not answer as promised: {'; '.join(problems[:5])}"
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulator, "_dispatch", checked)
        yield


@pytest.fixture(autouse=True, scope="session")
def asked_methods(answers_fit_the_contract: None) -> Iterator[None]:
    """For `python docs/asked.py`: record which tests ask which methods."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        yield
        return
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulator, "_dispatch", recorder.wrap(Simulator._dispatch))
        yield
    recorder.write(folder)
