"""What really goes out to PVE during a call: each write is judged as the request that it is.

A tool chooses what its caller left out: a node, a storage, the next free id, the guests of a backup job. None of it was
judged when the call came in. So no request is made that goes further than what was judged then, and approved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from proxmox_mcp.errors import NotAllowed, NotApproved
from proxmox_mcp.locate import Guests
from proxmox_mcp.pve import Method, Pve
from proxmox_mcp.safety.case import Case
from proxmox_mcp.safety.facts import facts_of
from proxmox_mcp.safety.intent import RAW_TOOL, of_request
from proxmox_mcp.safety.limits import Keeper
from proxmox_mcp.safety.policy import Policy
from proxmox_mcp.safety.screen import Screen
from proxmox_mcp.settings import Access
from proxmox_mcp.tasks import Tasks
from proxmox_mcp.tooling import ALLOWED, Call


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a call may do: what the operator set, and what this call got leave for.

    Attributes:
        asked: a person was asked, and approved.
    """

    policy: Policy
    limits: Keeper
    access: Access
    asked: bool


class Outgoing(Pve):
    """PVE as one call may use it.

    Args:
        case: the call.
        bounds: what it may do.

    Attributes:
        touched: the guests that its writes named.
    """

    def __init__(self, case: Case, bounds: Bounds) -> None:
        self.cluster, self.user = case.call.pve.cluster, case.call.pve.user
        self._case = case
        self._bounds = bounds
        self._pve = case.call.pve
        approved = bounds.asked
        self._screen = (
            Screen(case.call, bounds.policy, case.intent, approved=approved) if bounds.policy.on_reads else None
        )
        self.touched: set[int] = set()

    @property
    def withheld(self) -> int:
        """How many guests were left out of what was read."""
        return len(self._screen.withheld) if self._screen else 0

    async def request(
        self, method: Method, path: str, params: Mapping[str, Any] | None = None, *, within: float | None = None
    ) -> Any:
        """As `Pve.request`.

        Raises:
            NotAllowed: the policy, a limit or the access level forbids it.
            NotApproved: it goes further than what was judged, and nobody was asked about that.
        """
        if method == "GET":
            reads = self._screen or self._pve
            return await reads.request(method, path, params, within=within)
        if self._case.declaration.name != RAW_TOOL:
            await self._judge(
                method, path, {name: value for name, value in (params or {}).items() if value is not None}
            )
        return await self._pve.request(method, path, params, within=within)

    async def _judge(self, method: str, path: str, params: Mapping[str, Any]) -> None:
        case, bounds = self._case, self._bounds
        intent = of_request(method, path, params, self.user, by_tool=case.declaration.name)
        if intent.risk not in ALLOWED[bounds.access]:
            raise NotAllowed(_further(case, method, path, f"has the risk {intent.risk}"), "Tell the user.")
        needed = intent.unnamed or bounds.policy.concerns(intent, self.user)
        facts = await facts_of(intent, case.call, bounds.policy) if needed else ()
        verdict = bounds.policy.judge(intent, facts, self.user)
        if verdict.effect == "deny":
            raise NotAllowed(
                f"{_further(case, method, path, 'is forbidden by the policy')} {verdict.reason}.",
                "Name what it is to be done with or on, instead of leaving the choice to the tool; if that is refused, "
                "tell the user.",
            )
        # Where nobody was asked, what a rule allowed the call is no leave for what it turns out to be.
        unasked = verdict.effect == "ask" or (intent.needs_approval and verdict.effect != "allow")
        if not bounds.asked and unasked:
            why = verdict.reason if verdict.effect == "ask" else "it destroys, interrupts or gives rights"
            raise NotApproved(
                f"{_further(case, method, path, 'needs a person to be asked')} {why}.",
                "Name what it is to be done with or on, instead of leaving the choice to the tool.",
            )
        judged = case.intent.guests | case.concerned
        more = {guest.vmid for guest in facts if guest.vmid} | intent.guests
        if not more <= judged:
            bounds.limits.check_guests(more | judged | self.touched, self.cluster)
        self.touched |= more

    async def aclose(self) -> None:
        """Nothing: the connections are the server's."""


def _further(case: Case, method: str, path: str, what: str) -> str:
    return f"{case.declaration.name} was about to ask for {method} {path}, which {what}; that was not done."


def outgoing(case: Case, bounds: Bounds) -> tuple[Call, Outgoing]:
    """What a call works with, and what watches it."""
    pve = Outgoing(case, bounds)
    if not bounds.policy.on_reads:
        # Who only reads need not read again what the gate has just read.
        return replace(case.call, pve=pve), pve
    return replace(case.call, pve=pve, guests=Guests(pve), tasks=Tasks(pve)), pve
