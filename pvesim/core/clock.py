"""Virtual time: when the things that are due in a world happen.

| mode | how time passes |
| --- | --- |
| `auto` | it stands still; a client that looks at a running task moves it to that task's next step (after the answer) |
| `scaled` | with real time: what takes one virtual second takes `scale` real seconds; 0 makes every task end at once |
| `manual` | only `advance` moves it |
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, get_args

from pvesim.core.errors import ClockError
from pvesim.core.tasks import Task, look_around, next_due, run_until
from pvesim.core.world import World

Mode = Literal["auto", "scaled", "manual"]
_FAR = 365 * 86400.0  # no task is followed further than this


class Clock:
    """Moves one world's time. `scale` is the number of real seconds that a virtual second takes."""

    def __init__(
        self, world: World, mode: Mode = "auto", scale: float = 1.0, real: Callable[[], float] = time.monotonic
    ) -> None:
        self._real = real
        self.world = world
        self.set_mode(mode, scale)

    def set_mode(self, mode: Mode, scale: float | None = None) -> None:
        """Change how time passes, from now on. Raises `ClockError` for an unknown mode or a negative scale."""
        if mode not in get_args(Mode):
            raise ClockError(f"no clock mode '{mode}': use one of {', '.join(get_args(Mode))}")
        if scale is not None and not 0 <= scale < float("inf"):
            raise ClockError(f"a time scale is a number from 0 up, not {scale}")
        self.mode: Mode = mode
        if scale is not None:
            self.scale = scale
        self.attach(self.world)

    def attach(self, world: World) -> None:
        """Go on with this world, from its own time (after a restore, or when the mode changed)."""
        self.world = world
        self._real_base, self._base = self._real(), world.now

    @property
    def now(self) -> float:
        """The virtual time in seconds since the epoch."""
        return self.world.now

    def tick(self) -> None:
        """Let happen what is due now; called before each request."""
        world = self.world
        look_around(world)
        if self.mode == "scaled":
            # At scale 0 tasks end at once, and the time in between passes as real time does.
            target = self._base + (self._real() - self._real_base) / (self.scale or 1.0)
            run_until(world, max(target, world.now))
        elif next_due(world) is not None:
            run_until(world, world.now)

    def started(self, upid: str) -> None:
        """Called when a request has started a task: at scale 0 it is run to its end at once."""
        if self.mode == "scaled" and self.scale == 0:
            self.run_until_done(upid)

    def polled(self, upid: str) -> None:
        """Called after an answer that showed a task running: in auto mode its next step happens now."""
        if self.mode == "auto":
            due = next_due(self.world, upid)
            if due is not None:
                run_until(self.world, due)

    def run_until_done(self, upid: str) -> None:
        """Move time to the end of a task, whatever the mode.

        Raises `ClockError` if it does not end within a year, or hangs.
        """
        limit = self.world.now + _FAR
        while (due := next_due(self.world, upid)) is not None:
            if due > limit:
                raise ClockError(f"task {upid} does not end within a year")
            run_until(self.world, due)
        self._rebase()
        task = self.world.get(Task, upid)
        if task is not None and task.running:
            raise ClockError(f"task {upid} hangs: abort it, or take away the fault that holds it")

    def advance(self, seconds: float) -> None:
        """Move time forward, running all that falls due. Raises `ClockError` if `seconds` is negative or not finite."""
        if not 0 <= seconds < float("inf"):
            raise ClockError(f"time moves forward only, by a number of seconds, not {seconds}")
        self.tick()
        run_until(self.world, self.world.now + seconds)
        self._rebase()

    def _rebase(self) -> None:
        self._real_base, self._base = self._real(), self.world.now
