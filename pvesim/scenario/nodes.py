"""From a scenario to the records of the cluster and its nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import mean
from typing import Any

from pvesim.cluster.options import change_options
from pvesim.cluster.records import Cluster, Release
from pvesim.nodes.records import GIB, Disk, Hardware, Interface, Node, Service
from pvesim.scenario import defaults
from pvesim.scenario.context import Context
from pvesim.scenario.model import FleetModel, HardwareModel, NodeModel
from pvesim.scenario.reading import Location
from pvesim.scenario.values import Model

DEFAULT_CLUSTER_NAME = "cluster"


def given(model: Model) -> dict[str, Any]:
    """The fields of a model that are not None, to put over a record's own defaults."""
    return {name: getattr(model, name) for name in type(model).model_fields if getattr(model, name) is not None}


def node_models(context: Context) -> dict[str, NodeModel]:
    """The scenario's nodes, and those that the fleet adds; a world has one at least."""
    scenario = context.scenario
    sized = NodeModel(hardware=_hardware_for(scenario.fleet))
    fleet = {f"pve{number}": sized for number in range(1, scenario.fleet.nodes + 1)}
    return {**fleet, **scenario.nodes} or {"pve1": sized}


def _hardware_for(fleet: FleetModel) -> HardwareModel:
    """Nodes that a fleet fits on: a quarter of memory to spare, and four cores of guests on one of theirs."""
    nodes = fleet.nodes or 1
    memory = fleet.vms * mean(defaults.VM_MEMORY) + fleet.containers * mean(defaults.CONTAINER_MEMORY)
    gib = _power_of_two(memory * 1.25 / nodes / 1024)
    cpus = _power_of_two((2.5 * fleet.vms + 1.5 * fleet.containers) / nodes / 4)
    usual = Hardware()
    if gib <= usual.memory // GIB and cpus <= usual.cpus:
        return HardwareModel()
    return HardwareModel(memory=max(gib * GIB, usual.memory), cpus=max(cpus, usual.cpus), cores=max(cpus // 2, 8))


def _power_of_two(number: float) -> int:
    return 1 << max(0, math.ceil(math.log2(max(number, 1))))


def build_cluster(context: Context, clustered: bool) -> None:
    """The cluster's one record. Several nodes make a cluster, also where the scenario gives it no name."""
    scenario = context.scenario
    options = context.verified("PUT", "/cluster/options", ("cluster", "options"), scenario.cluster.options)
    name = scenario.cluster.name or (DEFAULT_CLUSTER_NAME if clustered else "")
    release = replace(Release(), **given(scenario.release))
    context.world.put(Cluster(name, release=release, status_rounds=scenario.cluster.status_rounds))
    change_options(context.world, options)


def build_nodes(context: Context) -> None:
    """The cluster, its nodes, their services and interfaces."""
    models = node_models(context)
    clustered = len(models) > 1 or context.scenario.cluster.name is not None
    build_cluster(context, clustered)
    for position, (name, model) in enumerate(models.items()):
        _build_node(context, name, model, position, clustered)
    if not any(model.online for model in models.values()):
        context.problem(("nodes",), "one node at least is online: a cluster of which none answers cannot be asked")


def _build_node(context: Context, name: str, model: NodeModel, position: int, clustered: bool) -> None:
    location: Location = ("nodes", name)
    ip = model.ip or defaults.node_address(position)
    dns = {str(key): value for key, value in (model.dns if model.dns is not None else defaults.DNS).items()}
    world = context.world
    world.put(
        Node(
            name,
            nodeid=position + 1 if clustered else 0,
            ip=ip,
            online=model.online,
            started=context.ago(model.uptime),
            hardware=replace(Hardware(), **given(model.hardware)),
            timezone=model.timezone,
            clock_offset=model.clock_offset,
            dns=dns,
            hosts=model.hosts if model.hosts is not None else defaults.hosts(name, ip, dns.get("search", "local")),
            config=context.verified("PUT", "/nodes/{node}/config", (*location, "config"), model.config, node=name),
            statistics_since=context.ago(model.uptime if model.statistics is None else model.statistics),
        )
    )
    for service in defaults.services(name, clustered):
        world.put(service)
    for service_name, service_model in model.services.items():
        before = world.get(Service, (name, service_name)) or Service(name, service_name, f"{service_name}.service")
        world.put(replace(before, **given(service_model)))
    if model.network is None:
        interfaces = defaults.network(name, ip)
    else:
        interfaces = [
            _interface(context, name, iface, options, (*location, "network", iface), number)
            for number, (iface, options) in enumerate(model.network.items(), start=3)
        ]
    for interface in interfaces:
        world.put(interface)
    for disk_name, disk in model.disks.items():
        world.put(Disk(name, disk_name, **given(disk)))


def _interface(
    context: Context, node: str, iface: str, options: Mapping[str, Any], location: Location, priority: int
) -> Interface:
    """An interface with what its listing shows: both forms of an address, methods, families."""
    wanted = dict(options)
    active = bool(wanted.pop("active", True))
    values = context.verified("POST", "/nodes/{node}/network", location, wanted, node=node, iface=iface)
    cidr = values.get("cidr")
    if cidr:
        values["address"], _, values["netmask"] = str(cidr).partition("/")
    values["method"] = "static" if "address" in values else "manual"
    values["method6"] = "static" if "cidr6" in values or "address6" in values else "manual"
    values["families"] = ["inet", "inet6"] if values["method6"] == "static" else ["inet"]
    values["priority"] = priority
    if values.get("type") == "bridge":
        values = {"bridge_fd": "0", "bridge_ports": "", "bridge_stp": "off", **values}
    return Interface(node, iface, str(values.pop("type", "unknown")), values, active)
