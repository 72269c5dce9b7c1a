"""Which tests ask which methods of the API, and what each method did when they asked: the data of docs/coverage.md.

`docs/asked.py` runs the tests with `PVESIM_ASKED` naming a folder; every process of the run leaves a file there.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from pvesim.core.errors import Failure
from pvesim.core.log import LogEntry
from pvesim.core.world import Counter
from pvesim.engine import Simulator
from pvesim.routing import Answer

FOLDER = "PVESIM_ASKED"
# These ask for many things in passing, and are about no method.
_PASSING = ("tests/pvesim/properties/", "tests/pvesim/live/", "tests/pvesim/keeping/", "tests/pvesim/scenario/")
_NO_STATE: tuple[type[Any], ...] = (Counter, LogEntry)


class Recorder:
    """By method, what the answers did and the tests that asked."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def wrap(self, unrecorded: Any) -> Any:
        """A `Simulator._dispatch` that records."""

        def recorded(simulator: Simulator, verb: str, path: str, given: dict[str, Any], identity: Any) -> Answer:
            before = _revisions(simulator)
            try:
                answer: Answer = unrecorded(simulator, verb, path, given, identity)
            except Failure:
                self._note(simulator, verb, path, "refuses")
                raise
            self._note(simulator, verb, path, _effect(answer, before != _revisions(simulator)))
            return answer

        return recorded

    def _note(self, simulator: Simulator, verb: str, path: str, effect: str) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        found = simulator.contract.find(verb, [part for part in path.split("/") if part])
        if found is not None and test and not test.startswith(_PASSING):
            self.seen[f"{verb} {found[0].path}"][effect].add(test)

    def write(self, folder: str) -> None:
        """Leave what was recorded in a file of this process."""
        found = {method: {effect: sorted(tests) for effect, tests in by.items()} for method, by in self.seen.items()}
        Path(folder, f"{os.getpid()}.json").write_bytes(orjson.dumps(found))


def _revisions(simulator: Simulator) -> Mapping[type[Any], int]:
    revisions = simulator.world._revisions
    return {kind: number for kind, number in revisions.items() if kind not in _NO_STATE}


def _effect(answer: Answer, changed: bool) -> str:
    if isinstance(answer.data, str) and answer.data.startswith("UPID:"):
        return "starts a task"
    return "writes" if changed else "answers"
