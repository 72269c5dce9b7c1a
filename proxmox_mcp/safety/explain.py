"""What would become of a call, and why: `proxmox-mcp policy explain`."""

from typing import Any

from pydantic import ValidationError

from proxmox_mcp.errors import InvalidArgument, ProxmoxError
from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.facts import facts_of, resolved
from proxmox_mcp.safety.intent import Intent, intent_of, normal
from proxmox_mcp.safety.policy import Policy, Verdict
from proxmox_mcp.server import policy_of, unconnected_call
from proxmox_mcp.settings import Settings
from proxmox_mcp.simulated import simulated
from proxmox_mcp.tooling import ALLOWED, argument_errors, build_tool, not_called
from proxmox_mcp.tools import TOOLSETS


async def explain(settings: Settings, tool: str, given: dict[str, Any], scenario: str | None) -> list[str]:
    """What would become of a call, line by line.

    Args:
        settings: the server's, with the policy.
        tool: the name of a tool.
        given: its arguments.
        scenario: of a simulated cluster to ask, in place of that of the settings.

    Raises:
        InvalidArgument: there is no such tool, or the arguments are wrong.
        SettingsError: the policy is wrong.
        ProxmoxError: the cluster cannot be asked about the guests that the call names.
    """
    declaration = next((one for toolset in TOOLSETS for one in toolset.declarations if one.name == tool), None)
    if declaration is None:
        raise InvalidArgument(f"There is no tool {tool}.")
    metadata = build_tool(declaration, not_called).fn_metadata
    try:
        arguments = metadata.validate_arguments(given)
    except ValidationError as error:
        raise InvalidArgument(argument_errors(error, tool, metadata.arg_model.model_fields)) from None
    policy = policy_of(settings)
    pve = Pve(settings) if scenario is None else simulated(settings, scenario)
    whole = await resolved(declaration, unconnected_call(pve, settings), normal(declaration, arguments))
    intent = intent_of(declaration, whole, pve.user)
    told = [_touches(intent)]
    if intent.risk not in ALLOWED[settings.access]:
        told.append(f"access level {settings.access}: the risk {intent.risk} is above it")
        return ["refused: the access level does not allow it", *(f"  {line}" for line in told)]
    verdict = await _judge(policy, intent, pve, settings)
    return [_outcome(verdict, intent, settings), *(f"  {line}" for line in (*told, *verdict.trace))]


async def _judge(policy: Policy, intent: Intent, pve: Pve, settings: Settings) -> Verdict:
    try:
        call = unconnected_call(pve, settings)
        guests = await facts_of(intent, call, policy) if policy.concerns(intent, pve.user) else ()
    except ProxmoxError as error:
        raise ProxmoxError(f"The guests it touches cannot be looked at, so it would be refused. {error}") from None
    finally:
        await pve.aclose()
    return policy.judge(intent, guests, pve.user)


def _touches(intent: Intent) -> str:
    parts = [
        f"{kind} {', '.join(map(str, sorted(found)))}"
        for kind, found in (
            ("guests", intent.guests),
            ("nodes", intent.nodes),
            ("storages", intent.storages),
            ("pools", intent.pools),
        )
        if found
    ]
    interrupts = ", and it interrupts" if intent.interrupts else ""
    return f"its risk is {intent.risk}{interrupts}; it touches {'; '.join(parts) or 'nothing by name'}"


def _outcome(verdict: Verdict, intent: Intent, settings: Settings) -> str:
    if verdict.effect == "deny":
        return f"refused: {verdict.reason}"
    if verdict.effect == "ask" or (verdict.effect is None and intent.needs_approval):
        by = "the model itself (confirm)" if settings.approval == "model" else "a person"
        return f"done once {by} approves of it: {verdict.reason or 'it destroys, interrupts or gives rights'}"
    return f"done at once: {verdict.reason or 'nothing speaks against it'}"
