"""What a scenario configures by requests of the API."""

from __future__ import annotations

import pytest

from pvesim.engine import Simulator
from pvesim.scenario import read
from tests.pvesim.scenario.places import problems

HEAD = "nodes: {pve1: {}, pve2: {}}\nvms: {100: {node: pve1, config: {memory: 512}}}\n"


def test_what_has_no_section_of_its_own_is_asked_for() -> None:
    setup = """
setup:
  - {post: /cluster/backup, params: {id: nightly, schedule: "22:30", storage: local, all: 1}}
  - {post: /cluster/sdn/zones, params: {zone: z1, type: simple}}
  - {put: /cluster/options, params: {keyboard: de}}
  - {post: /pools, params: {poolid: gone}}
  - {delete: /pools/gone}
"""
    sim = Simulator(read(HEAD + setup))
    assert [job["id"] for job in sim.request("GET", "/cluster/backup")] == ["nightly"]
    assert [zone["zone"] for zone in sim.request("GET", "/cluster/sdn/zones")] == ["z1"]
    assert sim.request("GET", "/cluster/options")["keyboard"] == "de"
    assert sim.request("GET", "/pools") == []
    assert sim.world.now == sim.world.started
    assert list(sim.requests) == []


def test_faults_come_after_it() -> None:
    text = HEAD + "setup: [{post: /pools, params: {poolid: p1}}]\nfaults: {x: {error: {status: 500}}}\n"
    assert Simulator(read(text)).world.size()["Pool"] == 1


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{post: /pools}", "x.yaml:3:9: setup.0: PVE refuses it: poolid: property is missing"),
        (
            "{post: /pools, params: {poolid: 'a b'}}",
            "x.yaml:3:33: setup.0.params.poolid: PVE refuses it: poolid: invalid format",
        ),
        ("{post: /nothing}", "x.yaml:3:10: setup.0.post: PVE refuses it: 501 Method 'POST /nothing' not implemented"),
        ("{delete: /pools/p1}", "x.yaml:3:10: setup.0.delete: PVE refuses it: 500"),
        ("{post: /nodes/pve1/qemu/100/status/start}", "setup.0.post: this starts a task, which takes time"),
        ("{post: /pools, put: /pools}", "setup.0: give exactly one of post, put and delete"),
        ("{params: {}}", "setup.0: give exactly one of post, put and delete"),
    ],
)
def test_a_wrong_request_is_told_with_its_place(entry: str, expected: str) -> None:
    assert expected in problems(HEAD + f"setup: [{entry}]\n")[0]
