"""What may be written of faults, incidents and their timeline: in a scenario, in Python, and over the control API."""

# ruff: noqa: RUF012 - a pydantic model copies its defaults for every instance.
from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from pvesim.scenario.values import Duration, Model, NodeName, Share, Vmid, read_duration

# What PVE's daemon says with these where no text is given.
MESSAGES = {
    400: "Parameter verification failed.",
    401: "permission denied - invalid PVE ticket",
    403: "Permission check failed",
    500: "got timeout",
    501: "Method not implemented",
    503: "Service Unavailable",
    595: "No route to host",
    596: "Connection timed out",
    599: "Too many redirections",
}
FaultName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_REQUEST_EFFECTS = ("delay", "error", "connection")
_STEP_EFFECTS = ("fail", "hang", "warn")


class ErrorModel(Model):
    """An answer with an error, as PVE writes one. `errors` are texts by parameter."""

    status: int = Field(ge=400, le=599)
    message: str | None = Field(None, min_length=1, max_length=2000)
    errors: dict[str, str] = {}

    @property
    def text(self) -> str:
        """The message, or what PVE usually says with the status."""
        return self.message or MESSAGES.get(self.status, "error")


def _hang(value: Any) -> Any:
    return value if isinstance(value, bool) else read_duration(value)


Hang = Annotated[
    bool | float,
    BeforeValidator(_hang),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0}, {"type": "string"}]}),
]


class FaultModel(Model):
    """A rule by which requests, tasks or both go wrong.

    It matches what all of the given fields match: `method` and `path` (`*` is one part, `**` any number) a request,
    `task` (a type such as `qmigrate`) a task, `user`, `guest`, `node` and `storage` both. It strikes with
    `probability`, `count` times at most, from `after` on and `for` so long.
    On requests: `delay`, `error`, `connection` (`drop`: not carried out, no answer; `lose`: carried out, no answer;
    `cut`: half an answer; `garbage`: an answer that is no JSON). On tasks, before the step number `step` (at the end if
    there are fewer), or after one that logs the text `log`: `warn` with a line, `hang` (for ever, or so long), `fail`
    with a text; and `slow`, a factor.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"] | None = None
    path: str | None = Field(None, pattern=r"^/", max_length=300)
    user: str | None = Field(None, min_length=1)
    guest: Vmid | None = None
    node: str | None = None
    storage: str | None = None
    task: str | None = Field(None, pattern=r"^(?:[a-zA-Z0-9]+|\*)$")

    probability: Share = 1.0
    count: int | None = Field(None, ge=1)
    after: Duration = 0.0
    for_: Duration | None = Field(None, alias="for")

    delay: Duration | None = None
    error: ErrorModel | None = None
    connection: Literal["drop", "lose", "cut", "garbage"] | None = None

    step: int = Field(0, ge=0)
    log: str | None = Field(None, min_length=1, max_length=2000)
    fail: str | None = Field(None, min_length=1, max_length=2000)
    hang: Hang | None = None
    warn: str | None = Field(None, min_length=1, max_length=2000)
    slow: float | None = Field(None, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _fits_together(self) -> FaultModel:
        requests = any(getattr(self, name) is not None for name in _REQUEST_EFFECTS)
        steps = any(getattr(self, name) not in (None, False) for name in _STEP_EFFECTS)
        tasks = steps or self.slow is not None
        if not (requests or tasks):
            raise ValueError(f"say what goes wrong: one of {', '.join((*_REQUEST_EFFECTS, *_STEP_EFFECTS, 'slow'))}")
        if not requests and (self.method or self.path):
            raise ValueError("method and path are for requests: give delay, error or connection")
        if not tasks and self.task:
            raise ValueError("task is for tasks: give fail, hang, warn or slow")
        if not steps and (self.step or self.log):
            raise ValueError("step and log say when a task fails, hangs or warns: give one of these")
        if self.step and self.log:
            raise ValueError("step and log are two ways to say when: give one of them")
        return self


class NamedFaultModel(FaultModel):
    """A fault that a timeline adds; it has a name by which it can be taken away."""

    name: FaultName


class GuestLockModel(Model):
    """A lock on a guest's configuration, as one that a task has left behind."""

    guest: Vmid
    lock: Literal[
        "backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete", "suspended", "suspending"
    ] = "backup"


class IncidentModel(Model):
    """One thing that happens to the cluster; exactly one field is given.

    A storage is named `nas`, or `pve1/local` where it is on one node.
    """

    node_offline: NodeName | None = None
    node_online: NodeName | None = None
    quorum_lost: Literal[True] | None = None
    quorum_back: Literal[True] | None = None
    storage_full: str | None = None
    storage_freed: str | None = None
    storage_offline: str | None = None
    storage_online: str | None = None
    guest_hangs: Vmid | None = None
    guest_recovers: Vmid | None = None
    agent_dies: Vmid | None = None
    agent_returns: Vmid | None = None
    guest_locked: GuestLockModel | None = None
    guest_unlocked: Vmid | None = None
    token_expires: str | None = None
    fault: NamedFaultModel | None = None
    fault_over: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> IncidentModel:
        if sum(getattr(self, name) is not None for name in INCIDENTS) != 1:
            raise ValueError(f"say what happens: exactly one of {', '.join(INCIDENTS)}")
        return self

    @property
    def incident(self) -> tuple[str, Any]:
        """Its name and its argument as plain data."""
        name = next(name for name in INCIDENTS if getattr(self, name) is not None)
        value = getattr(self, name)
        return name, value.model_dump(exclude_unset=True, by_alias=True) if isinstance(value, Model) else value


INCIDENTS = tuple(IncidentModel.model_fields)


class WhenModel(Model):
    """A task to wait for: the next one of this type (and id, and node) that starts, logs a text, or has ended."""

    task: str = Field(pattern=r"^[a-zA-Z0-9]+$")
    id: str | int | None = None
    node: str | None = None
    log: str | None = Field(None, min_length=1)
    ended: bool = False


class TimelineModel(IncidentModel):
    """An entry of the timeline: an incident `at` so long after the beginning, or `after` so long from `when`."""

    at: Duration | None = None
    when: WhenModel | None = None
    after: Duration = 0.0

    @model_validator(mode="after")
    def _one_moment(self) -> TimelineModel:
        if (self.at is None) == (self.when is None):
            raise ValueError("say when it happens: one of at and when")
        if self.after and self.when is None:
            raise ValueError("after goes with when")
        return self
