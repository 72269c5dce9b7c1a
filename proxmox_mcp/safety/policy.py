"""The operator's policy: what is allowed, asked about and denied, read from a TOML file and applied to every call.

    protected = [100, "200-299", "tag:prod", "pool:customers"]

    [[rules]]
    effect = "deny"
    tools = ["delete_*"]
    reason = "Guests are deleted by hand here."

    [[rules]]
    effect = "allow"          # without approval
    tags = ["sandbox"]

    [exec]
    allow = ["systemctl status *", "df **"]

    [limits]
    guests_per_hour = 10
    tasks = 4

The order of rules says nothing: of those that match, `deny` beats `ask`, and `ask` beats `allow`. To deny or to ask, it
is enough that one thing the call touches matches; to allow, all of them must.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr

from proxmox_mcp.safety.commands import allows, forbids, known_pattern
from proxmox_mcp.safety.intent import EXEC_TOOL, STOP_TOOL, Intent
from proxmox_mcp.tooling import Risk

Effect = Literal["allow", "ask", "deny"]

# What runs something in a guest, or lets one in, without being a command that a list could judge.
_PAST_EXEC = frozenset({"write_guest_file", "set_guest_password", "open_console"})


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """What rules know a guest by.

    `known` is false for one that exists and cannot be seen: then every label counts as matching for `deny` and `ask`,
    and none for `allow`. A guest that does not exist yet has no labels.
    """

    vmid: int
    tags: frozenset[str] = frozenset()
    pool: str | None = None
    node: str | None = None
    storages: frozenset[str] = frozenset()
    known: bool = True

    def places(self, kind: Literal["nodes", "storages"]) -> frozenset[str]:
        """The node that it is on, or the storages."""
        if kind == "storages":
            return self.storages
        return frozenset({self.node} if self.node else ())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of a call.

    Attributes:
        effect: `None` where nothing in the policy speaks of it: then what destroys or interrupts is asked about.
        reason: why, for who asked.
        trace: a line per part of the policy: what it says of this call, and why.
    """

    effect: Effect | None
    reason: str = ""
    trace: tuple[str, ...] = ()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _guest_range(value: int | str) -> int | str:
    parts = str(value).split("-")
    if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts) or int(parts[0]) > int(parts[-1]):
        raise ValueError("expected a guest id such as 100, or a range such as 200-299")
    return value


def _pattern(value: str) -> str:
    if value != value.strip() or not value:
        raise ValueError("expected a name or a pattern, without blanks around it: it would match nothing")
    return value


def _protected(value: int | str) -> int | str:
    kind, colon, name = str(value).partition(":")
    if colon:
        if kind not in {"tag", "pool"} or not name:
            raise ValueError("expected a guest id, a range, tag:NAME or pool:NAME")
        _pattern(name)
        return value
    return _guest_range(value)


Pattern = Annotated[str, AfterValidator(_pattern)]
GuestRange = Annotated[int | str, AfterValidator(_guest_range)]
CommandPattern = Annotated[str, AfterValidator(known_pattern)]


_PLACES = ("guests", "tags", "pools", "nodes", "storages")


class Rule(_Strict):
    """One rule. What it does not name does not matter to it.

    One that names neither tools nor risks is on writes; and on reads, too, if it denies something that it names.
    """

    effect: Effect
    tools: tuple[Pattern, ...] | None = Field(None, min_length=1)
    risks: tuple[Risk, ...] | None = Field(None, min_length=1)
    guests: tuple[GuestRange, ...] | None = Field(None, min_length=1)
    tags: tuple[Pattern, ...] | None = Field(None, min_length=1)
    pools: tuple[Pattern, ...] | None = Field(None, min_length=1)
    nodes: tuple[Pattern, ...] | None = Field(None, min_length=1)
    storages: tuple[Pattern, ...] | None = Field(None, min_length=1)
    users: tuple[Pattern, ...] | None = Field(None, min_length=1)
    reason: str = ""

    @property
    def on_reads(self) -> bool:
        """Whether it speaks of looks, too: what an operator denies by its name is out of sight."""
        if self.risks is not None:
            return Risk.READ in self.risks
        return self.tools is not None or (self.effect == "deny" and any(getattr(self, name) for name in _PLACES))

    def speaks_of(self, intent: Intent, user: str) -> str:
        """Why it does not speak of such calls, whatever they touch; empty when it may."""
        every = all if self.effect == "allow" else any
        if self.effect == "allow" and self.tools is None and (intent.grants or not intent.confined):
            return "it names no tools, and rights, or what reaches further than what is named, take that"
        if intent.risk is Risk.READ and not self.on_reads:
            return "it names neither tools nor risks, so it is on writes only"
        if self.tools is not None and not every(_glob(tool, self.tools) for tool in intent.tools):
            return f"tools: {', '.join(intent.tools)}"
        if self.risks is not None and intent.risk not in self.risks:
            return f"risks: {intent.risk}"
        if self.users is not None and not _glob(user, self.users):
            return f"users: {user}"
        return ""

    def misses(self, intent: Intent, guests: Sequence[GuestFacts]) -> str:
        """Why what the call touches does not match; empty when it does."""
        for name, matched, shown in self._selectors(intent, guests):
            every = all if self.effect == "allow" else any
            if not matched or not every(matched):
                return f"{name}: {shown or 'none'}"
        return ""

    def _selectors(self, intent: Intent, guests: Sequence[GuestFacts]) -> Iterable[tuple[str, list[bool], str]]:
        """Each selector of the rule with whether each thing that the call touches matches it.

        To allow, one of them must be what the call acts on: what a text only mentions allows nothing.
        """
        strict = self.effect != "allow"
        on_guests = strict or intent.everywhere or any(guest.vmid in intent.targets for guest in guests)
        if self.guests is not None:
            matched = [_in_ranges(guest.vmid, self.guests) for guest in guests]
            yield "guests", matched if on_guests else [], _ids(guests)
        if self.tags is not None:
            own = [any(_glob(tag, self.tags) for tag in guest.tags) or _hidden(guest, strict) for guest in guests]
            given = [_glob(tag, self.tags) for tag in intent.tags] if strict else []
            shown = ", ".join(sorted({tag for guest in guests for tag in guest.tags} | intent.tags))
            yield "tags", own + given if on_guests else [], shown
        if self.pools is not None:
            own = [_glob(guest.pool or "", self.pools) or _hidden(guest, strict) for guest in guests]
            given = [_glob(pool, self.pools) for pool in intent.pools]
            shown = ", ".join(sorted({guest.pool or "" for guest in guests} | intent.pools))
            yield "pools", own + given if on_guests or given else [], shown
        if self.nodes is not None:
            yield self._places("nodes", self.nodes, intent.nodes, intent.target_nodes, guests, intent.somewhere)
        if self.storages is not None:
            yield self._places("storages", self.storages, intent.storages, intent.target_storages, guests, False)

    def _places(
        self,
        name: Literal["nodes", "storages"],
        patterns: Sequence[str],
        mentioned: frozenset[str],
        targets: frozenset[str],
        guests: Sequence[GuestFacts],
        somewhere: bool,
    ) -> tuple[str, list[bool], str]:
        """A selector of nodes or storages; `somewhere` is one that cannot be told, and so may be any."""
        strict = self.effect != "allow"
        of_guests = frozenset[str]().union(*(guest.places(name) for guest in guests))
        found = sorted(mentioned | of_guests)
        shown = ", ".join(found)
        if not strict and (somewhere or not (targets or any(guest.places(name) for guest in guests))):
            return name, [], shown
        hidden = [True for guest in guests if _hidden(guest, strict)]
        return name, [_glob(one, patterns) for one in found] + hidden + [True] * (strict and somewhere), shown


class ExecLists(_Strict):
    """Commands that may, or may not, be run in guests; with `allow`, no others may."""

    allow: tuple[CommandPattern, ...] | None = None
    deny: tuple[CommandPattern, ...] = ()

    def refusal(self, intent: Intent) -> str:
        """Why a command may not be run; empty when it may, or none is."""
        if self.allow is not None and (intent.lets_in or _PAST_EXEC.intersection(intent.tools)):
            return "commands are limited to a list, and this would be a way past it"
        if intent.command is None or (self.allow is None and not self.deny):
            return ""
        if not intent.command:
            return f"the command of {EXEC_TOOL} cannot be read"
        if pattern := forbids(self.deny, (*intent.command, *filter(None, [intent.stdin]))):
            return f"the command matches {pattern!r} of exec.deny"
        if self.allow is not None and not allows(self.allow, intent.command):
            return "the command matches nothing of exec.allow"
        return ""


class Limits(_Strict):
    """Bounds on how much is done; `None` is no bound."""

    guests_per_hour: int | None = Field(None, ge=1)
    tasks: int | None = Field(None, ge=1)


class Policy(_Strict):
    """A whole policy file."""

    default: Literal["ask", "deny"] | None = None
    """For writes that no rule speaks of; without it, what destroys or interrupts is asked about."""
    protected: tuple[Annotated[int | str, AfterValidator(_protected)], ...] = ()
    """Guests that are looked at, started, and backed up; nothing that may change, interrupt or copy them is done."""
    rules: tuple[Rule, ...] = ()
    exec: ExecLists = ExecLists()
    limits: Limits = Limits()

    _lines: dict[int, int] = PrivateAttr(default_factory=dict)
    _path: Path | None = PrivateAttr(default=None)

    def located(self, path: Path, lines: dict[int, int]) -> "Policy":
        """The same, knowing where its rules stand: number of a rule → line."""
        self._path, self._lines = path, lines
        return self

    def concerns(self, intent: Intent, user: str) -> bool:
        """Whether the guests that the call touches must be known to judge it."""
        on_reads = any(not rule.speaks_of(intent, user) for rule in self.rules)
        return on_reads or (intent.risk is not Risk.READ and bool(self.protected))

    @property
    def on_reads(self) -> bool:
        """Whether a rule may keep something from being read."""
        return any(rule.on_reads and rule.effect != "allow" for rule in self.rules)

    @property
    def knows_more_than_ids(self) -> bool:
        """Whether a rule asks more of a guest than its id."""
        return any(getattr(rule, name) is not None for rule in self.rules for name in _PLACES if name != "guests")

    @property
    def needs_storages(self) -> bool:
        """Whether a rule asks on which storages the disks of a guest are."""
        return any(rule.storages is not None for rule in self.rules)

    @property
    def labels(self) -> frozenset[str]:
        """The kinds of labels that the policy knows guests by: `tags`, `pools`."""
        kinds = {f"{str(item).partition(':')[0]}s" for item in self.protected if ":" in str(item)}
        kinds |= {kind for rule in self.rules for kind in ("tags", "pools") if getattr(rule, kind) is not None}
        return frozenset(kinds)

    def judge(self, intent: Intent, guests: Sequence[GuestFacts], user: str) -> Verdict:
        """What the policy says of a call.

        Args:
            intent: what it is about to do.
            guests: what is known of the guests it touches.
            user: as whom PVE is asked.
        """
        trace: list[str] = []
        found: list[tuple[Effect, str]] = []
        if intent.risk is not Risk.READ:
            found += self._fixed(intent, guests, trace)
        for number, rule in enumerate(self.rules):
            why = rule.speaks_of(intent, user) or rule.misses(intent, guests)
            where = f"rule {number + 1}" + (f" (line {self._lines[number]})" if number in self._lines else "")
            trace.append(f"{where}: {rule.effect}: {'does not match: ' + why if why else 'matches'}")
            if not why:
                found.append((rule.effect, rule.reason or f"{where} of the policy"))
        for effect in ("deny", "ask", "allow"):
            reason = next((reason for seen, reason in found if seen == effect), None)
            if reason is not None:
                return Verdict(effect, reason, tuple(trace))
        if self.default is not None and intent.risk is not Risk.READ:
            trace.append(f"default: {self.default}")
            return Verdict(self.default, "the policy's default", tuple(trace))
        trace.append("nothing in the policy speaks of it")
        return Verdict(None, "", tuple(trace))

    def _fixed(self, intent: Intent, guests: Sequence[GuestFacts], trace: list[str]) -> list[tuple[Effect, str]]:
        """What holds beside the rules: protected guests, commands, labels."""
        found: list[tuple[Effect, str]] = []
        if intent.risk is not Risk.OPERATE or intent.interrupts or STOP_TOOL in intent.tools:
            found += [
                ("deny", f"guest {guest.vmid} is protected ({by})") for guest in guests if (by := self._protects(guest))
            ]
        if refusal := self.exec.refusal(intent):
            found.append(("deny", refusal))
        if changed := intent.relabels & self.labels:
            kinds = " and ".join(sorted(changed))
            found.append(("ask", f"the policy knows guests by their {kinds}, which this changes"))
        trace.extend(f"{effect}: {reason}" for effect, reason in found)
        return found

    def _protects(self, guest: GuestFacts) -> str:
        for item in self.protected:
            kind, colon, name = str(item).partition(":")
            if not colon:
                matched = _in_ranges(guest.vmid, (item,))
            elif kind == "tag":
                matched = any(_glob(tag, (name,)) for tag in guest.tags) or not guest.known
            else:
                matched = _glob(guest.pool or "", (name,)) or not guest.known
            if matched:
                return f"protected: {item}"
        return ""


def _glob(text: str, patterns: Iterable[str]) -> bool:
    """Tags, nodes, pools and users are compared without regard to case where PVE does so: a rule must not miss one."""
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def _hidden(guest: GuestFacts, strict: bool) -> bool:
    return strict and not guest.known


def _in_ranges(vmid: int, ranges: Iterable[int | str]) -> bool:
    for item in ranges:
        first, _, last = str(item).partition("-")
        if int(first) <= vmid <= int(last or first):
            return True
    return False


def _ids(guests: Iterable[GuestFacts]) -> str:
    return ", ".join(str(guest.vmid) for guest in guests)
