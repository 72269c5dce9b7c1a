"""The policy's bounds on how much is done: guests per hour, tasks at a time."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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
        running = sum(1 for task in tasks if "endtime" not in task and _owner(task) == user)
        if (at_work := max(running, self._under_way)) >= most:
            raise LimitReached(
                f"{at_work} tasks of this server run already; the policy allows {most} at a time.",
                "Wait for one of them with wait_for_task, then call again.",
            )

    def check_start(self, guests: Iterable[int], cluster: str) -> None:
        """Check what this process knows by itself, in the moment in which a call begins.

        Between the check and the call others begin: of many that were let through at once, so many begin as may.

        Raises:
            LimitReached: too many guests were changed in the last hour, or too many calls are under way.
        """
        self.check_guests(guests, cluster)
        most = self._limits.tasks
        if most is not None and self._under_way >= most:
            raise LimitReached(
                f"{self._under_way} calls of this server are under way already; the policy allows {most} at a time.",
                "Wait for one of them, then call again.",
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
        calls: set[Any] = set()
        guests: set[int] = set()
        for record in reversed(list(self._audit.since(self._now() - _HOUR))):
            if record.get("event") == "begin" and record.get("cluster") == cluster:
                calls.add(record.get("call"))
            elif record.get("event") != "end" or record.get("call") not in calls:
                continue
            guests.update(int(vmid) for vmid in record.get("guests", ()))
        return guests


def _owner(task: Mapping[str, Any]) -> str:
    """Who started a task, as `root@pam` or `root@pam!token`: PVE tells the two in one field, or in two."""
    user, token = str(task.get("user", "")), task.get("tokenid")
    return f"{user}!{token}" if token and "!" not in user else user
