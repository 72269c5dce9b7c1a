"""What must be known of the guests that a call touches: for the policy, and for the person who approves."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from proxmox_mcp.errors import ProxmoxError, RequestRefused
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.intent import RAW_TOOL, Intent
from proxmox_mcp.safety.policy import GuestFacts, Policy
from proxmox_mcp.safety.preview import digest_of, fingerprint_of, preview_of, storages_in
from proxmox_mcp.safety.standing import concerned_text, standing
from proxmox_mcp.tooling import Arguments, Call, Declaration

_MOST_DESCRIBED = 10
# Ids that no guest has which can be seen: so many are asked about one by one, the others are taken for hidden ones.
_MOST_LOOKED_UP = 10
# What these say of guests stands in what is there already.
_OF_GUESTS = re.compile(r"/*cluster/(?:backup|ha/rules)/[^/]+/*")
# Stands for the guests that cannot be seen.
_NOBODY = 0


async def facts_of(intent: Intent, call: Call, policy: Policy) -> Sequence[GuestFacts]:
    """What the policy knows the touched guests by.

    Raises:
        ProxmoxError: PVE cannot be asked; what cannot be judged is not done.
    """
    if not intent.guests and not intent.unnamed:
        return ()
    records = {int(record["vmid"]): record for record in await call.guests.records()}
    wanted = set(intent.guests) | _concerned(intent, records)
    unknown = sorted(wanted - records.keys())
    facts = [await _facts(vmid, records[vmid], call, policy) for vmid in sorted(wanted & records.keys())]
    facts += [GuestFacts(vmid, known=await _is_free(call, vmid)) for vmid in unknown[:_MOST_LOOKED_UP]]
    facts += [GuestFacts(vmid, known=False) for vmid in unknown[_MOST_LOOKED_UP:]]
    if intent.unnamed and not await _sees_all(call):
        facts.append(GuestFacts(_NOBODY, known=False))
    return facts


def _concerned(intent: Intent, records: Mapping[int, Mapping[str, Any]]) -> set[int]:
    """The guests that a call is for without naming them."""
    all_nodes = not intent.nodes or intent.somewhere
    return {
        vmid
        for vmid, record in records.items()
        if (intent.everywhere and (all_nodes or record.get("node") in intent.nodes))
        or _is_in(str(record.get("pool") or ""), intent.members_of)
    }


def _is_in(pool: str, pools: Iterable[str]) -> bool:
    """Whether a pool is one of these, or lies in one of them."""
    return any(pool == outer or pool.startswith(f"{outer}/") for outer in pools)


async def _sees_all(call: Call) -> bool:
    """Whether no guest can be hidden from the user (`GET /access/permissions`)."""
    try:
        granted = await call.pve.get("/access/permissions", path="/vms")
    except RequestRefused:
        return False
    return bool(granted.get("/vms", {}).get("VM.Audit"))


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

    async def everyone(self) -> frozenset[int]:
        """The ids of all guests that there are, as far as the user may see them."""
        return frozenset(await self._listed())

    async def _listed(self) -> Mapping[int, Mapping[str, Any]]:
        if self._records is None:
            self._records = {int(record["vmid"]): record for record in await self._call.guests.records()}
        return self._records

    async def _read(self, vmid: int) -> GuestFacts:
        if not self._policy.knows_more_than_ids:
            return GuestFacts(vmid)
        record = (await self._listed()).get(vmid)
        if record is None:
            return GuestFacts(vmid, known=await _is_free(self._call, vmid))
        return await _facts(vmid, record, self._call, self._policy)


async def _facts(vmid: int, record: Mapping[str, Any], call: Call, policy: Policy) -> GuestFacts:
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


async def resolved(declaration: Declaration, call: Call, given: Arguments) -> Arguments:
    """The arguments of a call, with what those that only point at something stand for.

    What cannot be looked up is left to the tool, which says so itself; its requests are judged one by one anyhow.
    """
    if declaration.name == RAW_TOOL and given["method"] != "GET" and _OF_GUESTS.fullmatch(str(given["path"])):
        try:
            return {**given, "about": await call.pve.get(str(given["path"]))}
        except ProxmoxError:
            return given
    if declaration.resolve is None:
        return given
    try:
        return {**given, **await declaration.resolve(call, **_named_by(declaration.resolve, given))}
    except ProxmoxError:
        return given


def _named_by(function: Callable[..., Any], given: Arguments) -> dict[str, Any]:
    """Those of the arguments that a function takes."""
    return {name: given[name] for name in inspect.signature(function).parameters if name in given}


async def preview_for(declaration: Declaration, call: Call, given: Arguments, intent: Intent) -> Preview:
    """What a call would do: by the tool's own preview, or else by what is known of the guests it touches.

    Its fingerprint is over all guests that the call touches, and over the arguments.
    """
    if declaration.preview is not None:
        made = await declaration.preview(call, **_named_by(declaration.preview, given))
    else:
        made = await _general(declaration, call, intent)
        if declaration.name == RAW_TOOL:
            made = await _with_what_stands(made, call, given, intent)
    states = [made.fingerprint]
    if intent.guests and (not made.fingerprint or declaration.preview is None or len(intent.guests) > 1):
        there = {int(record["vmid"]) for record in await call.guests.records(fresh=False)}
        states += [await _state(call, vmid) if vmid in there else "none" for vmid in sorted(intent.guests)]
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


async def _with_what_stands(made: Preview, call: Call, given: Arguments, intent: Intent) -> Preview:
    """A raw request tells nothing of what it is about: what it goes to, and whom it is for, is looked up."""
    lines, fingerprint = await standing(call, given)
    if intent.unnamed:
        records = {int(record["vmid"]): record for record in await call.guests.records()}
        concerned = [records[vmid] for vmid in sorted(_concerned(intent, records))]
        lines = [*concerned_text(concerned), *lines]
        fingerprint = digest_of(fingerprint, [(record["vmid"], record.get("status")) for record in concerned])
    facts = [*made.facts, *lines]
    return made.model_copy(update={"facts": facts, "fingerprint": digest_of(made.fingerprint, fingerprint)})


def _missing(intent: Intent, there: set[int]) -> list[str]:
    missing = sorted(intent.guests - there)
    return [f"No guest that can be seen: {', '.join(map(str, missing))}"] if missing else []
