"""One call on its way through the gate, and how it is told to people."""

from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context

from proxmox_mcp.results import Preview
from proxmox_mcp.safety.foreign import visible
from proxmox_mcp.safety.intent import Intent
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.safety.redact import redactor
from proxmox_mcp.safety.secret_names import secrets_in
from proxmox_mcp.tooling import Arguments, Call, Declaration

# How long to wait is no part of what is done.
_NOT_PART_OF_IT = frozenset({"wait_seconds", "confirm"})


@dataclass(frozen=True, slots=True)
class Case:
    """One call on its way through the gate."""

    number: str
    declaration: Declaration
    call: Call
    given: dict[str, Any]
    context: Context[Any, Any] | None
    intent: Intent

    @property
    def user(self) -> str:
        """As whom PVE is asked."""
        return self.call.pve.user

    @property
    def digest(self) -> str:
        """Of the act, the same whenever the same is asked for again."""
        act = {name: value for name, value in self.given.items() if name not in _NOT_PART_OF_IT}
        return digest_of(self.call.pve.cluster, self.user, self.declaration.name, act)


def readable(given: Arguments) -> dict[str, Any]:
    """The arguments for people: without what was left out, and without secrets."""
    with redactor.hiding(secrets_in(given)):
        return {
            name: redactor.value(value, name)
            for name, value in given.items()
            if value is not None and name not in _NOT_PART_OF_IT
        }


def shown(preview: Preview) -> str:
    """A preview as a person, or a model, reads it; names and notes in it cannot make lines of their own."""
    return "\n".join(clean(line) for line in (preview.summary, preview.target, *preview.facts))


def clean(text: str) -> str:
    """A text on one line, without secrets and without what nobody sees."""
    return " ".join(visible(redactor.text(text)).split())


def client_of(context: Context[Any, Any] | None) -> str:
    """What the client says it is: for the record, and never believed."""
    try:
        params = context.session.client_params if context else None
    except ValueError:
        return "unknown"
    if params is None:
        return "unknown"
    return clean(f"{params.client_info.name} {params.client_info.version}")[:100]
