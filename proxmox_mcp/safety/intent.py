"""What a call is about to touch, read off its arguments: the same for a named tool and for a raw request to the API.

Nothing is taken from what a tool is called or says about itself: a guest is touched when its id, or a volume or backup
of it, stands anywhere in the arguments. What is read too much here costs a question more; what is read too little would
be a way round the policy.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from proxmox_mcp.tooling import Arguments, Declaration, Risk

RAW_TOOL = "call_api"
EXEC_TOOL = "execute_vm_command"
STOP_TOOL = "stop_task"
# The toolset, and the path of the API, of users, tokens and permissions.
_GRANTING = "access"
# Without guests named, these are on those of all guests.
_FOR_ALL = frozenset({"prune_backups", "delete_storage"})

# By the end of a name, so that target_vmid, target-vmid and newid all count.
_GUEST_KEY = re.compile(r"(?:.*[_-])?(?:vmids?|newid|vms|guests?|sid)", re.IGNORECASE)
_NODE_KEY = re.compile(r"(?:.*[_-])?(?:nodes?|target)", re.IGNORECASE)
_STORAGE_KEY = re.compile(r"(?:.*[_-])?(?:target)?storages?(?:id)?", re.IGNORECASE)
_POOL_KEY = re.compile(r"(?:.*[_-])?pool(?:s|id)?", re.IGNORECASE)
_TAG_KEY = re.compile(r"(?:.*[_-])?tags?", re.IGNORECASE)

# vm-100-disk-0, base-9000-disk-0, subvol-200-disk-0, vzdump-qemu-100-….vma.zst, backup/vm/100/…; as high availability
# names it, vm:100; and as permissions do, /vms/100.
_OWNED = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:vm|base|subvol|basevol)-(?P<volume>\d+)-|vzdump-[a-z]+-(?P<dump>\d+)-"
    r"|backup/(?:vm|ct)/(?P<group>\d+)(?:/|$)|(?:vm|ct):(?P<sid>\d+)(?!\d|/)|vms/(?P<acl>\d+))"
)
_JOB_KEYS = frozenset({"id", "job_id"})
_GUEST = re.compile(r"(?P<vmid>\d+)(?:-\d+)?")  # 100-0 is a replication job of guest 100
_FOLDER = re.compile(r":(?P<vmid>\d+)/")  # of a directory storage: local:100/vm-100-disk-0.qcow2
_VOLID = re.compile(r"(?P<storage>[A-Za-z][A-Za-z0-9._-]*):(?!//)\S")
_UPID = re.compile(r"UPID:(?P<node>[^:]+):[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[^:]+:(?P<id>[^:]*):(?P<user>[^:]*):")


@dataclass(frozen=True, slots=True)
class Intent:
    """What a call is about to do.

    Attributes:
        tools: the names it goes by: its own, and those of the tools that do the same as a raw request.
        guests: ids of all guests whose state, configuration, disks or backups it names.
        relabels: which labels that rules know guests by it changes: `tags`, `pools`.
        everywhere: it is for all guests of the cluster, or, when nodes are named, for all of theirs.
        command: what it runs inside a guest, word by word; empty when that cannot be told.
        grants: it changes who may do what, which is how everything else could be got.
        stdin: what that command is given to read, which a shell would run.
    """

    tools: tuple[str, ...]
    risk: Risk
    interrupts: bool = False
    guests: frozenset[int] = frozenset()
    nodes: frozenset[str] = frozenset()
    storages: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    relabels: frozenset[str] = frozenset()
    everywhere: bool = False
    command: tuple[str, ...] | None = None
    stdin: str = ""
    grants: bool = False

    @property
    def needs_approval(self) -> bool:
        """Whether it does without a policy that says so: it destroys, interrupts, or gives rights."""
        return self.risk is Risk.DESTROY or self.interrupts or self.grants


@dataclass(slots=True)
class _Touched:
    guests: set[int] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    storages: set[str] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    task_users: set[str] = field(default_factory=set)

    def value(self, key: str, text: str) -> None:
        """Take in one value that stands somewhere in the arguments."""
        if _GUEST_KEY.fullmatch(key) or (key in _JOB_KEYS and "-" in text):
            self.guests.update(int(found["vmid"]) for part in _words(text) if (found := _GUEST.fullmatch(part)))
        for found in _OWNED.finditer(text):
            self.guests.add(int(next(part for part in found.groups() if part)))
        for key_pattern, into in (
            (_NODE_KEY, self.nodes),
            (_STORAGE_KEY, self.storages),
            (_POOL_KEY, self.pools),
            (_TAG_KEY, self.tags),
        ):
            if key_pattern.fullmatch(key):
                into.update(_words(text))
        for upid in _UPID.finditer(text):
            self.nodes.add(upid["node"])
            self.task_users.add(upid["user"])
            if upid["id"].isdecimal():
                self.guests.add(int(upid["id"]))
        self._volumes(text)

    def _volumes(self, text: str) -> None:
        if text.startswith("UPID:"):
            return
        for part in re.split(r"[\s,;=]+", text):
            if volid := _VOLID.match(part):
                self.storages.add(volid["storage"])
                self.guests.update(int(found["vmid"]) for found in _FOLDER.finditer(part))


def intent_of(declaration: Declaration, arguments: Arguments, user: str = "") -> Intent:
    """What a call of a declared tool is about to do.

    Args:
        declaration: the tool.
        arguments: of the call.
        user: as whom PVE is asked: to stop the task of another is to interrupt them.
    """
    risk = declaration.risk if declaration.risk_of is None else declaration.risk_of(arguments)
    interrupts = declaration.interrupts is not None and declaration.interrupts(arguments)
    if declaration.name == RAW_TOOL:
        return _raw(arguments, user)
    touched = _touched(arguments)
    writes = risk is not Risk.READ
    return _intent(
        touched,
        (declaration.name,),
        risk,
        interrupts or _stops_others((declaration.name,), touched, user),
        relabels=_without_guests(_relabels({**arguments, "tool": declaration.name}), touched)
        if writes
        else frozenset(),
        everywhere=writes
        and not touched.guests
        and (declaration.name in _FOR_ALL or ((risk is Risk.DESTROY or interrupts) and bool(touched.nodes))),
        command=_command(arguments.get("command")) if declaration.name == EXEC_TOOL else None,
        stdin=str(arguments.get("input_data") or ""),
        grants=writes and declaration.toolset == _GRANTING,
    )


def _stops_others(tools: tuple[str, ...], touched: _Touched, user: str) -> bool:
    return STOP_TOOL in tools and touched.task_users != {user}


def reading(tools: tuple[str, ...], path: str, params: Mapping[str, Any]) -> Intent:
    """What a GET looks at, for the tools that it is made for."""
    from proxmox_mcp.safety.api_twins import ApiCall

    touched = _touched(params)
    for key, value in ApiCall("GET", path).places():
        touched.value(key, value)
    return _intent(touched, tools, Risk.READ, interrupts=False)


def named_by(key: str, text: str) -> frozenset[int]:
    """The guests that a value names which stands under such a key."""
    touched = _Touched()
    touched.value(key, text)
    return frozenset(touched.guests)


def _raw(arguments: Arguments, user: str) -> Intent:
    """A raw request: as the named tool that does the same; where there is none, as the worst that can be."""
    from proxmox_mcp.safety.api_twins import ApiCall, twin_of  # its patterns take time that a start can do without

    params = arguments.get("params") or arguments.get("parameters") or {}
    asked = ApiCall(str(arguments.get("method", "GET")).upper(), str(arguments.get("path", "")), dict(params))
    twin = twin_of(asked)
    touched = _touched(params)
    for key, value in asked.places():
        touched.value(key, value)
    writes = twin.risk is not Risk.READ
    return _intent(
        touched,
        (RAW_TOOL, *(_unmatched_tools() if twin.worst else twin.tools)),
        twin.risk,
        twin.interrupts or _stops_others(twin.tools, touched, user),
        relabels=_without_guests(_relabels({**params, "path": asked.path}), touched) if writes else frozenset(),
        everywhere=writes and not touched.guests and (twin.everywhere or (bool(touched.nodes) and twin.worst)),
        command=_command(params.get("command")) if EXEC_TOOL in twin.tools else None,
        stdin=str(params.get("input-data") or ""),
        grants=writes and asked.path.strip("/").startswith(_GRANTING),
    )


@cache
def _unmatched_tools() -> tuple[str, ...]:
    """The tools that write, and of which no raw request is known: one that is not known may do the work of any."""
    from proxmox_mcp.safety.api_twins import known_tools
    from proxmox_mcp.tools import TOOLSETS

    writing = [tool.name for toolset in TOOLSETS for tool in toolset.declarations if tool.risk is not Risk.READ]
    return tuple(name for name in writing if name != RAW_TOOL and name not in known_tools())


def _without_guests(relabels: frozenset[str], touched: _Touched) -> frozenset[str]:
    """What a call that names no guest relabels: a tag may be of something else, such as a VLAN."""
    return relabels if touched.guests else relabels - {"tags"}


def _intent(touched: _Touched, tools: tuple[str, ...], risk: Risk, interrupts: bool, **more: Any) -> Intent:
    return Intent(
        tools,
        risk,
        interrupts,
        guests=frozenset(touched.guests),
        nodes=frozenset(touched.nodes),
        storages=frozenset(touched.storages),
        pools=frozenset(touched.pools),
        tags=frozenset(touched.tags),
        **more,
    )


def _touched(arguments: Any) -> _Touched:
    touched = _Touched()
    for key, value in leaves("", arguments):
        touched.value(key, str(value))
    return touched


def leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value in the arguments with the name it stands under; those of a list have the list's."""
    if isinstance(value, Mapping):
        for inner, item in value.items():
            # A key may name something itself, as in a map of storages.
            yield "", inner
            yield from leaves(str(inner), item)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            yield from leaves(key, item)
    elif value is not None and not isinstance(value, bool):
        yield key, value


def _relabels(arguments: Arguments) -> frozenset[str]:
    """The labels that a write changes, however deep they stand; the members of a pool are changed through the pool."""
    changed = set()
    for key, value in leaves("", arguments):
        text = str(value)
        if (
            _TAG_KEY.fullmatch(key)
            or (key == "tool" and "tag" in text)
            or text.startswith("tags=")
            or (key == "delete" and "tags" in _words(text))
        ):
            changed.add("tags")
        if (
            _POOL_KEY.fullmatch(key)
            or key == "vms"
            or (key == "tool" and "pool" in text)
            or (key == "path" and text.strip("/").startswith("pools"))
        ):
            changed.add("pools")
    return frozenset(changed)


def _command(given: Any) -> tuple[str, ...]:
    try:
        words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given or ()]
    except ValueError:
        return ()
    return tuple(words)


def _words(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,;\0]+", text) if part]
