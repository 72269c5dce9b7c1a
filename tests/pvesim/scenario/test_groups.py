"""Pools and high availability."""

from __future__ import annotations

import pytest

from pvesim.ha.records import HaResource, HaRule
from pvesim.pools.records import Pool
from tests.pvesim.invariants import check_invariants
from tests.pvesim.scenario.places import build, problem

GUESTS = "vms: {100: {state: running}, 101: {}}\ncontainers: {200: {}}\n"


def test_pools_hold_guests_and_storages_and_may_be_nested() -> None:
    world = build(GUESTS + "pools: {a: {comment: c, guests: [100, 200], storages: [local]}, a/b: {guests: [101]}}")
    assert world.rows(Pool)["a"] == Pool("a", "c", (100, 200), ("local",))
    assert world.rows(Pool)["a/b"].vmids == (101,)
    assert check_invariants(world) == []


def test_ha_has_settled() -> None:
    world = build(
        GUESTS + "ha: {resources: {'vm:100': {max_restart: 2}, 'vm:101': {state: stopped}, 'ct:200': {state: ignored}},"
        " rules: {r1: {type: node-affinity, nodes: pve1, resources: 'vm:100'}}}"
    )
    made = world.rows(HaResource)
    assert (made["vm:100"].state, made["vm:100"].crm_state, made["vm:100"].options) == (
        "started",
        "started",
        {"max_restart": 2},
    )
    assert made["vm:101"].crm_state == "stopped"
    assert world.rows(HaRule)["r1"].options == {"nodes": "pve1", "resources": "vm:100"}
    assert check_invariants(world) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pools: {a: {guests: [999]}}", "pools.a.guests.0: no guest 999"),
        ("pools: {a: {guests: [100]}, b: {guests: [100]}}", "guest 100 is in the pool 'a' already"),
        ("pools: {a: {guests: [100, 100]}}", "guest 100 is in the pool 'a' already"),
        ("pools: {a: {storages: [zz]}}", "no storage 'zz': there are local, local-lvm"),
        ("pools: {a/b: {}}", "no pool 'a' that it could be in"),
        ("pools: {'a b': {}}", "PVE refuses it"),
        ("ha: {resources: {'vm:999': {}}}", "no guest 'vm:999'"),
        ("ha: {resources: {'ct:100': {}}}", "no guest 'ct:100'"),
        ("ha: {resources: {'vm:101': {state: started}}}", "guest 101 is stopped: its HA state cannot be 'started'"),
        ("ha: {resources: {'vm:100': {state: dancing}}}", "PVE refuses it"),
        ("ha: {rules: {r1: {type: odd, resources: 'vm:100'}}}", "ha.rules.r1.type: PVE refuses it"),
    ],
)
def test_what_cannot_be(text: str, words: str) -> None:
    assert words in problem(GUESTS + text)
