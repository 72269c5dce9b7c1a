"""What a scenario's names are called on a real node, and back: nodes, storages, ids, users, volumes.

Ids keep their order, and neighbours stay neighbours: a free id that PVE picks is then the one that a scenario expects.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pvesim.scenario import Scenario

PREFIX = "pvemcp-"
"""Begins the name of everything that is made on a node and has no id from the range."""
ROOT = "root@pam"

_ID_KEYS = frozenset(("vmid", "newid", "vmids", "exclude", "template", "id"))
_STORAGE_KEYS = frozenset(("storage", "targetstorage", "target-storage"))
_NODE_KEYS = frozenset(("node", "target", "nodes"))
_POOL_KEYS = frozenset(("pool", "poolid"))
_GROUP_KEYS = frozenset(("groups", "groupid"))
_JOB_KEYS = frozenset(("id", "job-id"))
_SMALLEST_ID = 100


class RangeTooSmall(ValueError):
    """The range of ids holds fewer than a scenario needs."""


def ids_of(scenario: Scenario) -> list[int]:
    """Every id that a scenario speaks of: of guests it has, of guests that steps make, and of none."""
    steps = [value for step in scenario.contract for value in (step.call.arguments, step.expect)]
    return sorted({*scenario.vms, *scenario.containers, *_mentioned(steps)})


def _mentioned(value: Any, key: str = "") -> Iterable[int]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _mentioned(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _mentioned(item, key)
    elif isinstance(value, int) and not isinstance(value, bool) and key in _ID_KEYS and value >= _SMALLEST_ID:
        yield value


def mapped_ids(ids: Iterable[int], first: int, last: int) -> dict[int, int]:
    """A place in the range for each id: the same order, neighbours side by side, one left free between others.

    Raises:
        RangeTooSmall: they do not fit.
    """
    places: dict[int, int] = {}
    place, before = first - 1, None
    for vmid in sorted(ids):
        place += 1 if before is None or vmid == before + 1 else 2
        places[vmid], before = place, vmid
    if place > last:
        raise RangeTooSmall(f"The range {first}-{last} is too small: {place - first + 1} ids are needed.")
    return places


class Names:
    """Both ways between a scenario's names and a node's.

    Args:
        ids, storages, volumes, users, pools, groups, jobs: the node's name for each of the scenario's.
        nodes: the scenario's and the node's name of the node.
        identity: who the run logs in as, whom the scenario calls root@pam.
    """

    def __init__(
        self,
        *,
        ids: Mapping[int, int],
        storages: Mapping[str, str],
        nodes: tuple[str, str],
        users: Mapping[str, str],
        volumes: Mapping[str, str] | None = None,
        pools: Mapping[str, str] | None = None,
        groups: Mapping[str, str] | None = None,
        jobs: Mapping[str, str] | None = None,
        identity: str = ROOT,
    ) -> None:
        self.ids, self.storages, self.node, self.users = dict(ids), dict(storages), nodes, dict(users)
        self.volumes, self.pools, self.groups = dict(volumes or {}), dict(pools or {}), dict(groups or {})
        self.jobs = dict(jobs or {})
        self.identity = identity
        self._ids_back = {there: here for here, there in ids.items()}
        self._there = _Words(*self._places())
        self._back = _Words(*self._places_back())

    # -- to the node ---------------------------------------------------------------------------------------------------

    def _places(self) -> Iterable["_Place"]:
        """Where a text names something: only in places where it can be nothing else, for the names are short words."""
        ids = {str(here): str(there) for here, there in self.ids.items()}
        apart, ends = r"(?<![\w.-])", r"(?![\w.-])"
        yield _Place(self.volumes, apart, ends)
        yield _Place(
            self.storages, _behind("", ",", "=", "@", "storage/", "content/", "imgdel:", "imgcopy:"), r"(?=[:/]|$)"
        )
        yield _Place(self.pools, _behind("pools/", "pool/"), r"(?=/|$)")
        yield _Place(self.groups, _behind("groups/"), r"(?=/|$)")
        yield _Place(self.jobs, _behind("cluster/backup/"), r"(?=/|$)")
        yield _Place(dict([self.node]), _behind("nodes/", "UPID:"), r"(?=[:/]|$)")
        yield _Place(self.users, apart, ends)
        kinds = ("qemu/", "lxc/", "qemu-", "lxc-", "vms/", "vm:", "ct:", "vm-", "base-", "subvol-", ":")
        yield _Place(ids, _behind(*kinds), r"(?=[/:@-]|$)")
        yield _Place({f":{ROOT}:": f":{self.identity}:"})

    def path(self, path: str) -> str:
        """A path of the API as the node has it."""
        return self.text(path)

    def text(self, text: str) -> str:
        """A text of a request as the node must read it."""
        return self._there.replaced(text)

    def params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a request."""
        return {key: self._value(key, value) for key, value in params.items()}

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(key, item) for item in value]
        if key in _ID_KEYS and isinstance(value, int) and not isinstance(value, bool):
            return self.ids.get(value, value)
        if not isinstance(value, str):
            return value
        if key in _ID_KEYS | {"vms"} and re.fullmatch(r"[\d,]+", value):
            return ",".join(str(self.ids.get(int(part), part)) if part else "" for part in value.split(","))
        for keys, known in (
            (_STORAGE_KEYS, self.storages),
            (_POOL_KEYS, self.pools),
            (_GROUP_KEYS, self.groups),
            (_JOB_KEYS, self.jobs),
            (_NODE_KEYS, dict([self.node])),
        ):
            if key in keys:
                # A node of a rule may have its priority behind it.
                parts = (part.partition(":") for part in value.split(","))
                return ",".join(f"{known.get(name, name)}{colon}{rest}" for name, colon, rest in parts)
        # A free text is the user's own; only what speaks of a volume, a task, a path or a user is translated.
        return self.text(value) if re.search(r"[:@/=]", value) else value

    # -- and back ------------------------------------------------------------------------------------------------------

    def _places_back(self) -> Iterable["_Place"]:
        apart, ends = r"(?<![\w.-])", r"(?![\w-]|\.\w)"
        words = (self.volumes, self.storages, self.users, self.pools, self.groups, self.jobs, dict([self.node]))
        for known in (*words, {ROOT: self.identity}):
            yield _Place({there: here for here, there in known.items() if here != there}, apart, ends)
        yield _Place({str(there): str(here) for here, there in self.ids.items()}, r"(?<![\w.])", r"(?![\w]|\.\d)")

    def text_back(self, text: str) -> str:
        """A text of an answer in the scenario's words."""
        return self._back.replaced(text)

    def back(self, value: Any, key: str = "") -> Any:
        """An answer in the scenario's words. Numbers are ids only where they stand under an id's name."""
        if isinstance(value, Mapping):
            # Whom the scenario calls root@pam has no token, though the run may log in with one.
            own_token = value.get("tokenid") and self.identity.endswith(f"!{value['tokenid']}")
            items = {name: item for name, item in value.items() if not (own_token and name == "tokenid")}
            return {self.text_back(str(name)): self.back(item, str(name)) for name, item in items.items()}
        if isinstance(value, list):
            return [self.back(item, key) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return self._ids_back.get(value, value) if key in _ID_KEYS else value
        return self.text_back(value) if isinstance(value, str) and key != "digest" else value


class _Place(NamedTuple):
    """Names with what must stand before and behind them."""

    known: Mapping[str, str]
    before: str = ""
    behind: str = ""


class _Words:
    """Replaces names in one go, so that nothing is replaced twice."""

    def __init__(self, *places: _Place) -> None:
        self._known = [place.known for place in places if place.known]
        parts = []
        for place in places:
            if place.known:
                longest_first = sorted(place.known, key=len, reverse=True)
                parts.append(f"{place.before}({'|'.join(map(re.escape, longest_first))}){place.behind}")
        self._pattern = re.compile("|".join(parts))

    def replaced(self, text: str) -> str:
        return self._pattern.sub(lambda found: self._known[(found.lastindex or 1) - 1][found[0]], text)


def _behind(*words: str) -> str:
    """One of these texts stands before; an empty one is the beginning."""
    return f"(?:{'|'.join(f'(?<={re.escape(word)})' if word else '^' for word in words)})"
