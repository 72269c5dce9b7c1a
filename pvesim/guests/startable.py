"""What must be there for a guest to start: its volumes, its bridges, enough CPUs.

Source: `pve-behaviour` 37 (a volume that is gone makes the start fail in the task); texts as PVE's nodes log them.
"""

from __future__ import annotations

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.guests.rules import read_options, volumes_in
from pvesim.mapping.records import PciMapping
from pvesim.nodes.records import Interface, Node
from pvesim.sdn.local import bridges_of
from pvesim.storage.rules import activate
from pvesim.storage.volumes import volume_of

_BRIDGE_SCRIPT = "/usr/libexec/qemu-server/pve-bridge"


def check_volumes(world: World, guest: Guest) -> None:
    """Raise `Failure` for the first volume of the guest that is not there or whose storage does not answer."""
    for volid in volumes_in(guest.kind, guest.config):
        check_volume(world, guest.node, volid)


def check_volume(world: World, node: str, volid: str) -> None:
    """Raise `Failure` where a volume cannot be used on a node."""
    activate(world, volid.partition(":")[0], node)
    if volume_of(world, node, volid) is None:
        raise Failure(f"volume '{volid}' does not exist")


def missing_bridge(world: World, guest: Guest) -> tuple[str, str] | None:
    """The first interface (`net0`) whose bridge the node does not have, and that bridge; None when all are there."""
    for key, value in guest.config.items():
        if key.startswith("net") and key[3:].isdigit():
            bridge = read_options(str(value), "model").get("bridge", "")
            own = not bridge or world.get(Interface, (guest.node, bridge)) is not None
            if not own and bridge not in bridges_of(world, guest.node):
                return key, bridge
    return None


def bridge_log(guest: Guest, key: str, bridge: str) -> tuple[str, ...]:
    """What the log of a start says about a bridge that is not there."""
    first = f"bridge '{bridge}' does not exist"
    if guest.kind == "lxc":
        return (first,)
    device = (
        f"kvm: -netdev type=tap,id={key},ifname=tap{guest.vmid}i{key[3:]},script={_BRIDGE_SCRIPT},"
        f"downscript={_BRIDGE_SCRIPT}down: network script {_BRIDGE_SCRIPT} failed with status 512"
    )
    return (first, device)


def check_cpus(world: World, guest: Guest) -> None:
    """Raise `Failure` where a virtual machine wants more CPUs than its node has."""
    node = world.get(Node, guest.node)
    wanted = int(guest.config.get("sockets", 1)) * int(guest.config.get("cores", 1))
    if node is not None and wanted > node.hardware.cpus:
        raise Failure(f"MAX {node.hardware.cpus} vcpus allowed per VM on this node")


def check_passed_through(world: World, guest: Guest) -> None:
    """Raise `Failure` where a virtual machine is to have a PCI device of its node: none here has an IOMMU."""
    for key, text in guest.config.items():
        if not key.startswith("hostpci"):
            continue
        name = read_options(str(text), "host").get("mapping")
        mapping = world.get(PciMapping, name) if name else None
        places = mapping.options["map"] if mapping is not None else ()
        if name and not any(read_options(place, "").get("node") == guest.node for place in places):
            raise Failure(f"PCI device mapping not found for '{name}'")
        raise Failure("cannot prepare PCI pass-through, IOMMU not present")
