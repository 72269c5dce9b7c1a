"""A node's network configuration: what is active, what will be after an apply, and the changes between.

Sources: `/nodes/{node}/network`, the recorded exchanges `nodes/014` and `nodes/054` to `nodes/065`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from pvesim.core.errors import ParameterErrors
from pvesim.core.sections import as_stored
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.nodes.interfaces import difference, render
from pvesim.nodes.records import Interface, Node, PendingNetwork

_BRIDGES = ("bridge", "OVSBridge")
_FILTERS: Mapping[str, tuple[str, ...]] = {
    "any_bridge": (*_BRIDGES, "vnet"),
    "any_local_bridge": _BRIDGES,
    "include_sdn": (*_BRIDGES, "vnet"),
}
_PHYSICAL = "eth"  # stays in lists when its configuration is gone: the card is still there
_FIRST_PRIORITY = 3
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "bridge": {"bridge_fd": "0", "bridge_ports": "", "bridge_stp": "off"},
    "bond": {"bond_miimon": "100", "bond_mode": "balance-rr", "slaves": ""},
}
# What goes with an option when it is deleted.
_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "cidr": ("address", "netmask"),
    "address": ("cidr", "netmask"),
    "netmask": ("cidr", "address"),
    "cidr6": ("address6", "netmask6"),
    "address6": ("cidr6", "netmask6"),
    "netmask6": ("cidr6", "address6"),
}


# -- reading -------------------------------------------------------------------------------------------------------


def active_interfaces(world: World, node: str) -> list[Interface]:
    """The interfaces as they are now."""
    return [interface for interface in world.rows(Interface).values() if interface.node == node]


def configured_interfaces(world: World, node: str) -> list[Interface]:
    """The interfaces as they will be after an apply, which is what lists show."""
    pending = world.get(PendingNetwork, node)
    return active_interfaces(world, node) if pending is None else list(pending.interfaces)


def find_interface(world: World, node: str, iface: str) -> Interface:
    """An interface of the configuration. Raises `ParameterErrors`."""
    for interface in configured_interfaces(world, node):
        if interface.iface == iface:
            return interface
    raise ParameterErrors({"iface": "interface does not exist"})


def describe(interface: Interface) -> dict[str, Any]:
    """`GET /nodes/{node}/network/{iface}`."""
    shown = {**as_stored(interface.options), "type": interface.type}
    if interface.active:
        shown["active"] = 1
    for name in ("comments", "comments6"):
        if shown.get(name):
            shown[name] = shown[name].rstrip("\n") + "\n"
    return shown


def listed(world: World, node: str, wanted: str | None = None) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/network`; `wanted` is a type or the name of a group of types."""
    types = _FILTERS.get(wanted, (wanted,)) if wanted else None
    return [
        {"iface": interface.iface, **describe(interface)}
        for interface in configured_interfaces(world, node)
        if types is None or interface.type in types
    ]


def changes(world: World, node: str) -> str:
    """The difference that an apply would make, beside the list; empty when there is none."""
    pending, record = world.get(PendingNetwork, node), world.get(Node, node)
    if pending is None or record is None:
        return ""
    before = render(active_interfaces(world, node))
    return difference(before, render(pending.interfaces), record.started, pending.changed)


# -- writing -------------------------------------------------------------------------------------------------------


def create(world: World, node: str, iface: str, type: str, given: Mapping[str, Any]) -> None:
    """`POST /nodes/{node}/network`. Raises `ParameterErrors`."""
    interfaces = configured_interfaces(world, node)
    if any(interface.iface == iface for interface in interfaces):
        raise ParameterErrors({"iface": "interface already exists"})
    _check_gateways(interfaces, iface, given)
    last = max((int(interface.options.get("priority", 0)) for interface in interfaces), default=_FIRST_PRIORITY - 1)
    options = _complete({**_DEFAULTS.get(type, {}), **_from_name(iface, type), **given, "priority": last + 1})
    _check_needs(interfaces, type, options)
    _set_pending(world, node, [*interfaces, Interface(node, iface, type, options, active=False)])


def update(world: World, node: str, iface: str, type: str, given: Mapping[str, Any], delete: Iterable[str]) -> None:
    """`PUT /nodes/{node}/network/{iface}`. Raises `ParameterErrors`."""
    before = find_interface(world, node, iface)
    if before.type != type:
        raise ParameterErrors({"type": f"unable to change interface type from '{before.type}' to '{type}'"})
    others = [interface for interface in configured_interfaces(world, node) if interface.iface != iface]
    _check_gateways(others, iface, given)
    gone = {name for key in delete for name in (key, *_TOGETHER.get(key, ()))}
    replaced = {name for key in given for name in _TOGETHER.get(key, ())}
    kept = {key: value for key, value in before.options.items() if key not in gone | replaced}
    options = _complete({**_DEFAULTS.get(type, {}), **kept, **given})
    _check_needs(others, type, options)
    changed = replace(before, options=options)
    interfaces = configured_interfaces(world, node)
    _set_pending(world, node, [changed if other.iface == iface else other for other in interfaces])


def delete(world: World, node: str, iface: str) -> None:
    """`DELETE /nodes/{node}/network/{iface}`; a network card loses its settings and stays. Raises `ParameterErrors`."""
    gone = find_interface(world, node, iface)
    left = [interface for interface in configured_interfaces(world, node) if interface.iface != iface]
    if gone.type == _PHYSICAL:
        left.append(replace(gone, options=_complete({"priority": gone.options.get("priority", 0)})))
    _set_pending(world, node, left)


def revert(world: World, node: str) -> None:
    """`DELETE /nodes/{node}/network`: forget what was not applied."""
    world.remove(PendingNetwork, node)


def _set_pending(world: World, node: str, interfaces: list[Interface]) -> None:
    if render(interfaces) == render(active_interfaces(world, node)):
        world.remove(PendingNetwork, node)
    else:
        world.put(PendingNetwork(node, tuple(interfaces), world.now))


def _from_name(iface: str, type: str) -> dict[str, Any]:
    """What the name of a VLAN such as `vmbr0.5` says: the device below and the tag."""
    device, dot, tag = iface.rpartition(".")
    if type != "vlan":
        return {}
    if dot:
        return {"vlan-raw-device": device, "vlan-id": tag}
    return {"vlan-id": iface.removeprefix("vlan")} if iface.removeprefix("vlan").isdigit() else {}


def _complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options with what PVE works out of them: both forms of an address, methods, families."""
    options = {key: value for key, value in given.items() if key != "autostart" or value}
    if options.get("cidr"):
        options["address"], _, options["netmask"] = str(options["cidr"]).partition("/")
    elif options.get("address") and options.get("netmask"):
        prefix = IPv4Network(f"0.0.0.0/{options['netmask']}").prefixlen
        options |= {"cidr": f"{options['address']}/{prefix}", "netmask": str(prefix)}
    if options.get("cidr6"):
        options["address6"], _, options["netmask6"] = str(options["cidr6"]).partition("/")
    elif options.get("address6") and options.get("netmask6"):
        options["cidr6"] = f"{options['address6']}/{options['netmask6']}"
    for name in ("mtu", "vlan-id"):  # a number in the file is read back as text
        if name in options:
            options[name] = str(options[name])
    options["method"] = "static" if options.get("address") else "manual"
    options["method6"] = "static" if options.get("address6") else "manual"
    options["families"] = ["inet", "inet6"] if options.get("address6") else ["inet"]
    return options


# -- checks --------------------------------------------------------------------------------------------------------


def _check_gateways(others: Sequence[Interface], iface: str, given: Mapping[str, Any]) -> None:
    """A node has one default gateway of each family."""
    for gateway in ("gateway", "gateway6"):
        for other in others if given.get(gateway) else ():
            if other.iface != iface and other.options.get(gateway):
                raise ParameterErrors({gateway: f"Default gateway already exists on interface '{other.iface}'."})


def _check_needs(others: Iterable[Interface], type: str, options: Mapping[str, Any]) -> None:
    """What an interface stands on must exist."""
    names = {interface.iface for interface in others}
    for key in ("ovs_bridge", "vlan-raw-device"):
        wanted = options.get(key)
        if wanted and str(wanted) not in names:
            raise ParameterErrors({key: f"interface '{wanted}' does not exist"})
    if type in ("OVSPort", "OVSIntPort", "OVSBond") and not options.get("ovs_bridge"):
        raise ParameterErrors({"ovs_bridge": "property is missing and it is not optional"})


# -- applying ------------------------------------------------------------------------------------------------------


def apply_steps(node: str) -> list[Step]:
    """The task of `PUT /nodes/{node}/network`."""
    return [Step(after=0.8, effect="nodes.apply_network", arguments=(node,))]


@effect("nodes.apply_network")
def apply_pending(world: World, task: Task | None, node: str) -> None:
    """Make the pending configuration the active one; what starts by itself, or was up before, is up."""
    pending = world.get(PendingNetwork, node)
    if pending is None:
        return
    up = {interface.iface for interface in active_interfaces(world, node) if interface.active}
    for interface in active_interfaces(world, node):
        world.remove(Interface, interface.key)
    for interface in pending.interfaces:
        is_up = interface.iface in up or bool(interface.options.get("autostart")) or interface.type == _PHYSICAL
        world.put(replace(interface, active=is_up))
    world.remove(PendingNetwork, node)
