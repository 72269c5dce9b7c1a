"""What must be known of the guests that a call touches: for the policy, and for the person who approves."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from proxmox_mcp.errors import ProxmoxError, RequestRefused
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.intent import Intent
from proxmox_mcp.safety.policy import GuestFacts, Policy
from proxmox_mcp.safety.preview import digest_of, fingerprint_of, preview_of, storages_in
from proxmox_mcp.tooling import Arguments, Call, Declaration

_MOST_DESCRIBED = 10


async def facts_of(intent: Intent, call: Call, policy: Policy) -> Sequence[GuestFacts]:
    """What the policy knows the touched guests by.

    Raises:
        ProxmoxError: PVE cannot be asked; what cannot be judged is not done.
    """
    if not intent.guests and not intent.everywhere:
        return ()
    records = {int(record["vmid"]): record for record in await call.guests.records()}
    wanted = set(intent.guests)
    if intent.everywhere:
        wanted |= {vmid for vmid, record in records.items() if not intent.nodes or record.get("node") in intent.nodes}
    return [await _facts(vmid, records.get(vmid), call, policy) for vmid in sorted(wanted)]


class Facts:
    """What the policy knows guests by, read when they are first asked about; of one call, which sees one state.

    Args:
        call: what reads them.
        policy: says what there is to know.
    """

    def __init__(self, call: Call, policy: Policy) -> None:
        self._call = call
        self._policy = policy
        self._records: dict[int, dict[str, Any]] | None = None
        self._known: dict[int, GuestFacts] = {}

    async def of(self, vmids: Iterable[int]) -> Sequence[GuestFacts]:
        """Of each of the guests.

        Raises:
            ProxmoxError: PVE cannot be asked; what cannot be judged is not shown.
        """
        facts = []
        for vmid in vmids:
            if vmid not in self._known:
                self._known[vmid] = await self._read(vmid)
            facts.append(self._known[vmid])
        return facts

    async def _read(self, vmid: int) -> GuestFacts:
        if not self._policy.knows_more_than_ids:
            return GuestFacts(vmid)
        if self._records is None:
            self._records = {int(record["vmid"]): record for record in await self._call.guests.records()}
        return await _facts(vmid, self._records.get(vmid), self._call, self._policy)


async def _facts(vmid: int, record: dict[str, Any] | None, call: Call, policy: Policy) -> GuestFacts:
    if record is None:
        return GuestFacts(vmid, known=await _is_free(call, vmid))
    storages: frozenset[str] = frozenset()
    if policy.needs_storages:
        guest = await call.guests.find(vmid)
        storages = storages_in(await call.pve.get(f"{guest.path}/config"))
    tags = str(record.get("tags") or "").replace(",", ";").split(";")
    return GuestFacts(
        vmid,
        tags=frozenset(tag.strip() for tag in tags if tag.strip()),
        pool=record.get("pool"),
        node=record.get("node"),
        storages=storages,
    )


async def _is_free(call: Call, vmid: int) -> bool:
    """Whether there is no such guest, rather than one that the user may not see (`GET /cluster/nextid`)."""
    try:
        await call.pve.get("/cluster/nextid", vmid=vmid)
    except RequestRefused:
        return False
    return True


async def preview_for(declaration: Declaration, call: Call, given: Arguments, intent: Intent) -> Preview:
    """What a call would do: by the tool's own preview, or else by what is known of the guests it touches.

    Its fingerprint is over all guests that the call touches, and over the arguments.
    """
    if declaration.preview is not None:
        names = inspect.signature(declaration.preview).parameters
        made = await declaration.preview(call, **{name: given[name] for name in names if name in given})
    else:
        made = await _general(declaration, call, intent)
    states = [made.fingerprint]
    if not made.fingerprint or len(intent.guests) > 1:
        states += [await _state(call, vmid) for vmid in sorted(intent.guests)]
    return made.model_copy(update={"fingerprint": digest_of(states)})


async def _state(call: Call, vmid: int) -> str:
    try:
        return await fingerprint_of(call, vmid)
    except ProxmoxError as error:
        return f"{type(error).__name__}"  # there is none, or it cannot be seen: that must stay so, too


async def _general(declaration: Declaration, call: Call, intent: Intent) -> Preview:
    summary = f"{declaration.title}."
    there = {int(record["vmid"]) for record in await call.guests.records()} if intent.guests else set()
    touched = sorted(there & intent.guests)
    if not touched:
        where = ", ".join(sorted(intent.nodes | intent.storages | intent.pools)) or "the cluster"
        return Preview(summary=summary, target=where, facts=_missing(intent, there))
    previews = [await preview_of(call, await call.guests.find(vmid), summary) for vmid in touched[:_MOST_DESCRIBED]]
    if len(touched) == 1:
        return previews[0]
    facts = [f"{preview.target}: {'; '.join(preview.facts)}" for preview in previews]
    if len(touched) > _MOST_DESCRIBED:
        facts.append(f"and {len(touched) - _MOST_DESCRIBED} more: {', '.join(map(str, touched[_MOST_DESCRIBED:]))}")
    return Preview(
        summary=summary,
        target=f"{len(touched)} guests: {', '.join(map(str, touched))}",
        facts=[*facts, *_missing(intent, there)],
        fingerprint=digest_of([preview.fingerprint for preview in previews]),
    )


def _missing(intent: Intent, there: set[int]) -> list[str]:
    missing = sorted(intent.guests - there)
    return [f"No guest that can be seen: {', '.join(map(str, missing))}"] if missing else []
