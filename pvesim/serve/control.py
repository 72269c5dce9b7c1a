"""The control API under `/_sim/`: what a person or a test does to a served world from outside PVE's API.

Typed FastAPI routes; the description is at `/_sim/openapi.json` and, for reading, at `/_sim/docs`. Only clients on
the same machine are served, unless it is opened by name: it has no login, and it can undo everything.
Every error is `{"error": "one text"}`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from pvesim.core.errors import SimError
from pvesim.core.tasks import Task
from pvesim.serve.control_faults import fault_routes
from pvesim.serve.dashboard.routes import build_page_routes

Mode = Literal["auto", "scaled", "manual"]
_YEAR = 365 * 86400.0


class Controlled(Protocol):
    """What the control API needs of a `Simulator`."""

    clock: Any
    requests: Any
    world: Any
    faults: Any

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while a request is answered."""

    def summary(self) -> Mapping[str, Any]:
        """What the world holds, in figures."""

    def reset(self) -> None:
        """Back to the scenario as it was loaded."""

    def dump(self) -> str:
        """The world as a scenario in YAML."""

    def checkpoint(self, name: str) -> None:
        """Keep the world as it is now under a name."""

    def restore(self, name: str) -> None:
        """Back to a checkpoint."""

    def diff(self, before: str, after: str) -> Any:
        """What changed between two moments."""

    @property
    def checkpoints(self) -> list[str]:
        """The names of all checkpoints."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Health(BaseModel):
    """The server lives."""

    status: Literal["ok"] = "ok"


class Done(BaseModel):
    """A command was carried out."""

    done: str = Field(description="what was done, in words")


class ErrorAnswer(BaseModel):
    """Why a command was not carried out."""

    error: str


class CheckpointName(_Strict):
    """Which checkpoint to make. One of the same name is replaced."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


class Checkpoints(BaseModel):
    """All checkpoints by name."""

    checkpoints: list[str]


class FieldDifference(BaseModel):
    """One field of a thing, such as `config.memory`; null where it was not there."""

    field: str
    before: Any
    after: Any


class RecordDifference(BaseModel):
    """One thing that is different."""

    kind: str
    key: Any
    name: str
    what: Literal["made", "removed", "changed"]
    words: str = Field(description="one line for people")
    fields: list[FieldDifference]


class DifferenceAnswer(BaseModel):
    """What changed between two moments."""

    before: str
    after: str
    seconds: float = Field(description="virtual time between the two")
    changes: list[RecordDifference]


class ClockState(BaseModel):
    """The virtual clock."""

    mode: Mode
    scale: float = Field(description="real seconds that a virtual second takes, in mode scaled")
    now: float = Field(description="virtual time, seconds since the epoch")


class ClockChange(_Strict):
    """What to change of the clock; what is left out stays."""

    mode: Mode | None = None
    scale: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class ClockAdvance(_Strict):
    """How far to move the clock, in virtual seconds."""

    seconds: float = Field(ge=0, le=_YEAR, allow_inf_nan=False)


class TaskToFollow(_Strict):
    """Which task."""

    upid: str = Field(min_length=1, max_length=400)


class RequestRecord(BaseModel):
    """One request that was answered."""

    model_config = ConfigDict(from_attributes=True)

    time: float = Field(description="virtual time, seconds since the epoch")
    method: str = Field(validation_alias="verb")
    path: str
    user: str | None = Field(description="who asked, None if nobody was logged in")
    status: int
    reason: str


class RequestLog(BaseModel):
    """Requests, newest first."""

    requests: list[RequestRecord]


def build_control_app(simulator: Controlled, *, control_open: bool = False) -> FastAPI:
    """Make the application. `control_open` serves clients on other machines too."""
    app = FastAPI(
        title="pvesim control API",
        description="Look at a simulated cluster from outside, and steer it.",
        docs_url="/_sim/docs",
        openapi_url="/_sim/openapi.json",
        redoc_url=None,
        responses={code: {"model": ErrorAnswer} for code in (403, 409, 422)},
    )
    if not control_open:
        app.middleware("http")(_loopback_only)
    app.middleware("http")(_same_origin_only)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(StarletteHTTPException, _answer_http)
    app.add_exception_handler(SimError, _answer_refused)
    app.include_router(_world_routes(simulator))
    app.include_router(_clock_routes(simulator))
    app.include_router(fault_routes(simulator))
    app.include_router(build_page_routes(simulator))
    return app


def _world_routes(simulator: Controlled) -> APIRouter:
    router = APIRouter(prefix="/_sim", tags=["world"])

    @router.get("/health")
    async def health() -> Health:
        return Health()

    @router.get("/state", summary="What the world holds, in figures")
    async def state() -> dict[str, Any]:
        return dict(simulator.summary())

    @router.get("/dump", summary="The world as a scenario (YAML) that loads to the same world", response_class=Response)
    async def dump() -> Response:
        return Response(simulator.dump(), media_type="application/yaml")

    @router.post("/reset", summary="Back to the scenario as it was loaded")
    async def reset() -> Done:
        simulator.reset()
        return Done(done="the world is as its scenario says")

    @router.get("/checkpoints")
    async def list_checkpoints() -> Checkpoints:
        return Checkpoints(checkpoints=sorted(simulator.checkpoints))

    @router.post("/checkpoints", status_code=201, summary="Keep the world as it is now under a name")
    async def make_checkpoint(wanted: CheckpointName) -> Done:
        simulator.checkpoint(wanted.name)
        return Done(done=f"checkpoint {wanted.name} made")

    @router.post("/checkpoints/{name}/restore", summary="Back to a checkpoint")
    async def restore(name: str) -> Done:
        if name not in simulator.checkpoints:
            known = ", ".join(sorted(simulator.checkpoints)) or "none"
            raise HTTPException(404, f"no checkpoint '{name}' (there are: {known})")
        simulator.restore(name)
        return Done(done=f"the world is as at checkpoint {name}")

    @router.get("/diff", summary="What changed between two moments: checkpoints, `start` or `now`")
    async def diff(before: str = "start", after: str = "now") -> DifferenceAnswer:
        try:
            return DifferenceAnswer.model_validate(simulator.diff(before, after).to_json())
        except KeyError as error:
            known = ", ".join(["start", "now", *sorted(simulator.checkpoints)])
            raise HTTPException(404, f"no moment {error} (there are: {known})") from None

    @router.get("/requests", summary="The requests answered last, newest first")
    async def requests(
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
        method: str | None = None,
        path: Annotated[str | None, Query(description="part of the path")] = None,
        status: int | None = None,
        user: str | None = None,
    ) -> RequestLog:
        chosen: list[RequestRecord] = []
        for record in reversed(list(simulator.requests)):
            if (
                (method is None or record.verb == method.upper())
                and (path is None or path in record.path)
                and (status is None or record.status == status)
                and (user is None or record.user == user)
            ):
                chosen.append(RequestRecord.model_validate(record))
                if len(chosen) == limit:
                    break
        return RequestLog(requests=chosen)

    return router


def _clock_routes(simulator: Controlled) -> APIRouter:
    router = APIRouter(prefix="/_sim/clock", tags=["clock"])

    def reading() -> ClockState:
        clock = simulator.clock
        return ClockState(mode=clock.mode, scale=clock.scale, now=clock.now)

    @router.get("", summary="Mode, scale and virtual time")
    async def read_clock() -> ClockState:
        with simulator.lock:
            simulator.clock.tick()
            return reading()

    @router.put("", summary="Change mode or scale")
    async def change_clock(change: ClockChange) -> ClockState:
        with simulator.lock:
            simulator.clock.tick()
            simulator.clock.set_mode(change.mode or simulator.clock.mode, change.scale)
            return reading()

    @router.post("/advance", summary="Move time forward; all that falls due happens")
    async def advance(by: ClockAdvance) -> ClockState:
        with simulator.lock:
            simulator.clock.advance(by.seconds)
            return reading()

    @router.post("/run-until-done", summary="Move time forward to the end of a task")
    async def run_until_done(task: TaskToFollow) -> ClockState:
        with simulator.lock:
            if simulator.world.get(Task, task.upid) is None:
                raise HTTPException(404, f"no task '{task.upid}'")
            simulator.clock.tick()
            simulator.clock.run_until_done(task.upid)
            return reading()

    @router.post("/freeze", summary="Stop time: mode manual")
    async def freeze() -> ClockState:
        with simulator.lock:
            simulator.clock.tick()
            simulator.clock.set_mode("manual")
            return reading()

    return router


async def _loopback_only(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    peer = request.client.host if request.client else "127.0.0.1"
    if not _is_loopback(peer):
        return _error(403, "the control API serves this machine only; start pvesim with --control-open to open it")
    return await answer(request)


async def _same_origin_only(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """A page from elsewhere, open in a browser on this machine, is not to steer the world."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return _error(403, f"the control API serves its own page only, not {origin}")
    return await answer(request)


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address.split("%", 1)[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _error(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)


async def _answer_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    texts = [
        f"{'.'.join(str(part) for part in problem['loc'][1:]) or problem['loc'][0]}: {problem['msg']}"
        for problem in error.errors()
    ]
    return _error(422, "; ".join(texts))


async def _answer_http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    text = str(getattr(error, "detail", error))
    if text in ("Not Found", "Method Not Allowed"):
        text = f"no {request.method} {request.url.path} here: see /_sim/docs"
    return _error(status, text)


async def _answer_refused(_request: Request, error: Exception) -> Response:
    return _error(409, str(error))
