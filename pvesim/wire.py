"""Requests as PVE's daemon reads them and answers as it writes them: bytes in, bytes out, no rule of the cluster.

Sources: the recorded exchanges `protocol/*` and `auth/*`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import orjson

from pvesim.contract.json_errors import json_error
from pvesim.core.errors import ApiError, NoSuchMethod, Unauthorized
from pvesim.multipart import UploadedFile, read_multipart

JSON_TYPE = "application/json;charset=UTF-8"
FORM_TYPE = "application/x-www-form-urlencoded"
VERBS = frozenset({"GET", "POST", "PUT", "DELETE"})
FORMATS = frozenset({"json", "extjs", "html"})
FORM_LIMIT = 512 * 1024  # bytes; the daemon takes no larger body except for an upload

_API = re.compile(r"^/api2/([a-z]+)(/.*)?$")
_UPLOAD_PARTS = ("content", "checksum-algorithm", "checksum")
_UPLOAD = re.compile(r"^/nodes/[^/]+/storage/[^/]+/upload$")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it came: `path` with its percent-escapes and without the query, header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class WireResponse:
    """An answer to send. `delay` is how many virtual seconds a genuine node takes before it sends it.

    `latency` are seconds that a fault adds. `connection` is what a fault makes of the connection: `drop` and `lose`
    close it before the first byte of the answer, `cut` in the middle of it.
    """

    status: int
    reason: str = "OK"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0
    latency: float = 0.0
    connection: str = ""


class Refused(Exception):
    """The daemon refuses to read the request: a status, a reason, and the reason again as plain text (or nothing)."""

    def __init__(self, status: int, reason: str, *, silent: bool = False) -> None:
        super().__init__(reason)
        self.response = WireResponse(status, first_line(reason), body=b"" if silent else reason.encode())


def read_path(request: WireRequest) -> tuple[str, str]:
    """The format and the API path of a request. Raises `Refused` as the daemon does for others."""
    if request.method not in VERBS:
        raise Refused(501, f"method '{request.method}' not available", silent=True)
    match = _API.match(request.path)
    if match is None or "/../" in request.path + "/":
        raise Refused(501, "no such uri")
    return match[1], match[2] or "/"


def check_format(name: str, path: str) -> None:
    """Raise `Refused` for a format that the daemon cannot write."""
    if name not in FORMATS:
        raise Refused(501, f"no formatter for uri {path}, {name}")


def read_parameters(request: WireRequest, path: str) -> dict[str, Any]:
    """What the query and the body give, by name: text, a list where a name is repeated, or JSON's own types."""
    given = decode_form(request.query) if request.query else {}
    if request.body:
        given.update(_read_body(request, path))
    return given


def _read_body(request: WireRequest, path: str) -> Mapping[str, Any]:
    if request.method not in ("POST", "PUT"):
        raise Refused(501, f"Unexpected content for method '{request.method}'")
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data" and request.method == "POST" and _UPLOAD.match(path):
        return _read_upload(read_multipart(content_type, request.body))
    if kind not in ("", FORM_TYPE, "application/json"):
        raise Refused(506, f"upload 'Content-Type '{content_type}' not implemented")
    if len(request.body) > FORM_LIMIT:
        raise Refused(501, "for data too large")
    return (
        _decode_json(request.body)
        if kind == "application/json"
        else decode_form(request.body.decode("utf-8", "replace"))
    )


def _read_upload(fields: dict[str, Any]) -> dict[str, Any]:
    """The parts of an upload up to the file; the daemon reads those before it in one order only."""
    parts: dict[str, Any] = {}
    known = iter(_UPLOAD_PARTS)
    for name, value in fields.items():
        if isinstance(value, UploadedFile):
            return {**parts, name: value}
        if name not in known:  # this consumes what comes before the name
            raise Refused(400, "Bad Request", silent=True)
        parts[name] = value
    raise Refused(500, "upload failed\n")


def decode_form(text: str) -> dict[str, Any]:
    """The pairs of a query or a form; a repeated name makes a list. Bytes that are no UTF-8 are replaced."""
    values: dict[str, Any] = {}
    for pair in re.split("[&;]", text):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        if name in values:
            before = values[name]
            values[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            values[name] = value
    return values


def _decode_json(body: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            text = body.decode()
        except UnicodeDecodeError as bad:
            raise Refused(500, f"malformed UTF-8 character in JSON string, at character offset {bad.start}\n") from None
        raise Refused(500, f"{json_error(text) or error.msg}\n") from None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = f'"{str(value)[:32]}"{"..." if len(str(value)) > 32 else ""}'
        raise Refused(500, f'Can\'t use string ({text}) as a HASH ref while "strict refs" in use\n')
    if value is not None and not isinstance(value, dict):
        raise Refused(500, "Not a HASH reference\n")
    return value or {}


# -- answers -------------------------------------------------------------------------------------------------------


def first_line(text: str) -> str:
    """The reason phrase of a text: its first line."""
    return text.partition("\n")[0]


def to_json(value: Any) -> bytes:
    """Compact JSON; read-only mappings are written as objects."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a number of more than 64 bits, which a client may well have given
        return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def plain(data: Any) -> Any:
    """The data of an answer as Python values, where a handler has written it as JSON already."""
    return orjson.loads(orjson.dumps(data)) if isinstance(data, orjson.Fragment) else data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def success(format: str, data: Any, beside: Mapping[str, Any]) -> WireResponse:
    """A 200 with `data` and what stands beside it; empty values beside it are left out, as PVE does."""
    body: dict[str, Any] = {"data": data}
    body.update({name: value for name, value in beside.items() if value})
    if format == "extjs":
        body["success"] = 1
    return _write(format, 200, "OK", body)


def failure(format: str, error: ApiError) -> WireResponse:
    """The answer that an error gives, in PVE's form for the format."""
    reason = first_line(error.message)
    if isinstance(error, Unauthorized) and not error.body:
        return WireResponse(401, reason, delay=error.delay)
    if error.status >= 595:  # what the daemon has no answer of the node for
        return WireResponse(error.status, reason)
    newline = "" if isinstance(error, NoSuchMethod) or error.status == 424 else "\n"
    body: dict[str, Any] = {"data": None, "message": error.message + newline}
    if error.errors:
        body["errors"] = error.errors
    delay = error.delay if isinstance(error, Unauthorized) else 0.0
    if format == "extjs":
        # Errors that PVE raises with a status of their own show it as text here, others as a number.
        status: int | str = str(error.status) if error.status in (400, 403) else error.status
        return _write(format, 200, "OK", {**body, "success": 0, "status": status}, delay)
    return _write(format, error.status, reason, body, delay)


def _write(format: str, status: int, reason: str, body: Mapping[str, Any], delay: float = 0.0) -> WireResponse:
    raw = to_json(body)
    if format == "html":
        head = '<!DOCTYPE html>\n<html lang="en"><head><title>Proxmox VE API</title></head>'
        page = f"{head}<body><pre>{html.escape(raw.decode())}</pre></body></html>\n"
        return WireResponse(status, reason, (("Content-Type", "text/html;charset=UTF-8"),), page.encode(), delay)
    return WireResponse(status, reason, (("Content-Type", JSON_TYPE),), raw, delay)
