"""Everything that can go wrong in a simulated cluster, as one tree.

    SimError
      ApiError                an answer other than 200: status, message, errors by field
        Unauthorized          401  who asks is not known, or sent no CSRF token
        Forbidden             403  who asks lacks a privilege
        ParameterErrors       400  "Parameter verification failed." with the text for each field
        Failure               500  what PVE's code "dies" with; ends a task when a step raises it
          Busy                500  something is in use; who can wait a while may find it free
        NoSuchMethod          501  no such path, or not with this verb
        NotModelled           501  a method of PVE that this simulator does not model (our own words)
        NodeUnreachable       595  the node is known and does not answer
      BrokenConnection        a fault keeps the answer from a client that has no connection of its own
      FaultError              a fault or an incident that cannot be: says why
      ScenarioError           a scenario file that cannot be loaded; says where
      ClockError              a clock asked for what its mode does not do

`ApiError.message` is the text as PVE says it, without a trailing newline; the engine writes the answer from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class SimError(Exception):
    """Base of everything that this package raises on purpose."""


class ApiError(SimError):
    """An answer other than 200, with PVE's status and text."""

    status = 500

    def __init__(self, message: str, errors: Mapping[str, str] | None = None, *, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = dict(errors) if errors else None
        if status is not None:
            self.status = status


class Unauthorized(ApiError):
    """401. PVE puts the text in the reason phrase and sends no body, except for a failed login (`body=True`).

    `kept` is a record that stays though the request is refused: wrong answers are counted.
    """

    status = 401
    kept: Any = None

    def __init__(self, message: str, *, body: bool = False, delay: float = 0.0) -> None:
        super().__init__(message)
        self.body = body
        self.delay = delay


class Forbidden(ApiError):
    """403, such as `Permission check failed (/vms/100, VM.Audit)`."""

    status = 403


class ParameterErrors(ApiError):
    """400. `errors` holds the text of every bad field, newlines as PVE sends them."""

    status = 400

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("Parameter verification failed.", errors)


class Failure(ApiError):
    """500. What PVE's own code dies with; raised inside a task's step, it ends the task with this text."""


class Busy(Failure):
    """500. PVE waits some seconds before it gives up with this.

    `wait` lets that time pass and says whether trying again is worth it; where it is not, nothing has happened.
    """

    def __init__(self, message: str, wait: Callable[[], bool]) -> None:
        super().__init__(message)
        self.wait = wait


class NoSuchMethod(ApiError):
    """501. Its message is the one kind that PVE sends without a trailing newline."""

    status = 501


class NotModelled(NoSuchMethod):
    """501 in our own words: the method exists in PVE and passed every check, and is not simulated."""


class NodeUnreachable(ApiError):
    """595. The node belongs to the cluster and does not answer."""

    status = 595


class BrokenConnection(SimError):
    """A fault dropped, cut or garbled the answer of a request made without a connection; says if it was carried out."""


class FaultError(SimError):
    """A fault, an incident or an entry of a timeline that cannot be: an unknown node, no effect, a name in use."""


class ScenarioError(SimError):
    """A scenario that cannot be loaded. `problems` has one line for each, with its place in the file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ClockError(SimError):
    """A clock was asked for something that its mode does not do."""
