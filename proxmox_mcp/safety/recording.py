"""What becomes of each call, on record: a line before it is made and one after, or one that says why it was not."""

import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any

from proxmox_mcp.errors import AuditUnwritable, LimitReached, ProxmoxError
from proxmox_mcp.pve import started
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.safety.case import Case, client_of, readable
from proxmox_mcp.safety.limits import Keeper
from proxmox_mcp.safety.redact import HIDDEN, redactor
from proxmox_mcp.safety.secret_names import SHORTEST, secrets_in
from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import Risk

logger = logging.getLogger(__name__)


def _without(value: Any, secrets: list[str]) -> Any:
    """A value with texts hidden in it: not their lines, with which a caller could hide the rest of the call."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {key: _without(inner, secrets) for key, inner in value.items()}
    return [_without(inner, secrets) for inner in value] if isinstance(value, list) else value


def _nothing() -> None:
    """Reads have no limits."""


class Recorder:
    """Writes the audit of calls.

    Args:
        settings: the server's: they say whether reads are recorded, too.
        audit: what is written to.
        limits: are told which calls are under way.
    """

    def __init__(self, settings: Settings, audit: Audit, limits: Keeper) -> None:
        self._settings = settings
        self._audit = audit
        self._limits = limits

    def around(self, case: Case, approval: str, touched: Collection[int] = ()) -> AbstractAsyncContextManager[None]:
        """Around a call that is made by somebody's leave.

        Args:
            case: the call.
            approval: by whose leave.
            touched: gathers the guests that it turns out to change, beside those that it names.

        Raises:
            AuditUnwritable: a write cannot be recorded, so it is not made.
        """
        if case.intent.risk is Risk.READ and self._settings.audit == "writes":
            return nullcontext()
        return self._audited(case, approval, touched)

    @asynccontextmanager
    async def _audited(self, case: Case, approval: str, touched: Collection[int]) -> AsyncIterator[None]:
        """Around the call itself: a line before it, and one after it however it ends.

        Raises:
            AuditUnwritable: the line before it could not be written, so the call is not made. A read is made.
        """
        upids: list[str] = []
        begin = time.monotonic()
        writes = case.intent.risk is not Risk.READ
        self._begin(case, approval, writes=writes)
        outer, token = started.get(), started.set(upids)
        outcome: dict[str, Any] = {"result": "cancelled"}  # unless it is known to have ended
        try:
            with self._limits.counted() if writes else nullcontext():
                yield
            outcome = {"result": "ok"}
        except ProxmoxError as error:
            outcome = {"result": "error", "error": f"{type(error).__name__}: {redactor.text(error.what)}"}
            raise
        except Exception as error:
            outcome = {"result": "fault", "error": type(error).__name__}
            raise
        finally:
            started.reset(token)
            if outer is not None:
                outer.extend(upids)
            seconds = round(time.monotonic() - begin, 3)
            if outcome["result"] == "cancelled" and upids:
                logger.warning("%s was cancelled; its task goes on: %s", case.declaration.name, ", ".join(upids))
            end = {"event": "end", "call": case.number, "tool": case.declaration.name, **outcome, "upids": upids}
            also = sorted(set(touched) - case.intent.guests - case.concerned)
            self._try_append({**end, **({"guests": also} if also else {}), "seconds": seconds})

    def _begin(self, case: Case, approval: str, *, writes: bool) -> None:
        guests, cluster = case.intent.guests | case.concerned, case.call.pve.cluster
        unless = partial(self._limits.check_start, guests, cluster) if writes else _nothing
        try:
            self._audit.append(self._record(case, "begin", approval=approval), unless)
        except LimitReached as limit:  # others began meanwhile
            self.note(case, "refused", reason=limit.what)
            raise
        except AuditUnwritable as error:
            if writes:
                raise
            logger.warning("%s", error.what)

    def note(self, case: Case, event: str, **more: Any) -> None:
        """Record what did not come to be done, without the values of secrets wherever they stand as a whole."""
        record = self._record(case, event, **more)
        secrets = [secret for secret in secrets_in(case.given) if len(secret) >= SHORTEST]
        self._try_append({**record, "arguments": _without(record["arguments"], secrets)})

    def _try_append(self, record: dict[str, Any]) -> None:
        try:
            self._audit.append(record)
        except AuditUnwritable as error:
            logger.error("%s %s", error.what, redactor.value(record))

    def _record(self, case: Case, event: str, **more: Any) -> dict[str, Any]:
        intent = case.intent
        return {
            "event": event,
            "call": case.number,
            "cluster": case.call.pve.cluster,
            "user": case.user,
            "client": client_of(case.context),
            "tool": case.declaration.name,
            "arguments": readable(case.given),
            "guests": sorted(intent.guests | case.concerned),
            "risk": str(intent.risk),
            **{name: redactor.text(value) for name, value in more.items()},
        }
