"""PVE as one call may read it, where the policy keeps guests from being read.

A guest that is denied must not come out by another door: a list, the log of a task, a backup's notes, a diagnosis. So
it is not the tools that leave it out, but what they read by. A request that names such a guest is refused; of an
answer, the records that name it are left out, and counted.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from proxmox_mcp.errors import NotAllowed
from proxmox_mcp.locate import Guests
from proxmox_mcp.pve import Method, Pve
from proxmox_mcp.safety.facts import Facts
from proxmox_mcp.safety.intent import Intent, reading
from proxmox_mcp.safety.policy import Policy
from proxmox_mcp.safety.touched import leaves, named_by
from proxmox_mcp.tasks import Tasks
from proxmox_mcp.tooling import Call, Risk

# Several guests named in one text, as a backup job does: who may not see one of them may see the job.
_SEVERAL = re.compile(r"\s*(?:(?:vm|ct):)?\d+(?:[\s,;]+(?:(?:vm|ct):)?\d+)+\s*")
# As figures, and the volumes of a backup, name a guest.
_BY_KIND = re.compile(r"(?:qemu|lxc)/(?P<vmid>\d+)")
# As logs do; what a text says of a guest without its id is not found.
_IN_PROSE = re.compile(r"\b(?:VM|CT|[Gg]uest|[Cc]ontainer) (?P<vmid>\d+)\b")
_PROSE = frozenset({"", "t", "msg"})
# A text on all guests of a node, of which no part can be told from another.
_OF_ALL_GUESTS = re.compile(r"/*nodes/[^/]+/report/*")


class Screen(Pve):
    """PVE, without what the policy keeps from one call.

    Args:
        call: what the call would work with otherwise.
        policy: the operator's.
        intent: what the call is about to do.
        approved: a person has approved of the call, so that what is only asked about may be read by it.

    Attributes:
        withheld: the guests that were left out of answers.
    """

    def __init__(self, call: Call, policy: Policy, intent: Intent, *, approved: bool) -> None:
        self.cluster, self.user = call.pve.cluster, call.pve.user
        self._pve = call.pve
        self._policy = policy
        # A rule on a tool that writes says nothing about what it reads on its way.
        self._tools = intent.tools if intent.risk is Risk.READ else ()
        self._asked_for = intent.guests
        self._approved = approved
        self._facts = Facts(call, policy)
        self.withheld: set[int] = set()

    async def request(
        self, method: Method, path: str, params: Mapping[str, Any] | None = None, *, within: float | None = None
    ) -> Any:
        """As `Pve.request`.

        Raises:
            NotAllowed: the policy keeps what is asked for from this call.
        """
        if method != "GET":
            return await self._pve.request(method, path, params, within=within)
        intent = reading(self._tools, path, params or {})
        if _OF_ALL_GUESTS.fullmatch(path) and await self._unseen(await self._facts.everyone()):
            raise NotAllowed(
                f"{path} tells of guests that the operator's policy keeps from being read.", "Tell the user."
            )
        verdict = self._policy.judge(intent, await self._facts.of(intent.guests), self.user)
        if verdict.effect == "deny" or (verdict.effect == "ask" and not self._approved):
            raise NotAllowed(f"The operator's policy keeps {path} from being read: {verdict.reason}.", "Tell the user.")
        answer = await self._pve.request(method, path, params, within=within)
        unseen = await self._unseen(guests_in(answer))
        return self._seen(path, answer, unseen, of_guest=bool(intent.targets)) if unseen else answer

    def _seen(self, path: str, answer: Any, unseen: frozenset[int], *, of_guest: bool) -> Any:
        """What may be seen of an answer; one record, or text, about such a guest alone is nothing that may.

        Raises:
            NotAllowed: so it is.
        """
        left = _without(answer, unseen, self.withheld)
        if of_guest and isinstance(left, Mapping):
            return {
                key: value for key, value in left.items() if not _named(_in_value(key, value), unseen, self.withheld)
            }
        if isinstance(left, list) or not _subjects(left, unseen) & unseen:
            return left
        raise NotAllowed(f"The operator's policy keeps what {path} is about from being read.", "Tell the user.")

    async def aclose(self) -> None:
        """Nothing: the connections are the server's."""

    async def _unseen(self, named: frozenset[int]) -> frozenset[int]:
        """Those of the guests that this call may not read."""
        unseen = set()
        for vmid in named:
            asked = Intent(self._tools, Risk.READ, guests=frozenset({vmid}))
            effect = self._policy.judge(asked, await self._facts.of([vmid]), self.user).effect
            if effect == "deny" or (effect == "ask" and not (self._approved and vmid in self._asked_for)):
                unseen.add(vmid)
        return frozenset(unseen)


def screened(call: Call, policy: Policy, intent: Intent) -> Call:
    """What is read by before a call is made: what is shown of it must show no guest that it may not show itself."""
    if not policy.on_reads:
        return call
    screen = Screen(call, policy, intent, approved=True)
    return replace(call, pve=screen, guests=Guests(screen), tasks=Tasks(screen))


def guests_in(answer: Any) -> frozenset[int]:
    """The ids of all guests that an answer of PVE names, keys among it."""
    if isinstance(answer, Mapping):
        own = _by_id(answer) | frozenset[int]().union(*(named_by("", str(key)) for key in answer))
        return own.union(*(_in_value(str(key), value) for key, value in answer.items()))
    return _in_value("", answer)


def _in_value(key: str, value: Any) -> frozenset[int]:
    if isinstance(value, Mapping):
        return guests_in(value)
    if isinstance(value, list):
        return frozenset[int]().union(*(_in_value(key, item) for item in value))
    return _in_text(key, str(value))


def _in_text(key: str, text: str) -> frozenset[int]:
    found = set(named_by(key, text)) | {int(by["vmid"]) for by in _BY_KIND.finditer(text)}
    if key in _PROSE:
        found.update(int(by["vmid"]) for by in _IN_PROSE.finditer(text))
    return frozenset(found)


def _by_id(record: Mapping[str, Any]) -> frozenset[int]:
    """The guest that a record is about by its `id`, as the volumes of a backup job have it."""
    text = str(record.get("id", ""))
    return frozenset({int(text)}) if record.get("type") in {"qemu", "lxc"} and text.isdecimal() else frozenset()


def _without(value: Any, unseen: frozenset[int], withheld: set[int]) -> Any:
    """An answer without the records, texts and keys that name a guest which is not to be seen."""
    if isinstance(value, Mapping):
        kept = {key: inner for key, inner in value.items() if not _named(named_by("", str(key)), unseen, withheld)}
        return {key: _without(inner, unseen, withheld) for key, inner in kept.items()}
    if isinstance(value, list):
        items = (_without(item, unseen, withheld) for item in value)
        return [item for item in items if not _named(_subjects(item, unseen), unseen, withheld)]
    return value


def _subjects(item: Any, unseen: frozenset[int]) -> frozenset[int]:
    """The guests that an item of a list is about; of several in one text, none unless all of them are unseen."""
    own = _by_id(item) if isinstance(item, Mapping) else frozenset()
    found = [own]
    for key, value in leaves("", item):
        named = _in_text(key, str(value))
        if not _SEVERAL.fullmatch(str(value)) or named <= unseen:
            found.append(named)
    return frozenset[int]().union(*found)


def _named(guests: Iterable[int], unseen: frozenset[int], withheld: set[int]) -> bool:
    hidden = unseen.intersection(guests)
    withheld |= hidden
    return bool(hidden)
