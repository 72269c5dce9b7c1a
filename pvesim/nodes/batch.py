"""Several calls in one request: `POST /nodes/{node}/execute`. Source: recorded exchanges `nodes/066`, `nodes/067`."""

from __future__ import annotations

import json
from typing import Any

from pvesim.contract import Contract, verify
from pvesim.core.errors import ApiError
from pvesim.routing import Answer, Call, handler_of


def run_all(call: Call, commands: str) -> list[dict[str, Any]]:
    """The answers of the calls in `commands`, in their order; one that fails changes nothing and stops none."""
    return [_run(call, command) for command in json.loads(commands)]


def _run(call: Call, command: dict[str, Any]) -> dict[str, Any]:
    path = f"nodes/{call.node}/{str(command['path']).strip('/')}"
    try:
        with call.world.transaction():
            return {"data": _call(call, str(command["method"]), path, command.get("args") or {}), "status": 200}
    except ApiError as error:
        answer: dict[str, Any] = {"message": f"{error.message}\n", "status": error.status}
        return {**answer, "errors": error.errors} if error.errors else answer


def _call(call: Call, verb: str, path: str, given: dict[str, Any]) -> Any:
    found = Contract.load().find(verb, path.split("/"))
    handler = handler_of(verb, found[0].path) if found else None
    if found is None or handler is None:
        raise ApiError(f"no handler for '{path}'")
    method, places = found
    params = verify(method, {**given, **places})
    inner = Call(call.world, method, call.identity, call.node, call.local_node, params, given)
    result = handler(inner)
    return result.data if isinstance(result, Answer) else result
