"""The one way that every call of a tool goes.

may it?  access level, policy, limits
must a person approve?  preview → approval → is all still as it was previewed?
do it, between two lines of the audit
"""

import hmac
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import InputRequiredResult

from proxmox_mcp.errors import (
    AuditUnwritable,
    ChangedSincePreview,
    NotAllowed,
    NotApproved,
    ProxmoxError,
    Refused,
)
from proxmox_mcp.pve import started
from proxmox_mcp.results import Preview, Result
from proxmox_mcp.safety.approval import Act, Approvals
from proxmox_mcp.safety.asking import Asking
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.safety.facts import facts_of, preview_for
from proxmox_mcp.safety.files import default_folder
from proxmox_mcp.safety.foreign import visible
from proxmox_mcp.safety.intent import Intent, intent_of
from proxmox_mcp.safety.limits import Keeper
from proxmox_mcp.safety.policy import Policy, Verdict
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.safety.redact import redactor, secrets_in
from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import ALLOWED, Arguments, Call, Declaration, Risk

_MOST_DECLINED = 3

logger = logging.getLogger(__name__)

# How long to wait is no part of what is done.
_NOT_PART_OF_IT = frozenset({"wait_seconds", "confirm"})


@dataclass(frozen=True, slots=True)
class _Case:
    """One call on its way through the gate."""

    number: str
    declaration: Declaration
    call: Call
    given: dict[str, Any]
    context: Context[Any, Any] | None
    intent: Intent

    @property
    def user(self) -> str:
        return self.call.pve.user


class Gate:
    """Stands before every call of a tool.

    Args:
        settings: the server's.
        policy: the operator's; an empty one when there is no file.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        folder = settings.state_dir or default_folder()
        seconds = settings.approval_minutes * 60
        self._settings = settings
        self._policy = policy
        self._audit = Audit(folder)
        self._approvals = Approvals(folder, seconds)
        self._asking = Asking(seconds)
        self._limits = Keeper(policy.limits, self._audit)
        self._declined: dict[str, list[float]] = {}
        # A confirmation that a model gives is of this process: nothing that was seen elsewhere serves.
        self._key = secrets.token_bytes(32)

    async def carry_out(
        self, declaration: Declaration, call: Call, given: Mapping[str, Any], context: Context[Any, Any] | None
    ) -> Result | InputRequiredResult:
        """Carry a call out, or refuse it.

        Returns:
            The tool's result; or a question with which the client comes back.

        Raises:
            Refused: it was not done, and why.
            ProxmoxError: whatever the tool raises.
        """
        intent = intent_of(declaration, given)
        case = _Case(secrets.token_hex(6), declaration, call, dict(given), context, intent)
        try:
            outcome = await self._admit(case)
        except Refused as refusal:
            self._note(case, "refused", reason=refusal.what)
            raise
        if isinstance(outcome, InputRequiredResult):
            self._note(case, "asked", by="client")
            return outcome
        case, approval = outcome
        arguments = {name: value for name, value in case.given.items() if name != "confirm"}
        async with self._recorded(case, approval):
            return await declaration.function(case.call, **arguments)

    @asynccontextmanager
    async def reading(
        self, declaration: Declaration, call: Call, given: Mapping[str, Any], context: Context[Any, Any] | None
    ) -> AsyncIterator[None]:
        """Around a read that is no tool's call, but shows what one shows: allowed and recorded as that; never asked."""
        case = _Case(secrets.token_hex(6), declaration, call, dict(given), context, intent_of(declaration, given))
        try:
            verdict = await self._permit(case)
            if verdict.effect == "ask":
                raise NotApproved(
                    f"The operator's policy has a person asked about this first: {verdict.reason}.",
                    f"Call {declaration.name} instead, which asks.",
                )
        except Refused as refusal:
            self._note(case, "refused", reason=refusal.what)
            raise
        async with self._recorded(case, verdict.reason if verdict.effect == "allow" else "not needed"):
            yield

    async def _permit(self, case: _Case) -> Verdict:
        """What the policy says, unless it, its limits or the access level forbid the call (`Refused`)."""
        intent = case.intent
        if intent.risk not in ALLOWED[self._settings.access]:
            raise NotAllowed(
                f"{case.declaration.name} with these arguments has the risk {intent.risk}, which access level "
                f"{self._settings.access} does not allow.",
                "The operator can raise PROXMOX_ACCESS.",
            )
        verdict = await self._judge(case)
        if verdict.effect == "deny":
            raise NotAllowed(
                f"The operator's policy forbids this: {verdict.reason}.",
                "No approval changes that; do not look for another way to the same end, but tell the user.",
            )
        if intent.risk is not Risk.READ:
            await self._limits.check(intent.guests, case.call.pve, case.user)
        return verdict

    async def _admit(self, case: _Case) -> tuple[_Case, str] | InputRequiredResult:
        """Whether the call may be done now, and by whose leave; or the question that must be answered first."""
        intent, verdict = case.intent, await self._permit(case)
        if verdict.effect != "ask" and (verdict.effect == "allow" or not intent.needs_approval):
            return case, verdict.reason if verdict.effect == "allow" else "not needed"
        preview = await preview_for(case.declaration, case.call, case.given, intent)
        answer = await self._approve(case, preview, verdict)
        if isinstance(answer, InputRequiredResult):
            return answer
        return await self._still_the_same(case, preview), answer

    async def _judge(self, case: _Case) -> Verdict:
        policy, intent = self._policy, case.intent
        guests = await facts_of(intent, case.call, policy) if policy.concerns(intent, case.user) else ()
        return policy.judge(intent, guests, case.user)

    async def _still_the_same(self, case: _Case, preview: Preview) -> _Case:
        """Look again at the last moment: a person takes time to answer, and the policy may know the guest otherwise.

        Raises:
            Refused: something was changed meanwhile.
        """
        again = await preview_for(case.declaration, case.call, case.given, case.intent)
        if again.fingerprint != preview.fingerprint:
            raise ChangedSincePreview(
                f"{preview.target} was changed after its state was shown for approval; nothing was done.",
                "Look at it again, and repeat the call for an approval of the new state.",
            )
        verdict = await self._judge(case)
        if verdict.effect == "deny":
            raise NotAllowed(f"The operator's policy forbids this by now: {verdict.reason}.", "Tell the user.")
        self._limits.check_guests(case.intent.guests, case.call.pve.cluster)
        return replace(case, call=replace(case.call, preview=again))

    async def _approve(self, case: _Case, preview: Preview, verdict: Verdict) -> str | InputRequiredResult:
        """By whom the call is approved; or the question to its person.

        Raises:
            NotApproved: by nobody, and what to do about it.
        """
        how = self._settings.approval
        digest = self._digest(case)
        if how == "model":
            return self._confirmed(case, preview, digest)
        if how in ("ask", "client") and case.context is not None and Asking.can(case.context):
            self._spare(case, digest)
            question = _question(case, preview, verdict)
            answer = await self._asking.ask(case.context, question, digest_of(digest, preview.fingerprint))
            if isinstance(answer, InputRequiredResult):
                return answer
            if answer == "yes":
                return "a person at the client"
            if answer == "no":
                self._declined.setdefault(digest, []).append(time.monotonic())
                raise NotApproved(
                    f"The person who was asked declined: {case.declaration.name} was not done.",
                    "Do not ask again for the same; find out from the user what is wanted instead.",
                )
        if how == "client":
            raise NotApproved(
                f"{case.declaration.name} needs a person's approval, and this client cannot ask for it; nothing was "
                "done.",
                "The operator can set PROXMOX_APPROVAL=ask, and then answer with proxmox-mcp approve.",
            )
        return self._by_command(case, preview, digest)

    def _spare(self, case: _Case, digest: str) -> None:
        """Do not let a person be worn down: what was declined again and again is not asked for a while.

        Raises:
            NotApproved: it was declined too often.
        """
        since = time.monotonic() - self._settings.approval_minutes * 60
        lately = [moment for moment in self._declined.get(digest, ()) if moment >= since]
        if len(lately) >= _MOST_DECLINED:
            raise NotApproved(
                f"This was declined {len(lately)} times: {case.declaration.name} was not done, and nobody was asked.",
                "Find out from the user what is wanted instead.",
            )

    def _digest(self, case: _Case) -> str:
        """Of the act, the same whenever the same is asked for again."""
        act = {name: value for name, value in case.given.items() if name not in _NOT_PART_OF_IT}
        return digest_of(case.call.pve.cluster, case.user, case.declaration.name, act)

    def _confirmed(self, case: _Case, preview: Preview, digest: str) -> str:
        message = digest_of(digest, preview.fingerprint).encode()
        token = hmac.new(self._key, message, "sha256").hexdigest()[:16]
        given = str(case.given.get("confirm") or "")
        if hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode()):
            return "the model itself, as the operator chose"
        raise NotApproved(
            f"{case.declaration.name} needs to be confirmed; nothing was done.",
            f"If the user wants exactly this, call again with the same arguments and confirm={token}.\n"
            f"{_shown(preview)}",
        )

    def _by_command(self, case: _Case, preview: Preview, digest: str) -> str:
        act = Act(
            digest,
            case.declaration.name,
            _readable(case.given),
            f"{case.call.pve.cluster} as {case.user}",
            _client(case.context),
            Preview(
                summary=_clean(preview.summary),
                target=_clean(preview.target),
                facts=[_clean(fact) for fact in preview.facts],
                fingerprint=preview.fingerprint,
            ),
        )
        try:
            state, request = self._approvals.take(act)
        except OSError as error:
            raise NotApproved(
                f"{case.declaration.name} needs a person's approval, and nobody can be asked: this client shows no "
                f"forms, and the requests for approval cannot be kept ({error.strerror or error}).",
                "The operator can set PROXMOX_STATE_DIR to a folder of the server's own.",
            ) from None
        if state == "approved":
            return f"a person at the command line (request {request.code})"
        if state == "denied":
            raise NotApproved(
                f"A person has denied this: {case.declaration.name} was not done.",
                "Do not ask again for the same; find out from the user what is wanted instead.",
            )
        logger.warning(
            "Approval %s is asked for by %s: %s %s. proxmox-mcp approve %s, or deny %s",
            request.code, act.client, act.preview.summary, act.preview.target, request.code, request.code,
        )  # fmt: skip
        before = (
            "It was approved, but the guest has changed since; a new approval is needed. " if state == "changed" else ""
        )
        raise NotApproved(
            f"{before}{case.declaration.name} needs a person's approval, which is now asked for; nothing was done.",
            "Tell the user: on the server's machine, proxmox-mcp approvals lists what is asked for, and proxmox-mcp "
            f"approve answers it, within {self._settings.approval_minutes:g} minutes. Then call again with the same "
            f"arguments.\n{_shown(preview)}",
        )

    def _recorded(self, case: _Case, approval: str) -> AbstractAsyncContextManager[None]:
        if case.intent.risk is Risk.READ and self._settings.audit == "writes":
            return nullcontext()
        return self._audited(case, approval)

    @asynccontextmanager
    async def _audited(self, case: _Case, approval: str) -> AsyncIterator[None]:
        """Around the call itself: a line before it, and one after it however it ends.

        Raises:
            AuditUnwritable: the line before it could not be written, so the call is not made. A read is made.
        """
        upids: list[str] = []
        begin = time.monotonic()
        writes = case.intent.risk is not Risk.READ
        try:
            self._audit.append(self._record(case, "begin", approval=approval))
        except AuditUnwritable as error:
            if writes:
                raise
            logger.warning("%s", error.what)
        token = started.set(upids)
        outcome: dict[str, Any] = {"result": "cancelled"}  # unless it is known to have ended
        try:
            with self._limits.counted():
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
            seconds = round(time.monotonic() - begin, 3)
            if outcome["result"] == "cancelled" and upids:
                logger.warning("%s was cancelled; its task goes on: %s", case.declaration.name, ", ".join(upids))
            end = {"event": "end", "call": case.number, "tool": case.declaration.name, **outcome, "upids": upids}
            self._try_append({**end, "seconds": seconds})

    def _note(self, case: _Case, event: str, **more: Any) -> None:
        """Record what did not come to be done."""
        self._try_append(self._record(case, event, **more))

    def _try_append(self, record: dict[str, Any]) -> None:
        try:
            self._audit.append(record)
        except AuditUnwritable as error:
            logger.error("%s %s", error.what, redactor.value(record))

    def _record(self, case: _Case, event: str, **more: Any) -> dict[str, Any]:
        intent = case.intent
        return {
            "event": event,
            "call": case.number,
            "cluster": case.call.pve.cluster,
            "user": case.user,
            "client": _client(case.context),
            "tool": case.declaration.name,
            "arguments": _readable(case.given),
            "guests": sorted(intent.guests),
            "risk": str(intent.risk),
            **{name: redactor.text(value) for name, value in more.items()},
        }


def _readable(given: Arguments) -> dict[str, Any]:
    """The arguments for people: without what was left out, and without secrets."""
    with redactor.hiding(secrets_in(given)):
        return {
            name: redactor.value(value, name)
            for name, value in given.items()
            if value is not None and name not in _NOT_PART_OF_IT
        }


def _question(case: _Case, preview: Preview, verdict: Verdict) -> str:
    because = f"\nThe policy asks for it: {_clean(verdict.reason)}" if verdict.effect == "ask" else ""
    call = ", ".join(f"{name}={_clean(repr(value))}" for name, value in _readable(case.given).items())
    return (
        f"{_shown(preview)}{because}\nThe call: {case.declaration.name}({call})"
        f"\nAsked for by: {_client(case.context)}, on {case.call.pve.cluster} as {case.user}"
    )


def _shown(preview: Preview) -> str:
    """A preview as a person, or a model, reads it; names and notes in it cannot make lines of their own."""
    return "\n".join(_clean(line) for line in (preview.summary, preview.target, *preview.facts))


def _clean(text: str) -> str:
    return " ".join(visible(redactor.text(text)).split())


def _client(context: Context[Any, Any] | None) -> str:
    """What the client says it is: for the record, and never believed."""
    try:
        params = context.session.client_params if context else None
    except ValueError:
        return "unknown"
    if params is None:
        return "unknown"
    return _clean(f"{params.client_info.name} {params.client_info.version}")[:100]
