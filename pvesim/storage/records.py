"""Records of the storage area. Sizes are bytes, times seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pvesim.firewall.records import Firewall
from pvesim.guests.records import Behaviour

_NOTHING: Mapping[str, Any] = MappingProxyType({})
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage definition, a section of `storage.cfg`.

    `content` lists the content types in the order they were given; `options` holds what the type adds (path, server,
    prune-backups, …); `nodes` restricts it, empty means all.
    """

    storage: str
    type: str
    content: tuple[str, ...] = ("images", "rootdir")
    nodes: tuple[str, ...] = ()
    shared: bool = False
    disable: bool = False
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> str:
        return self.storage

    def on(self, node: str) -> bool:
        """Whether the definition covers a node."""
        return not self.nodes or node in self.nodes

    def place(self, node: str) -> str:
        """Where its volumes are: the node for a local storage, "" for a shared one."""
        return "" if self.shared else node


@dataclass(frozen=True, slots=True)
class Space:
    """The size of a storage at a place (see `Storage.place`) and what is used on it beside volumes."""

    storage: str
    place: str
    total: int = 500 * GIB
    used: int = 0
    active: bool = True

    @property
    def key(self) -> tuple[str, str]:
        return (self.storage, self.place)


@dataclass(frozen=True, slots=True)
class BackupContents:
    """What a backup holds beside the configuration.

    `disk_use` are the bytes in use of each drive or mount point, `behaviour` is the software that was on them.
    """

    disk_use: Mapping[str, int]
    behaviour: Behaviour = field(default_factory=Behaviour)
    firewall: Firewall | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume. `name` is what follows the colon in its id, such as `100/vm-100-disk-0.raw` or `iso/tiny.iso`.

    `content` is its content type, `vmid` its owner (None for ISOs and templates), `parent` the base it is linked to.
    A backup carries its guest's configuration in `guest_config`, and what else it holds in `contents` if that is known.
    """

    storage: str
    place: str
    name: str
    content: str
    format: str
    size: int
    used: int = 0
    ctime: float = 0.0
    vmid: int | None = None
    parent: str | None = None
    notes: str | None = None
    protected: bool = False
    subtype: str | None = None
    guest_config: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    contents: BackupContents | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.storage, self.place, self.name)

    @property
    def volid(self) -> str:
        return f"{self.storage}:{self.name}"


@dataclass(frozen=True, slots=True)
class Download:
    """A file that nodes can download: what a world has in place of the network outside. `checksums` by algorithm."""

    url: str
    size: int
    mimetype: str = "application/octet-stream"
    filename: str = ""
    checksums: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> str:
        return self.url
