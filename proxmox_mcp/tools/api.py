"""The whole API: every method of PVE, found, described and called."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.api.describing import find_method, parameters_of, privileges_text
from proxmox_mcp.errors import BadParameters, InvalidArgument, NotImplementedByPve, ProxmoxError
from proxmox_mcp.results import Result, Scalar, Value
from proxmox_mcp.tasks import TaskResult, parse_upid
from proxmox_mcp.tooling import Arguments, Call, Risk, Toolset, WaitSeconds

api = Toolset("api", "All methods of PVE's API, by search", default=False)

Verb = Literal["GET", "POST", "PUT", "DELETE"]
ApiPath = Annotated[str, Field(max_length=512, description="Below /api2/json, as /nodes/pve1/qemu/100/config")]

_MOST_CHARACTERS = 24_000


class MethodRow(Result):
    """A method that was found. `takes` are the parameters it cannot do without, beside those in its path."""

    method: str
    path: str
    takes: str | None = None
    needs: str


class Methods(Result):
    """Methods that fit a phrase, the best first."""

    methods: list[MethodRow]


class Parameter(Result):
    """A parameter: its type or format, and what it may be."""

    name: str
    type: str
    required: bool | None = None
    default: Scalar | None = None
    allowed: str | None = None


class Method(Result):
    """A method of the API. `needs` are the privileges that calling it takes."""

    method: str
    path: str
    needs: str
    returns: str
    parameters: list[Parameter]


class ApiAnswer(Result):
    """What PVE answered, as it is. `total` counts a list; `truncated` says that not all of it is shown."""

    method: str
    path: str
    total: int | None = None
    truncated: bool | None = None
    task: TaskResult | None = None
    data: Value | None = None


@api.tool(risk=Risk.READ, title="Search the API")
async def search_api(
    call: Call,
    phrase: Annotated[str, Field(min_length=1, max_length=200, description='What is to be done: "migrate a vm"')],
    limit: Annotated[int, Field(ge=1, le=30)] = 8,
) -> Methods:
    """Find methods of PVE's API by plain words, where no other tool does it. Then: describe_api, call_api."""
    from proxmox_mcp.api.search import index

    rows = []
    for verb, path in index().search(phrase, limit):
        method = find_method(verb, path)
        needed = [name for name in method.parameters.required if f"{{{name}}}" not in path]
        rows.append(
            MethodRow(method=verb, path=path, takes=", ".join(sorted(needed)) or None, needs=privileges_text(method))
        )
    return Methods(methods=rows)


@api.tool(risk=Risk.READ, title="Describe a method of the API")
async def describe_api(
    call: Call, path: ApiPath, method: Verb | None = None, names: Annotated[str, Field(max_length=64)] | None = None
) -> Method:
    """Describe one method of PVE's API: its parameters and the privileges it needs. `names`: only such parameters."""
    found = find_method(method, path)
    parameters = [
        Parameter(**parameter) for parameter in parameters_of(found) if names is None or names in parameter["name"]
    ]
    return Method(
        method=found.verb,
        path=found.path,
        needs=privileges_text(found),
        returns=str(found.returns.type),
        parameters=parameters,
    )


def _risk(arguments: Arguments) -> Risk:
    """Of a raw request, before it is told which tool does the same."""
    return Risk.READ if arguments["method"] == "GET" else Risk.DESTROY


@api.tool(risk=Risk.DESTROY, least=Risk.READ, risk_of=_risk, title="Call a method of the API")
async def call_api(
    call: Call,
    path: ApiPath,
    method: Verb = "GET",
    params: dict[str, Any] | None = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="Of a list, show so many")] = 100,
    wait_seconds: WaitSeconds = 0,
) -> ApiAnswer:
    """Call any method of PVE's API, where no other tool does it. The same rules and approvals hold as for tools."""
    if "{" in path:
        raise InvalidArgument(f"{path} still has placeholders.", "Put names and ids in their places.")
    from proxmox_mcp.api.forms import as_form

    given = as_form(method, path, params)
    try:
        answer = await call.pve.request(method, path, dict(given))
    except (BadParameters, NotImplementedByPve) as error:
        raise ProxmoxError(error.what, f"{error.advice} {_hint(method, path)}".strip()) from None
    if method != "GET":
        call.guests.forget()
    task = None
    if method != "GET" and isinstance(answer, str) and answer.startswith("UPID:"):
        parse_upid(answer)
        task = await call.tasks.follow(answer, wait_seconds, call.report)
    return _answer(method, path, answer, task, limit)


def _hint(method: str, path: str) -> str:
    """What PVE has near a request that it did not understand."""
    try:
        find_method(method, path)
    except InvalidArgument as unknown:
        return unknown.advice
    return f"describe_api tells what {method} {path} takes."


def _answer(method: str, path: str, answer: Any, task: TaskResult | None, limit: int) -> ApiAnswer:
    total = len(answer) if isinstance(answer, list) else None
    shown = answer[:limit] if isinstance(answer, list) else answer
    while _size(shown) > _MOST_CHARACTERS and isinstance(shown, list) and len(shown) > 1:
        shown = shown[: len(shown) // 2]
    if _size(shown) > _MOST_CHARACTERS:
        shown = json.dumps(shown, ensure_ascii=False, default=str)[:_MOST_CHARACTERS]
    truncated = True if shown != answer else None
    return ApiAnswer(method=method, path=path, total=total, truncated=truncated, task=task, data=shown)


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str))
