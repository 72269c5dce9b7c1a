"""The one way that every call of a tool goes: may it, must it be approved, is all still as it was approved, do it."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import InputRequiredResult

from proxmox_mcp.errors import ChangedSincePreview, NotAllowed, NotApproved
from proxmox_mcp.results import Preview, Result
from proxmox_mcp.safety.asking import Asking
from proxmox_mcp.safety.preview import digest_of, preview_of
from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import ALLOWED, Arguments, Call, Declaration, Risk


def risk_of(declaration: Declaration, arguments: Arguments) -> Risk:
    """The risk of one call."""
    return declaration.risk if declaration.risk_of is None else declaration.risk_of(arguments)


def interrupts(declaration: Declaration, arguments: Arguments) -> bool:
    """Whether a call interrupts a guest that runs."""
    return declaration.interrupts is not None and declaration.interrupts(arguments)


class Gate:
    """Stands before every call of a tool.

    Args:
        settings: the server's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asking = Asking(600.0)

    async def carry_out(
        self, declaration: Declaration, call: Call, given: Mapping[str, Any], context: Context[Any, Any]
    ) -> Result | InputRequiredResult:
        """Carry a call out, or refuse it.

        Returns:
            The tool's result; or a question with which the client comes back.

        Raises:
            Refused: it was not done, and why.
            ProxmoxError: whatever the tool raises.
        """
        risk = risk_of(declaration, given)
        if risk not in ALLOWED[self._settings.access]:
            raise NotAllowed(
                f"{declaration.name} with these arguments has the risk {risk}, which access level "
                f"{self._settings.access} does not allow.",
                "The operator can raise PROXMOX_ACCESS.",
            )
        if risk is Risk.DESTROY or interrupts(declaration, given):
            preview = await self._preview(declaration, call, given)
            question = await self._approve(declaration, given, preview, context)
            if question is not None:
                return question
            # At the last moment before it is done: a person takes time to answer.
            again = await self._preview(declaration, call, given)
            if again.fingerprint != preview.fingerprint:
                raise ChangedSincePreview(
                    f"{preview.target} was changed after its state was approved; nothing was done.",
                    "Look at it again, and repeat the call for an approval of the new state.",
                )
            call = replace(call, preview=again)
        return await declaration.function(call, **given)

    async def _approve(
        self, declaration: Declaration, given: Arguments, preview: Preview, context: Context[Any, Any]
    ) -> InputRequiredResult | None:
        if not Asking.can(context):
            raise NotApproved(f"{declaration.name} needs a person's approval, and this client cannot ask for it.")
        digest = digest_of(declaration.name, given, preview.fingerprint)
        answer = await self._asking.ask(context, preview.text(), digest)
        if isinstance(answer, InputRequiredResult):
            return answer
        if answer != "yes":
            raise NotApproved(f"{declaration.name}: the person who was asked did not approve; nothing was done.")
        return None

    async def _preview(self, declaration: Declaration, call: Call, given: Arguments) -> Preview:
        """What the call would do: by the tool's own preview, or by what is known of the guest that it names."""
        if declaration.preview is not None:
            names = inspect.signature(declaration.preview).parameters
            return await declaration.preview(call, **{name: given[name] for name in names if name in given})
        summary = f"{declaration.title} ({declaration.name})."
        if "vmid" in given:
            guest = await call.guests.find(given["vmid"], given.get("node"), check=True)
            return await preview_of(call, guest, summary)
        return Preview(summary=summary, target=declaration.title, fingerprint=digest_of(given))
