"""Tasks and requests, chosen by what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar, overload

from pvesim.core.tasks import Task
from pvesim.engine import RequestRecord, Simulator
from pvesim.testing.views import Absent

T = TypeVar("T")
_API = "/api2/json"


class Chosen(Sequence[T]):
    """What was found, in order; true if it is anything."""

    def __init__(self, items: Sequence[T], told: Callable[[T], str]) -> None:
        self._items = list(items)
        self._told = told

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return "\n".join([f"{len(self)} found:", *(f"  {self._told(item)}" for item in self._items)])

    def only(self) -> T:
        """The one there is. Raises `Absent` if there are none, or several."""
        if len(self) != 1:
            raise Absent(f"expected one, {self!r}")
        return self._items[0]


def _told_task(task: Task) -> str:
    return f"{task.type} {task.id or '-'} on {task.node} by {task.owner}: {task.exitstatus or 'running'}"


class Tasks:
    """The tasks that were started since the test began, oldest first."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._before = frozenset(simulator.world.rows(Task))

    def _chosen(self, fits: Callable[[Task], bool]) -> Chosen[Task]:
        tasks = [task for task in self._simulator.world.rows(Task).values() if task.upid not in self._before]
        return Chosen([task for task in tasks if fits(task)], _told_task)

    @property
    def all(self) -> Chosen[Task]:
        """Every one."""
        return self._chosen(lambda _task: True)

    @property
    def running(self) -> Chosen[Task]:
        """Those that have not ended."""
        return self._chosen(lambda task: task.running)

    @property
    def failed(self) -> Chosen[Task]:
        """Those that ended otherwise than with `OK` or with warnings."""
        return self._chosen(lambda task: not (task.exitstatus or "OK").startswith(("OK", "WARNINGS:")))

    @property
    def succeeded(self) -> Chosen[Task]:
        """Those that ended with `OK` or with warnings."""
        return self._chosen(lambda task: (task.exitstatus or "").startswith(("OK", "WARNINGS:")))

    def of(self, type: str, id: str | int | None = None) -> Chosen[Task]:
        """Those of a type such as `qmstart`, of one guest if `id` is given."""
        return self._chosen(lambda task: task.type == type and (id is None or str(id) == task.id))

    def history(self) -> Chosen[Task]:
        """All that the cluster remembers, those of the scenario too."""
        return Chosen(list(self._simulator.world.rows(Task).values()), _told_task)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __repr__(self) -> str:
        return repr(self.all)


def _told_request(request: RequestRecord) -> str:
    return f"{request.verb} {request.path} by {request.user or '-'}: {request.status} {request.reason}"


class Requests:
    """The requests that clients have made (those of a test's own `pve.request` are none), oldest first."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def matching(
        self,
        verb: str | None = None,
        path: str = "*",
        *,
        status: int | None = None,
        user: str | None = None,
    ) -> Chosen[RequestRecord]:
        """Those of a verb whose path fits a pattern, such as `/nodes/*/qemu/100/*`; `*` stands for any text."""
        pattern = path if path.startswith(("/api2/", "*")) else _API + path
        return Chosen(
            [
                request
                for request in self._simulator.requests
                if verb in (None, request.verb)
                and fnmatchcase(request.path, pattern)
                and status in (None, request.status)
                and user in (None, request.user)
            ],
            _told_request,
        )

    @property
    def all(self) -> Chosen[RequestRecord]:
        """Every one that is kept."""
        return self.matching()

    @property
    def refused(self) -> Chosen[RequestRecord]:
        """Those with a status of 400 and above."""
        return Chosen([request for request in self.all if request.status >= 400], _told_request)

    @property
    def writes(self) -> Chosen[RequestRecord]:
        """Those that are no GET, without logins."""
        tickets = f"{_API}/access/ticket"
        return Chosen([r for r in self.all if r.verb != "GET" and r.path != tickets], _told_request)

    def clear(self) -> None:
        """Forget them."""
        self._simulator.requests.clear()

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self._simulator.requests)

    def __repr__(self) -> str:
        return repr(self.all)
