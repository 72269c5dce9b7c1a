"""One call on its way through the gate, and how it is told to people."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mcp.server.mcpserver import Context

from proxmox_mcp.results import Preview
from proxmox_mcp.safety.foreign import plain
from proxmox_mcp.safety.intent import Intent
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.safety.redact import HIDDEN, redactor
from proxmox_mcp.safety.secret_names import SECRET_URL, is_input_name, is_secret_name, named, place_of
from proxmox_mcp.tooling import Arguments, Call, Declaration

# How long to wait is no part of what is done.
_NOT_PART_OF_IT = frozenset({"wait_seconds", "confirm"})
_LONGEST_LINE = 4000  # of one line that a person reads


@dataclass(frozen=True, slots=True)
class Case:
    """One call on its way through the gate."""

    number: str
    declaration: Declaration
    call: Call
    given: dict[str, Any]
    context: Context[Any, Any] | None
    intent: Intent
    concerned: set[int] = field(default_factory=set)
    """The guests that it is for without naming them, as far as somebody had to know."""

    @property
    def user(self) -> str:
        """As whom PVE is asked."""
        return self.call.pve.user

    @property
    def digest(self) -> str:
        """Of the act, the same whenever the same is asked for again."""
        act = {name: value for name, value in self.given.items() if name not in _NOT_PART_OF_IT}
        return digest_of(self.call.pve.cluster, self.user, self.declaration.name, act)

    @property
    def scope(self) -> str:
        """Of what a person's no holds: the tool and the guests that it works on, however else the call is written."""
        guests = sorted(self.intent.guests)
        return digest_of(self.call.pve.cluster, self.declaration.name, guests) if guests else self.digest


@dataclass(frozen=True, slots=True)
class How:
    """For whom arguments are told, and how much of them.

    Attributes:
        asked: for who decides on the call, and must see what is hidden on record.
        text: characters of one text.
        items: of one list or object.
    """

    asked: bool
    text: int
    items: int


RECORD = How(asked=False, text=1000, items=50)
FORM = How(asked=True, text=4000, items=100)
WHOLE = How(asked=True, text=1 << 16, items=1 << 12)
"""At a terminal, where there is room: what a guest is to run is decided on by nobody who saw a part of it."""


def readable(given: Arguments, how: How = RECORD) -> dict[str, Any]:
    """The arguments for people: without what was left out, without secrets, and none longer than can be read.

    What is hidden is hidden by the name it stands under, never by its value: a caller chooses the values, and could
    hide with one of them what another says.
    """
    here = place_of(given)
    return {
        name: _readable(value, judged, here, how)
        for name, value, judged in named(given, here)
        if value is not None and name not in _NOT_PART_OF_IT
    }


def fits_a_form(given: Arguments) -> bool:
    """Whether a form shows all that who decides must see."""
    return readable(given, FORM) == readable(given, WHOLE)


def call_line(tool: str, given: Arguments) -> str:
    """A call on one line as it will be made, for who decides on it."""
    told = readable(given, FORM).items()
    return f"{tool}({', '.join(f'{name}={plain(repr(value))}' for name, value in told)})"


def _readable(value: Any, name: str, beside: frozenset[str], how: How) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if is_input_name(name) and isinstance(value, str):
        return cut(redactor.own(value), how.text) if how.asked else f"{HIDDEN} {_measure(value)}"
    if is_secret_name(name):
        return _host_of(value) if how.asked and name == SECRET_URL and isinstance(value, str) else HIDDEN
    if isinstance(value, Mapping):
        here = beside | place_of(value)
        fields = list(named(value, here))
        told = {
            cut(key, RECORD.text): _readable(inner, judged, here, how) for key, inner, judged in fields[: how.items]
        }
        return told if len(fields) <= how.items else {**told, "…": f"{len(fields)} in all {_measure(value)}"}
    if isinstance(value, list | tuple):
        if len(value) <= how.items:
            return [_readable(inner, name, beside, how) for inner in value]
        ends = [*value[: how.items // 2], f"… {len(value)} in all {_measure(value)} …", *value[-how.items // 2 :]]
        return [_readable(inner, name, beside, how) for inner in ends]
    return _text(value, how) if isinstance(value, str) else value


def _text(value: str, how: How) -> str:
    """An argument: as it is for who decides; on record without what looks like a secret, and then told by its hash."""
    if how.asked:
        return cut(redactor.own(value), how.text)
    hidden = redactor.by_place(value)
    return cut(value, how.text) if hidden == value else f"{cut(hidden, how.text)} {_measure(value)}"


def _host_of(url: str) -> str:
    """Of an address that lets in whoever knows it, where it leads."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{HIDDEN}"


def cut(text: str, most: int = 1000) -> str:
    """The text, or its beginning and its end with how long it is and its hash in between."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} … {_measure(text)} … {text[-most // 2 :]}"


def _measure(value: Any) -> str:
    """How long something is that is not shown whole, and the hash of its text or JSON, to tell it again by."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    hashed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"({len(text)} characters, SHA-256 {hashed})"


def shown(preview: Preview) -> str:
    """A preview as a person, or a model, reads it; names and notes in it cannot make lines of their own."""
    return "\n".join(clean(line) for line in (preview.summary, preview.target, *preview.facts, *preview.passing))


def clean(text: str) -> str:
    """A text on one line, without secrets, and with what nobody sees written out."""
    return plain(cut(redactor.by_place(text.strip()), _LONGEST_LINE))


def client_of(context: Context[Any, Any] | None) -> str:
    """What the client says it is: for the record, and never believed."""
    try:
        params = context.session.client_params if context else None
    except ValueError:
        return "unknown"
    if params is None:
        return "unknown"
    return clean(f"{params.client_info.name} {params.client_info.version}")[:100]
