"""Records of the replication area. Times are virtual seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass

from pvesim.core.sections import Section
from pvesim.core.world import World


class ReplicationJob(Section):
    """A job `100-0`; among its options are `guest`, `jobnum`, `source` and `target`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ReplicationState:
    """How a job has fared. `pid` is set while it runs; `log` is of the latest run."""

    id: str
    last_try: float = 0.0
    last_sync: float = 0.0
    duration: float = 0.0
    fail_count: int = 0
    error: str = ""
    pid: int | None = None
    asked: bool = False  # by hand, ahead of the schedule
    log: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.id


def jobs_of(world: World, vmid: int) -> list[ReplicationJob]:
    """The jobs of a guest, by id."""
    jobs = [job for job in world.rows(ReplicationJob).values() if job.options["guest"] == vmid]
    return sorted(jobs, key=lambda job: job.id)
