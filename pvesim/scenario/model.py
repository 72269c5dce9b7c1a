"""The scenario file's model: what may be written, with its defaults.

Wherever a field is called `config` or `options`, its keys and values are PVE's own, those that the create or update
method of that area takes. A field that is left out has the default that a freshly installed node would have.
"""

# ruff: noqa: RUF012 - a pydantic model copies its defaults for every instance.
from __future__ import annotations

from typing import Literal

from pydantic import Field, PrivateAttr, model_validator

from pvesim.scenario.firewall_model import FirewallModel
from pvesim.scenario.reading import Places
from pvesim.scenario.setup import SetupModel
from pvesim.scenario.state_model import StateModel
from pvesim.scenario.steps import ContractStepModel
from pvesim.scenario.trouble import FaultModel, FaultName, TimelineModel
from pvesim.scenario.values import (
    DiskName,
    Duration,
    Model,
    Moment,
    NodeName,
    Option,
    OptionOrNone,
    Options,
    Rate,
    Share,
    Size,
    StorageName,
    Url,
    Vmid,
    VmidKey,
)

# -- the cluster and its nodes -----------------------------------------------------------------------------------------


class ReleaseModel(Model):
    """What the nodes say they run."""

    release: str | None = None
    version: str | None = None
    repoid: str | None = None
    kernel: str | None = None
    kernel_version: str | None = None
    qemu: str | None = None


class ClusterModel(Model):
    """The cluster's name (a lone node has none) and its datacenter options.

    With `status_rounds`, `/cluster/resources` and the members of pools show a guest's state, name and size as the
    status daemon last told, every ten seconds, as a genuine node does; without it they are right at once.
    """

    name: str | None = Field(None, pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$", max_length=15)
    options: Options = {}
    status_rounds: bool = False


class HardwareModel(Model):
    """What a node is made of; `cores` counts those of all sockets, `cpus` the threads."""

    cores: int | None = Field(None, ge=1)
    cpus: int | None = Field(None, ge=1)
    sockets: int | None = Field(None, ge=1)
    cpu_model: str | None = None
    cpu_vendor: str | None = None
    cpu_family: str | None = None
    cpu_flags: str | None = None
    mhz: str | None = None
    memory: Size | None = None
    memory_used: Size | None = None
    swap: Size | None = None
    root_size: Size | None = None
    root_used: Size | None = None
    boot_mode: Literal["efi", "legacy-bios"] | None = None
    load: Share | None = None


class ServiceModel(Model):
    """How a system service of a node is, where that is not as usual."""

    description: str | None = None
    state: Literal["running", "dead", "exited"] | None = None
    unit_state: Literal["enabled", "disabled", "static", "not-found", "masked"] | None = None


class DiskModel(Model):
    """A disk that is not in use; those behind local storages on LVM and ZFS need not be named."""

    size: Size
    model: str | None = None
    type: Literal["ssd", "hdd", "nvme"] | None = None


class NodeModel(Model):
    """One node. `network` maps interface names to their options (`type` is required); left out, there is `vmbr0`.

    `statistics` says how long ago its statistics begin; left out, they begin with its uptime. `disks` are those that
    are not in use, by their names below /dev, such as `sdb`. `clock_offset` is how many seconds its clock is ahead.
    """

    ip: str | None = None
    online: bool = True
    uptime: Duration = 14 * 86400.0
    statistics: Duration | None = None
    hardware: HardwareModel = HardwareModel()
    timezone: str = "UTC"
    clock_offset: float = Field(0.0, ge=-86400, le=86400)
    dns: dict[Literal["search", "dns1", "dns2", "dns3"], str] | None = None
    hosts: str | None = None
    config: Options = {}
    services: dict[str, ServiceModel] = {}
    network: dict[str, Options] | None = None
    disks: dict[DiskName, DiskModel] = {}


# -- storage -----------------------------------------------------------------------------------------------------------


class VolumeModel(Model):
    """A volume that is no guest's disk, such as `iso/debian.iso`; a local storage has it on `node`, or on all."""

    name: str = Field(min_length=1)
    size: Size
    ago: Duration = 30 * 86400.0
    node: str | None = None
    notes: str | None = None
    protected: bool = False


class BackupModel(Model):
    """A backup of a guest. It holds the guest's present configuration, or `config` (then `kind` tells what it was)."""

    guest: Vmid
    kind: Literal["qemu", "lxc"] | None = None
    ago: Duration = 86400.0
    size: Size = 1 << 30
    node: str | None = None
    compress: Literal["none", "lzo", "gz", "zst"] = "zst"
    notes: str | None = None
    protected: bool = False
    config: Options | None = None


class SpaceModel(Model):
    """How a storage is on one node, where that differs."""

    size: Size | None = None
    used: Size | None = None
    active: bool = True


StorageType = Literal[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
]


class StorageModel(Model):
    """A storage. `used` is what is used on it beside the volumes; a `size` that is left out is large enough."""

    type: StorageType
    config: Options = {}
    size: Size | None = None
    used: Size | None = None
    active: bool = True
    nodes: dict[str, SpaceModel] = {}
    volumes: list[VolumeModel] = []
    backups: list[BackupModel] = []


class DownloadModel(Model):
    """A file that nodes can download from its URL; nothing else outside can be reached. Checksums by algorithm."""

    size: Size
    mimetype: str | None = None
    filename: str | None = None
    checksums: dict[Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"], str] | None = None


# -- guests ------------------------------------------------------------------------------------------------------------


class BehaviourModel(Model):
    """How the software inside a guest acts. Loads are shares, rates bytes per second; `commands` is what the guest
    agent answers to a command line (`exitcode`, `out-data`, `err-data`), `files` what it reads.
    """

    acpi: bool | None = None
    agent: bool | None = None
    shutdown_seconds: Duration | None = None
    cpu_load: Share | None = None
    memory_load: Share | None = None
    disk_used: Share | None = None
    net_in: Rate | None = None
    net_out: Rate | None = None
    disk_read: Rate | None = None
    disk_write: Rate | None = None
    addresses: list[str] | None = None
    commands: dict[str, Options] | None = None
    files: dict[str, str] | None = None


class SnapshotModel(Model):
    """A snapshot. `parent` is the one before in the list if left out; `config` what was configured otherwise then."""

    name: str = Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]+$", max_length=40)
    ago: Duration = 7 * 86400.0
    description: str = ""
    parent: str | None = None
    vmstate: bool = False
    config: dict[str, OptionOrNone] = {}


class GuestModel(Model):
    """What VMs and containers share. `pending` waits for the next start; None there deletes a key."""

    node: str | None = None
    config: Options = {}
    uptime: Duration = 3 * 86400.0
    snapshots: list[SnapshotModel] = []
    pending: dict[str, OptionOrNone] = {}
    behaviour: BehaviourModel = BehaviourModel()


class VmModel(GuestModel):
    """A virtual machine. A disk written as `local-lvm:32` is made with that many GiB."""

    state: Literal["running", "paused", "stopped"] = "stopped"


class ContainerModel(GuestModel):
    """A container; without a `rootfs` it gets 8 GiB on the first storage for containers."""

    state: Literal["running", "stopped"] = "stopped"


class PoolModel(Model):
    """A pool with its members."""

    comment: str = ""
    guests: list[Vmid] = []
    storages: list[str] = []


# -- access ------------------------------------------------------------------------------------------------------------


class TokenModel(Model):
    """An API token; without a `secret` it gets one that depends on the seed alone."""

    secret: str | None = Field(None, pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    privsep: bool = True
    expire: Moment = 0.0
    comment: str = ""


class UserModel(Model):
    """A user, such as `alice@pve`, with its tokens by name. `expire` is a moment, 0 for never."""

    password: str | None = None
    enable: bool = True
    expire: Moment = 0.0
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    comment: str = ""
    groups: list[str] = []
    tokens: dict[str, TokenModel] = {}


class GroupModel(Model):
    """A group; users name the groups they are in."""

    comment: str = ""


class RealmModel(Model):
    """An authentication realm beside the two that are always there."""

    type: str
    config: Options = {}


class AclModel(Model):
    """A role on a path for one of a user, a group or a token (`alice@pve!name`)."""

    path: str = Field(pattern=r"^/")
    role: str
    user: str | None = None
    group: str | None = None
    token: str | None = None
    propagate: bool = True

    @model_validator(mode="after")
    def _one_subject(self) -> AclModel:
        if sum(subject is not None for subject in (self.user, self.group, self.token)) != 1:
            raise ValueError("give exactly one of user, group and token")
        return self

    @property
    def subject(self) -> tuple[Literal["user", "group", "token"], str]:
        """What kind of subject it is for, and its id."""
        if self.user is not None:
            return "user", self.user
        return ("group", self.group) if self.group is not None else ("token", self.token or "")


# -- high availability, history ------------------------------------------------------------------------------


class HaModel(Model):
    """Guests under high availability (`vm:100`, `ct:200`) and the rules for them, with PVE's options."""

    resources: dict[str, Options] = {}
    rules: dict[str, Options] = {}


class TaskModel(Model):
    """A task that has ended: `ago` is when it started, `status` its exit status, `log` its lines without the last."""

    type: str = Field(pattern=r"^[a-zA-Z0-9]+$")
    id: Option = ""
    node: str | None = None
    user: str = "root@pam"
    ago: Duration
    duration: Duration = 1.0
    status: str = Field("OK", min_length=1)
    log: list[str] = []


class FleetModel(Model):
    """An inventory from counts: nodes `pve1`, …, VMs `vm-0001`, … and containers `ct-0001`, …, spread over the nodes.

    `running` is the share of guests that run; of the others some VMs are paused.
    """

    nodes: int = Field(0, ge=0, le=1000)
    vms: int = Field(0, ge=0, le=100_000)
    containers: int = Field(0, ge=0, le=100_000)
    first_vmid: Vmid = 100
    running: Share = 0.8
    storage: str | None = None


class Scenario(Model):
    """A simulated cluster as it is at the start, and what must hold when MCP tools are called on it."""

    extends: str | None = Field(None, description="The scenario that this one changes: its name, or a file beside it.")
    variables: dict[str, Option] = Field({}, description="Values by name; ${name} in a text stands for one.")
    description: str = ""
    seed: int = Field(0, ge=0)
    start: Moment = 1_767_225_600.0
    release: ReleaseModel = ReleaseModel()
    cluster: ClusterModel = ClusterModel()
    root_password: str | None = Field(None, min_length=1)
    nodes: dict[NodeName, NodeModel] = {}
    storages: dict[StorageName, StorageModel] | None = None
    downloads: dict[Url, DownloadModel] = {}
    vms: dict[VmidKey, VmModel] = {}
    containers: dict[VmidKey, ContainerModel] = {}
    pools: dict[str, PoolModel] = {}
    realms: dict[str, RealmModel] = {}
    users: dict[str, UserModel] = {}
    groups: dict[str, GroupModel] = {}
    roles: dict[str, list[str]] = {}
    acl: list[AclModel] = []
    firewall: FirewallModel = FirewallModel()
    ha: HaModel = HaModel()
    tasks: list[TaskModel] = []
    fleet: FleetModel = FleetModel()
    setup: list[SetupModel] = []
    faults: dict[FaultName, FaultModel] = {}
    timeline: list[TimelineModel] = []
    state: StateModel | None = None
    contract: list[ContractStepModel] = []

    _places: Places = PrivateAttr(default_factory=Places)

    @property
    def places(self) -> Places:
        """Where its fields stand in the file it was read from."""
        return self._places
