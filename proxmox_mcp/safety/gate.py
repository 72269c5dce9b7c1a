"""The one way that every call of a tool goes.

may it?  access level, policy, limits
must a person approve?  preview → approval → is all still as it was previewed?
do it, between two lines of the audit
"""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import InputRequiredResult

from proxmox_mcp.errors import ChangedSincePreview, NotAllowed, NotApproved, Refused, UnknownGuest
from proxmox_mcp.results import Preview, Result
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.safety.case import Case
from proxmox_mcp.safety.facts import facts_of, preview_for, resolved
from proxmox_mcp.safety.files import default_folder
from proxmox_mcp.safety.foreign import withheld
from proxmox_mcp.safety.intent import intent_of, normal
from proxmox_mcp.safety.leave import Leave
from proxmox_mcp.safety.limits import Keeper
from proxmox_mcp.safety.outgoing import Bounds, outgoing
from proxmox_mcp.safety.policy import Policy, Verdict
from proxmox_mcp.safety.preview import bound
from proxmox_mcp.safety.recording import Recorder
from proxmox_mcp.safety.screen import screened
from proxmox_mcp.safety.secret_names import clash
from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import ALLOWED, Call, Declaration, Risk

_NOT_NEEDED = "not needed"


class Gate:
    """Stands before every call of a tool.

    Args:
        settings: the server's.
        policy: the operator's; an empty one when there is no file.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        folder = settings.state_dir or default_folder()
        audit = Audit(folder)
        self._settings = settings
        self._policy = policy
        self._limits = Keeper(policy.limits, audit)
        self._leave = Leave(settings, folder)
        self._record = Recorder(settings, audit, self._limits)

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
        given = normal(declaration, given)
        intent = intent_of(declaration, given, call.pve.user)
        known = await resolved(declaration, screened(call, self._policy, intent), given)
        if known is not given:
            intent = intent_of(declaration, known, call.pve.user)
        case = Case(secrets.token_hex(6), declaration, call, dict(given), context, intent)
        try:
            outcome = await self._admit(case)
        except Refused as refusal:
            self._record.note(case, "refused", reason=refusal.what)
            raise
        if isinstance(outcome, InputRequiredResult):
            self._record.note(case, "asked", by="client")
            return outcome
        case, approval, asked = outcome
        arguments = {name: value for name, value in case.given.items() if name != "confirm"}
        used, watch = outgoing(case, self._bounds(asked=asked))
        async with self._record.around(case, approval, watch.touched):
            try:
                return await declaration.function(used, **arguments)
            except UnknownGuest as error:
                raise await used.guests.explain(error) from None
            finally:
                withheld.set(watch.withheld)

    @asynccontextmanager
    async def reading(
        self, declaration: Declaration, call: Call, given: Mapping[str, Any], context: Context[Any, Any] | None
    ) -> AsyncIterator[Call]:
        """Around a read that is no tool's call, but shows what one shows: allowed and recorded as that; never asked.

        Yields:
            What to read by.

        Raises:
            Refused: it may not be read, and why.
        """
        given = normal(declaration, given)
        intent = intent_of(declaration, given, call.pve.user)
        case = Case(secrets.token_hex(6), declaration, call, dict(given), context, intent)
        try:
            verdict = await self._permit(case)
            if verdict.effect == "ask":
                raise NotApproved(
                    f"The operator's policy has a person asked about this first: {verdict.reason}.",
                    f"Call {declaration.name} instead, which asks.",
                )
        except Refused as refusal:
            self._record.note(case, "refused", reason=refusal.what)
            raise
        async with self._record.around(case, verdict.reason if verdict.effect == "allow" else _NOT_NEEDED):
            used, watch = outgoing(case, self._bounds(asked=False))
            try:
                yield used
            finally:
                withheld.set(watch.withheld)

    def _bounds(self, *, asked: bool) -> Bounds:
        return Bounds(self._policy, self._limits, self._settings.access, asked)

    async def _permit(self, case: Case) -> Verdict:
        """What the policy says, unless it, its limits or the access level forbid the call (`Refused`)."""
        intent = case.intent
        if name := clash(case.given):
            raise NotAllowed(
                f"{name} holds the value of another argument that is kept secret, and so could not be shown.",
                "Give a secret in its own argument alone; another password, if it is a word of the rest.",
            )
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
            await self._limits.check(intent.guests | case.concerned, case.call.pve, case.user)
        return verdict

    async def _admit(self, case: Case) -> tuple[Case, str, bool] | InputRequiredResult:
        """The call that may be done now, by whose leave, and whether that was asked for; or the question to answer."""
        intent, verdict = case.intent, await self._permit(case)
        if verdict.effect != "ask" and (verdict.effect == "allow" or not intent.needs_approval):
            return case, verdict.reason if verdict.effect == "allow" else _NOT_NEEDED, False
        preview = bound(await self._preview(case))
        answer = await self._leave.approve(case, preview, verdict)
        if isinstance(answer, InputRequiredResult):
            return answer
        return await self._still_the_same(case, preview), answer, True

    async def _preview(self, case: Case) -> Preview:
        seen = screened(case.call, self._policy, case.intent)
        return await preview_for(case.declaration, seen, case.given, case.intent)

    async def _judge(self, case: Case) -> Verdict:
        policy, intent = self._policy, case.intent
        counted = intent.risk is not Risk.READ and intent.unnamed and policy.limits.guests_per_hour is not None
        needed = counted or policy.concerns(intent, case.user)
        guests = await facts_of(intent, case.call, policy) if needed else ()
        case.concerned.update(guest.vmid for guest in guests if guest.vmid)
        return policy.judge(intent, guests, case.user)

    async def _still_the_same(self, case: Case, preview: Preview) -> Case:
        """Look again at the last moment: a person takes time to answer, and the policy may know the guest otherwise.

        Raises:
            Refused: something was changed meanwhile.
        """
        again = bound(await self._preview(case))
        if again.fingerprint != preview.fingerprint:
            raise ChangedSincePreview(
                f"{preview.target} was changed after its state was shown for approval; nothing was done.",
                "Look at it again, and repeat the call for an approval of the new state.",
            )
        verdict = await self._judge(case)
        if verdict.effect == "deny":
            raise NotAllowed(f"The operator's policy forbids this by now: {verdict.reason}.", "Tell the user.")
        self._limits.check_guests(case.intent.guests | case.concerned, case.call.pve.cluster)
        return replace(case, call=replace(case.call, preview=again))
