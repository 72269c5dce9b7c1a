"""Records of guests, virtual machines and containers alike. Sizes are bytes, times seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Kind = Literal["qemu", "lxc"]
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A guest's snapshot: the configuration it had, and the name of the one before."""

    name: str
    snaptime: float
    config: Mapping[str, Any]
    parent: str | None = None
    description: str = ""
    vmstate: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the software inside a guest acts: whether it heeds a shutdown, has an agent, how busy it is.

    `cpu_load` is the share of its own CPUs that it uses, `memory_load` the share of its memory; `commands` maps a
    command line to what the agent answers; the rates are bytes per second. `checkpoint` says that a container can be
    frozen to disk, which takes software that a stock node has not got.
    """

    acpi: bool = True  # heeds a shutdown request
    agent: bool = False  # an agent runs inside (it is reached only if the config enables it)
    checkpoint: bool = False
    shutdown_seconds: float = 3.0
    cpu_load: float = 0.03
    memory_load: float = 0.4
    disk_used: float = 0.35
    net_in: float = 2_000.0
    net_out: float = 1_200.0
    disk_read: float = 4_000.0
    disk_write: float = 9_000.0
    addresses: tuple[str, ...] = ()
    commands: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    files: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest.

    `config` is what its configuration file holds, values typed as `GET …/config` shows them (lock and template among
    them); `pending` what waits for the next start: a key with a value, or None for a key that will be deleted.
    `qmpstatus` says more than `status` for a VM: `paused`, `suspended`, `prelaunch`. `cloudinit` is what changed since
    its cloud-init drive was last written: the value of then, None for an option that it had not.
    """

    vmid: int
    kind: Kind
    node: str
    config: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    pending: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    snapshots: tuple[Snapshot, ...] = ()
    status: Literal["running", "stopped"] = "stopped"
    qmpstatus: str = "stopped"
    started: float = 0.0
    pid: int | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    cloudinit: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> int:
        return self.vmid

    @property
    def name(self) -> str:
        """The name as lists show it; a VM without one is `VM 100`, a container `CT200`."""
        if self.kind == "qemu":
            return str(self.config.get("name") or f"VM {self.vmid}")
        return str(self.config.get("hostname") or f"CT{self.vmid}")

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def template(self) -> bool:
        return bool(self.config.get("template"))

    @property
    def lock(self) -> str | None:
        return self.config.get("lock")


@dataclass(frozen=True, slots=True)
class FileLock:
    """The lock on a guest's configuration file while a task works with it, beside the `lock` option inside the file.

    `holder` is the task's UPID, empty where something outside the API holds it; `waiting` are those that queue for it.
    """

    vmid: int
    holder: str = ""
    waiting: tuple[str, ...] = ()

    @property
    def key(self) -> int:
        return self.vmid


@dataclass(frozen=True, slots=True)
class Journey:
    """A guest on its way to another node: which task moves it (`holder`, a UPID), and what of it is there already.

    `sent` maps the ids of its volumes to what they are called on the target, `copied` are those of which a replication
    job keeps a copy there. `was_running` says that it is a container that was shut down for the journey.
    """

    vmid: int
    holder: str
    target: str
    sent: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    copied: tuple[str, ...] = ()
    was_running: bool = False

    @property
    def key(self) -> int:
        return self.vmid
