"""What is found when a node is looked at, with reads alone."""

from dataclasses import dataclass
from typing import Any

from tests.real.node import NodeUnfit, RealNode

# What setting up and running the contracts takes, at `/`.
_NEEDED = (
    *("Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit"),
    *("Group.Allocate", "Permissions.Modify", "Pool.Allocate", "Pool.Audit", "Realm.AllocateUser", "SDN.Allocate"),
    *("SDN.Audit", "SDN.Use", "Sys.AccessNetwork", "Sys.Audit", "Sys.Console", "Sys.Modify", "Sys.Syslog"),
    *("User.Modify", "VM.Allocate", "VM.Audit", "VM.Backup", "VM.Clone", "VM.Config.CDROM", "VM.Config.CPU"),
    *("VM.Config.Cloudinit", "VM.Config.Disk", "VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network"),
    *("VM.Config.Options", "VM.GuestAgent.Audit", "VM.GuestAgent.FileRead", "VM.GuestAgent.FileWrite"),
    *("VM.GuestAgent.Unrestricted", "VM.Migrate", "VM.PowerMgmt", "VM.Snapshot", "VM.Snapshot.Rollback"),
)
_OLDEST, _NEWEST = 8, 9
_LARGEST_TEMPLATE = 16 * 1024**2
_ROOM = 2 * 1024**3


@dataclass(frozen=True)
class Found:
    """What a node offers."""

    node: str
    version: str
    bridge: str | None
    template: str | None
    """Volume id of a small container template."""
    thin_pool: tuple[str, str] | None
    """Volume group and pool."""
    kvm: bool
    guests: tuple[int, ...]
    is_root: bool
    firewall_in_use: bool
    network_pending: bool
    """Changes of its network wait to be applied."""
    virtual_networks: bool
    interfaces: frozenset[str] = frozenset()
    backs_up_all: bool = False
    """A backup job takes all guests there will ever be."""
    no_containers: str | None = None
    """Why none can be made of the template that the run brought along."""
    vm_backups_fail: str | None = None
    """Why the node cannot back up virtual machines, where a try has failed."""
    throwaway: bool = False
    """Nobody uses the node after the run, so that its own network and services may be changed."""

    @property
    def major(self) -> int:
        """Which PVE it is: 8 or 9."""
        return int(self.version.split(".")[0])

    def lines(self) -> list[str]:
        """What will be used, for people."""
        thin = "/".join(self.thin_pool) if self.thin_pool else "none: directories take its place"
        return [
            f"node {self.node}, PVE {self.version}, {len(self.guests)} guests",
            f"bridge {self.bridge or 'none: guests with a card are left out'}",
            f"container template {self.template or 'none that is small: a tiny one is uploaded for the run'}",
            f"thin pool {thin}",
            f"virtual machines with {'KVM' if self.kvm else 'emulation, for its processors offer no virtualisation'}",
            *(
                []
                if self.is_root
                else ["not root@pam with a password: what is about guests that are locked is left out"]
            ),
        ]


def look(node: RealNode) -> Found:
    """Look at a node with reads alone.

    Raises:
        NodeUnfit: it is no PVE 8 or 9 node that answers, it has too little room, or the user has too few rights.
    """
    version = str(node.get("version")["version"])
    node.major = int(version.split(".")[0])
    if node.major < _OLDEST:
        raise NodeUnfit(f"The node runs PVE {version}; {_OLDEST} and {_NEWEST} are supported.")
    _check_rights(node)
    status = node.get("cluster/status")
    node.name = next(entry["name"] for entry in status if entry.get("local"))
    state = node.get(f"nodes/{node.name}/status")
    _check_room(state)
    firewalls = ("cluster/firewall", f"nodes/{node.name}/firewall")
    options = [key for path in firewalls for key in node.get(f"{path}/options") if key != "digest"]
    rules = [rule for path in firewalls for rule in node.get(f"{path}/rules")]
    return Found(
        node=node.name,
        version=version,
        bridge=_bridge(node),
        template=_template(node),
        thin_pool=_thin_pool(node),
        kvm=bool(state["cpuinfo"].get("hvm")),
        guests=tuple(sorted(entry["vmid"] for entry in node.get("cluster/resources", type="vm"))),
        is_root=node.connection.identity == "root@pam",
        firewall_in_use=bool(options or rules or node.get("cluster/firewall/groups")),
        network_pending=node.pending_network(),
        backs_up_all=any(job.get("all") for job in node.get("cluster/backup")),
        interfaces=frozenset(str(entry["iface"]) for entry in node.get(f"nodes/{node.name}/network")),
        virtual_networks=bool(node.get("cluster/sdn/zones") or node.get("cluster/sdn/vnets")),
    )


def check_range(node: RealNode, found: Found, first: int, last: int) -> None:
    """Nothing on the node may have an id of the run's range: what has one is removed in the end.

    Raises:
        NodeUnfit: there are guests in the range, or disks of guests that are gone.
    """
    taken = [vmid for vmid in found.guests if first <= vmid <= last]
    if taken:
        raise NodeUnfit(
            f"There are guests in the range {first}-{last} already: {', '.join(map(str, taken))}. Give another range "
            "and the pool for it: --range FIRST-LAST --pool NAME."
        )
    disks = sorted({volume["volid"] for volume in _disks(node) if first <= int(volume.get("vmid") or 0) <= last})
    if disks:
        raise NodeUnfit(
            f"There are disks of guests in the range {first}-{last}, though not the guests: {', '.join(disks)}. "
            "Remove them, or give another range: --range FIRST-LAST --pool NAME."
        )


def _disks(node: RealNode) -> list[dict[str, Any]]:
    active = [entry for entry in node.get(f"nodes/{node.name}/storage") if entry.get("active")]
    return [
        volume
        for entry in active
        for content in ("images", "rootdir")
        if content in str(entry.get("content")).split(",")
        for volume in node.get(f"nodes/{node.name}/storage/{entry['storage']}/content", content=content)
    ]


def _check_rights(node: RealNode) -> None:
    """Raises `NodeUnfit`, with the command that grants what is missing."""
    identity = node.connection.identity
    if identity == "root@pam":
        return
    held = node.get("access/permissions", path="/").get("/", {})
    # An older PVE does not have all of them.
    known = node.get("access/roles/Administrator")
    missing = [privilege for privilege in _NEEDED if privilege in known and not held.get(privilege)]
    if missing:
        kind = "--tokens" if "!" in identity else "--users"
        raise NodeUnfit(
            f"{identity} lacks {', '.join(missing)} on /. On the node, as root: "
            f"pveum acl modify / {kind} '{identity}' --roles Administrator"
        )


def _check_room(state: dict[str, Any]) -> None:
    free = int(state["rootfs"]["avail"])
    if free < _ROOM:
        raise NodeUnfit(
            f"The node's root file system has {free / 1024**3:.1f} GiB free; the run's guests and backups take up to "
            f"{_ROOM / 1024**3:.0f} GiB there. Make room."
        )


def _bridge(node: RealNode) -> str | None:
    networks = node.get(f"nodes/{node.name}/network")
    bridges = [entry for entry in networks if entry["type"] in ("bridge", "OVSBridge") and entry.get("active")]
    return min((str(entry["iface"]) for entry in bridges), default=None)


def _thin_pool(node: RealNode) -> tuple[str, str] | None:
    active = {entry["storage"] for entry in node.get(f"nodes/{node.name}/storage") if entry.get("active")}
    for entry in node.get("storage"):
        if entry["type"] == "lvmthin" and entry["storage"] in active:
            return entry["vgname"], entry["thinpool"]
    return None


def _template(node: RealNode) -> str | None:
    """The smallest container template on the node, if it is small enough to be unpacked again and again."""
    sizes: dict[str, int] = {}
    for storage in node.get(f"nodes/{node.name}/storage", content="vztmpl"):
        if storage.get("active"):
            content = node.get(f"nodes/{node.name}/storage/{storage['storage']}/content", content="vztmpl")
            sizes.update({entry["volid"]: entry["size"] for entry in content})
    small = [volid for volid, size in sizes.items() if size <= _LARGEST_TEMPLATE]
    return min(small, key=lambda volid: (sizes[volid], volid), default=None)
