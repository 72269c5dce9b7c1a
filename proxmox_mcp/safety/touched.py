"""What arguments name: guests, nodes, storages, pools and tags, wherever they stand.

Two questions are asked of it. To deny, or to ask, counts whatever is *mentioned*, in any text. To allow counts what is
a *target*: what stands where a tool, or the API, takes a guest, a node or a storage. Or else a comment that mentions a
guest of the sandbox would make every call one on the sandbox.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

# By the end of a name, so that target_vmid, target-vmid and newid all count.
_GUEST_KEY = re.compile(r"(?:.*[_-])?(?:vmids?|newid|vms|guests?|sid)", re.IGNORECASE)
_NODE_KEY = re.compile(r"(?:.*[_-])?(?:nodes?|target)", re.IGNORECASE)
_STORAGE_KEY = re.compile(r"(?:.*[_-])?(?:target)?storages?(?:id)?", re.IGNORECASE)
POOL_KEY = re.compile(r"(?:.*[_-])?pool(?:s|id)?", re.IGNORECASE)
TAG_KEY = re.compile(r"(?:.*[_-])?tags?", re.IGNORECASE)
# What takes a volume, a backup, a task, or ids as high availability writes them.
_THING_KEY = re.compile(
    r"vol(?:id|ume)|archive|ostemplate|template|image|upid|resources|disk|import[_-]from"
    r"|(?:scsi|virtio|ide|sata|efidisk|tpmstate|mp|unused)\d+|rootfs"
)

_DIGITS = r"\d{1,12}(?!\d)"
# vm-100-disk-0, base-9000-disk-0, subvol-200-disk-0, vzdump-qemu-100-….vma.zst, backup/vm/100/…; as high availability
# names it, vm:100; and as permissions do, /vms/100.
_OWNED = re.compile(
    rf"(?<![A-Za-z0-9])(?:(?:vm|base|subvol|basevol)-(?P<volume>{_DIGITS})-|vzdump-[a-z]+-(?P<dump>{_DIGITS})-"
    rf"|backup/(?:vm|ct)/(?P<group>{_DIGITS})(?:/|$)|(?:vm|ct):(?P<sid>{_DIGITS})(?!/)|vms/(?P<acl>{_DIGITS}))"
)
_JOB_KEYS = frozenset({"id", "job_id"})
_GUEST = re.compile(rf"(?P<vmid>{_DIGITS})(?:-\d+)?")  # 100-0 is a replication job of guest 100
_FOLDER = re.compile(rf":(?P<vmid>{_DIGITS})/")  # of a directory storage: local:100/vm-100-disk-0.qcow2
_VOLID = re.compile(r"(?P<storage>[A-Za-z][A-Za-z0-9._-]*):(?!//)\S")
_NO_VOLID = re.compile(r"(?:vm|ct):\d+|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")  # ids of HA, addresses of cards
_UPID = re.compile(r"UPID:(?P<node>[^:]+):[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[^:]+:(?P<id>[^:]*):(?P<user>[^:]*):")
_POOL_PATH = re.compile(r"/?pool/(?P<pool>[^\s,;]+)")
# A guest's rights are those on it and on what it is in.
_PATH = "path"  # of a permission, with a slash before it or without
_ABOVE_GUESTS = frozenset({"/", "/vms", "/pool"})
_ALL_KEYS = frozenset({"all", "all_guests"})
_NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PASSING_FOR_A_NODE = frozenset({"localhost"})
# What names something by its form alone (volumes, backups, tasks, paths, ids of high availability) has one of these.
_MARK = re.compile(r"[-:/]")


@dataclass(slots=True)
class Touched:
    """What a call names. Sets of ids and names; the `target` ones are parts of the others."""

    guests: set[int] = field(default_factory=set)
    targets: set[int] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    target_nodes: set[str] = field(default_factory=set)
    storages: set[str] = field(default_factory=set)
    target_storages: set[str] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    task_users: set[str] = field(default_factory=set)
    right_pools: set[str] = field(default_factory=set)
    everyone: bool = False

    @classmethod
    def by(cls, arguments: Any) -> "Touched":
        """What arguments name, however deep it stands."""
        touched = cls()
        for key, value in leaves("", arguments):
            touched.value(key, str(value))
        touched.everyone |= _says_all(arguments)
        return touched

    @property
    def somewhere(self) -> bool:
        """Whether a node is named otherwise than by its name."""
        return any(node in _PASSING_FOR_A_NODE or not _NODE_NAME.fullmatch(node) for node in self.nodes)

    def whole_pools(self, *doing: str) -> frozenset[str]:
        """The pools of which all guests are meant: by rights on them, and by backups of them."""
        backups = any("backup" in name or "vzdump" in name for name in doing)
        return frozenset(self.right_pools | (self.pools if backups else set()))

    def places(self, named: Iterable[tuple[str, str]]) -> None:
        """Take in what the path of a request names."""
        for key, part in named:
            self.value(key, part)

    def value(self, key: str, text: str) -> None:
        """Take in one value, by the name that it stands under."""
        if _MARK.search(text) or key == _PATH or _is_kind(key):
            self.closely(key, text)

    def closely(self, key: str, text: str) -> None:
        """The same for a value that may name something; most do not, and that is quickly seen."""
        folded = re.sub(r"/{2,}", "/", text)  # as PVE reads the paths of permissions
        if key == _PATH:
            folded = "/" + folded.strip().strip("/")
        is_guest = _GUEST_KEY.fullmatch(key) is not None or (key in _JOB_KEYS and "-" in text)
        found: set[int] = set()
        if is_guest:
            found.update(int(guest["vmid"]) for part in words(text) if (guest := _GUEST.fullmatch(part)))
        for owned in _OWNED.finditer(folded):
            found.add(int(next(part for part in owned.groups() if part)))
        storages = self._volumes(text, found)
        nodes = self._tasks(text, found)
        if _NODE_KEY.fullmatch(key):
            nodes.update(words(text))
        if _STORAGE_KEY.fullmatch(key):
            storages.update(words(text))
        if POOL_KEY.fullmatch(key):
            self.pools.update(words(text))
        if TAG_KEY.fullmatch(key):
            self.tags.update(words(text))
        if key == _PATH:
            self.right_pools.update(pool["pool"] for pool in _POOL_PATH.finditer(folded))
            self.everyone |= folded in _ABOVE_GUESTS
        self._take(found, nodes, storages, is_thing=_THING_KEY.fullmatch(key) is not None, key=key, is_guest=is_guest)

    def _take(
        self, guests: set[int], nodes: set[str], storages: set[str], *, is_thing: bool, key: str, is_guest: bool
    ) -> None:
        self.guests |= guests
        self.nodes |= nodes
        self.storages |= storages
        if is_thing or is_guest:
            self.targets |= guests
        if is_thing or _NODE_KEY.fullmatch(key):
            self.target_nodes |= nodes
        if is_thing or _STORAGE_KEY.fullmatch(key):
            self.target_storages |= storages

    def _tasks(self, text: str, guests: set[int]) -> set[str]:
        nodes = set()
        for upid in _UPID.finditer(text):
            nodes.add(upid["node"])
            self.task_users.add(upid["user"])
            guests.update(int(part["vmid"]) for part in [_GUEST.fullmatch(upid["id"])] if part)
        return nodes

    def _volumes(self, text: str, guests: set[int]) -> set[str]:
        storages = set()
        if not text.startswith("UPID:"):
            for part in re.split(r"[\s,;=]+", text):
                if (volid := _VOLID.match(part)) and not _NO_VOLID.fullmatch(part):
                    storages.add(volid["storage"])
                    guests.update(int(found["vmid"]) for found in _FOLDER.finditer(part))
        return storages


@lru_cache(maxsize=1024)
def _is_kind(key: str) -> bool:
    """Whether what stands under a name is of a kind that is looked for, whatever it looks like."""
    kinds = (_GUEST_KEY, _NODE_KEY, _STORAGE_KEY, POOL_KEY, TAG_KEY)
    return any(kind.fullmatch(key) for kind in kinds)


def _says_all(arguments: Any) -> bool:
    """Whether it is said, however deep, that all guests are meant."""
    if not isinstance(arguments, Mapping):
        return False
    return any(
        _says_all(value) or (key in _ALL_KEYS and str(value).lower() in ("true", "1", "yes", "on"))
        for key, value in arguments.items()
    )


def leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value in the arguments with the name it stands under; those of a list have the list's."""
    if isinstance(value, Mapping):
        for inner, item in value.items():
            # A key may name something itself, as in a map of storages.
            yield "", inner
            yield from leaves(str(inner), item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from leaves(key, item)
    elif value is not None and not isinstance(value, bool):
        yield key, value


def named_by(key: str, text: str) -> frozenset[int]:
    """The guests that a value names which stands under such a key."""
    touched = Touched()
    touched.value(key, text)
    return frozenset(touched.guests)


def words(text: str) -> list[str]:
    """The parts of a list in one text."""
    return [part for part in re.split(r"[\s,;\0]+", text) if part]
