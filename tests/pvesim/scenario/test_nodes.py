"""Nodes and the cluster, with the defaults of a fresh installation."""

from __future__ import annotations

import pytest

from pvesim.cluster.records import Cluster
from pvesim.nodes.records import Interface, Node, Service
from pvesim.scenario import build_world
from tests.pvesim.scenario.places import build, problem


def test_nothing_written_is_one_node() -> None:
    world = build_world({})
    assert list(world.rows(Node)) == ["pve1"]
    assert world.rows(Node)["pve1"].nodeid == 0
    assert world.rows(Cluster)["cluster"].name == ""


def test_several_nodes_are_a_cluster() -> None:
    world = build("nodes: {a: {}, b: {}}")
    assert [(node.name, node.nodeid, node.ip) for node in world.rows(Node).values()] == [
        ("a", 1, "10.10.10.11"),
        ("b", 2, "10.10.10.12"),
    ]
    assert world.rows(Cluster)["cluster"].name == "cluster"
    assert world.rows(Service)["a", "corosync"].state == "running"


def test_corosync_runs_in_a_cluster_only() -> None:
    world = build_world({})
    assert world.rows(Service)["pve1", "corosync"].state == "dead"
    assert world.rows(Service)["pve1", "pveproxy"].state == "running"


def test_a_service_may_be_otherwise_and_there_may_be_more() -> None:
    world = build(
        "nodes: {a: {services: {postfix: {state: dead}, ceph: {description: Storage}, syslog: {description: S}}}}"
    )
    postfix = world.rows(Service)["a", "postfix"]
    assert (postfix.state, postfix.description) == ("dead", "Postfix mail agent")
    assert world.rows(Service)["a", "ceph"].description == "Storage"
    assert world.rows(Service)["a", "syslog"].state == "dead"


def test_hardware_that_is_left_out_is_as_usual() -> None:
    hardware = build("nodes: {a: {hardware: {memory: 8G, cpus: 4}}}").rows(Node)["a"].hardware
    assert (hardware.memory, hardware.cpus, hardware.cores) == (8 << 30, 4, 8)


def test_time_begins_where_the_scenario_or_the_caller_says() -> None:
    world = build("start: 2026-01-02T00:00:00Z\nnodes: {a: {uptime: 1d}}")
    assert world.now == 1767312000
    assert world.rows(Node)["a"].started == 1767312000 - 86400
    assert build_world({"start": 5}, now=10_000_000).now == 10_000_000


def test_the_seed_is_the_scenario_s_or_the_caller_s() -> None:
    assert build("seed: 3").seed == 3
    assert build_world({"seed": 3}, seed=4).seed == 4


def test_a_node_has_a_bridge_with_its_address() -> None:
    world = build("nodes: {a: {ip: 192.168.1.5}}")
    bridge = world.rows(Interface)["a", "vmbr0"]
    assert bridge.options["cidr"] == "192.168.1.5/24"
    assert bridge.options["gateway"] == "192.168.1.1"
    assert world.rows(Node)["a"].hosts.endswith("192.168.1.5 a.example.test a\n")


def test_interfaces_are_written_in_pve_s_options() -> None:
    text = "nodes: {a: {network: {eno1: {type: eth}, vmbr1: {type: bridge, cidr: 10.0.0.1/16, bridge_ports: eno1}}}}"
    world = build(text)
    assert ("a", "vmbr0") not in world.rows(Interface)
    bridge = world.rows(Interface)["a", "vmbr1"]
    assert bridge.type == "bridge"
    assert bridge.options["address"] == "10.0.0.1"
    assert bridge.options["netmask"] == "16"
    assert bridge.options["method"] == "static"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: {a: {network: {vmbr1: {type: cable}}}}", "value 'cable' does not have a value in the enumeration"),
        ("nodes: {a: {network: {vmbr1: {cidr: 10.0.0.1/24}}}}", "type: property is missing"),
        ("nodes: {a: {config: {colour: red}}}", "nodes.a.config.colour: PVE refuses it"),
        ("cluster: {options: {keyboard: xx}}", "cluster.options.keyboard: PVE refuses it"),
        ("nodes: {a: {online: false}}", "one node at least is online"),
        ("nodes: {a_b: {}}", "string should match pattern"),
    ],
)
def test_what_cannot_be(text: str, words: str) -> None:
    assert words in problem(text)


def test_an_offline_node_may_be_in_a_cluster() -> None:
    world = build("nodes: {a: {}, b: {online: false}}\nvms: {100: {node: b}}")
    assert not world.rows(Node)["b"].online
