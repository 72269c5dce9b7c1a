"""The live page's routes: `/` and its static files, and the stream of what happens as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, HTTPException
from fastapi.responses import Response, StreamingResponse

from pvesim.serve.dashboard.view import View

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",
    # What guests and users are called comes from anywhere: nothing but the page's own files is ever run.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}

LOOK_EVERY = 0.25  # real seconds between two looks at the world
_SILENCE = 60  # looks without news after which a comment keeps the connection open


def build_page_routes(simulator: Any) -> APIRouter:
    """The routes of one served world's page."""
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def page() -> Response:
        return _file("index.html")

    @router.get("/_sim/page/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        return _file(name)

    @router.get("/_sim/events", tags=["world"], summary="What happens, as server-sent events", response_model=None)
    async def events() -> StreamingResponse:
        """`snapshot` with everything first, then `change` with what differs: the parts that `/` shows."""
        return StreamingResponse(
            _stream(View(simulator)), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return router


def _file(name: str) -> Response:
    path = _STATIC / name
    if path.parent != _STATIC or path.suffix not in _TYPES or not path.is_file():
        raise HTTPException(404, f"the page has no file '{name}'")
    return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers=_HEADERS)


async def _stream(view: View) -> AsyncIterator[bytes]:
    yield event("snapshot", view.changes())
    silent = 0
    while True:
        await asyncio.sleep(LOOK_EVERY)
        changes = view.changes()
        silent = 0 if changes else silent + 1
        if changes:
            yield event("change", changes)
        elif silent % _SILENCE == 0:
            yield b": nothing new\n\n"


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event; JSON has no line breaks of its own."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))
