"""The policy's bounds on how much is done: guests per hour, tasks at a time."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from proxmox_mcp.errors import LimitReached
from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.safety.policy import Limits

_HOUR = 3600


class Keeper:
    """Keeps the limits of a policy.

    Args:
        limits: the bounds.
        audit: knows what was done in the last hour, by this process, those before it and those beside it.
        now: a clock, in seconds since 1970.
    """

    def __init__(self, limits: Limits, audit: Audit, now: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._audit = audit
        self._now = now
        self._under_way = 0

    async def check(self, guests: Iterable[int], pve: Pve, user: str) -> None:
        """Check that one more call that changes these guests keeps within the limits.

        Raises:
            LimitReached: it does not.
        """
        self.check_guests(guests, pve.cluster)
        most = self._limits.tasks
        if most is None:
            return
        tasks = await pve.get("/cluster/tasks")
        running = sum(1 for task in tasks if "endtime" not in task and task.get("user") == user)
        if (at_work := max(running, self._under_way)) >= most:
            raise LimitReached(
                f"{at_work} tasks of this server run already; the policy allows {most} at a time.",
                "Wait for one of them with wait_for_task, then call again.",
            )

    def check_guests(self, guests: Iterable[int], cluster: str) -> None:
        """Check the limit on guests alone: again when the call is about to be done, for others went on meanwhile.

        Raises:
            LimitReached: too many guests were changed in the last hour.
        """
        most = self._limits.guests_per_hour
        wanted = set(guests)
        if most is None or not wanted:
            return
        done = self._changed_lately(cluster)
        if len(done | wanted) > most:
            raise LimitReached(
                f"{len(done)} guests were changed in the last hour; the policy allows {most}.",
                "Wait, or ask the operator to raise limits.guests_per_hour in the policy.",
            )

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a call as under way for as long as the block runs."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def _changed_lately(self, cluster: str) -> set[int]:
        since = datetime.fromtimestamp(self._now() - _HOUR, UTC).isoformat(timespec="milliseconds")
        return {
            int(vmid)
            for record in self._audit.recent()
            if record.get("event") == "begin"
            and record.get("cluster") == cluster
            and str(record.get("time", "")) >= since
            for vmid in record.get("guests", ())
        }
