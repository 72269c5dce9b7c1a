"""A simulator whose world is kept in a state file."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from pvesim.access.login import set_password
from pvesim.access.rules import ROOT
from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.keeping.statefile import StateError, StateFile

_TIME_EVERY = 1.0  # real seconds after which the time is written where nothing else was


class KeptSimulator(Simulator):
    """A `Simulator` whose every change is in the file `state` before the one who asked for it has the answer.

    Where the file is there, the world is the one in it, its tasks where they were; else it begins as the scenario, and
    the file is made. `title` is what the scenario is called: a file with a world of another one is refused. `reset`
    goes back to the scenario; checkpoints are not kept. Raises `StateError`, and `ScenarioError` as `Simulator` does.
    """

    def __init__(self, scenario: Any = None, *, state: str | Path, title: str = "", **options: Any) -> None:
        super().__init__(scenario, **options)
        path = Path(state)
        self.resumed = path.exists()
        if self.resumed:
            self._file = StateFile(path)
            try:
                self._resume(title, options.get("root_password"))
            except BaseException:
                self.close()  # the file is free again for whoever mends it
                raise
        else:
            self._file = StateFile.create(path, self.world, title)
        self._watched: World = self.world
        self._watched.track()
        self._written = time.monotonic()
        self._lock = _SavingLock(self)
        with self._lock:
            pass  # a new password is a change already

    def _resume(self, title: str, root_password: str | None) -> None:
        if title and self._file.scenario != title:
            before = self._file.scenario
            raise StateError(f"{self._file.path}: this is a world of the scenario '{before}', not of '{title}'")
        self.world = self._file.load()
        self.clock.attach(self.world)
        if root_password is not None:
            self._file.write_all(self._with_password(root_password))

    def _with_password(self, password: str) -> World:
        set_password(self.world, ROOT, password)
        return self.world

    def close(self) -> None:
        """Give the file back: nothing is written any more."""
        self._file.close()

    def save(self) -> None:
        """Write what has changed since the last time. Raises `Failure` if it cannot be; the next time tries again."""
        world = self.world
        try:
            if world is not self._watched:  # another moment took its place
                self._file.write_all(world)
                self._watched = world
                world.track()
            else:
                touched = world.touched
                if not touched and time.monotonic() - self._written < _TIME_EVERY:
                    return
                self._file.write(world, touched.items())
                touched.clear()
        except StateError as error:
            raise Failure(f"pvesim: {error}") from error
        self._written = time.monotonic()


class _SavingLock:
    """The lock of a simulator, which writes what has changed before the outermost holder gives it back."""

    def __init__(self, simulator: KeptSimulator) -> None:
        self._simulator = simulator
        self._lock = threading.RLock()
        self._depth = 0

    def __enter__(self) -> _SavingLock:
        self._lock.acquire()
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._depth == 1:
                self._simulator.save()
        finally:
            self._depth -= 1
            self._lock.release()
