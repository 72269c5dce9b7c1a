"""The timeline: incidents at a moment and after a task, in Python and in scenarios."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import FaultError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.faults.records import Fault, Planned, Trigger
from pvesim.nodes.records import Node
from pvesim.scenario import read
from tests.pvesim.scenario.places import problems
from tests.pvesim.small_world import small_simulator

START = "/nodes/pve1/qemu/101/status/start"


def test_an_entry_happens_at_its_moment() -> None:
    sim = small_simulator()
    sim.faults.plan(at="90s", node_offline="pve2")
    sim.clock.advance(89)
    assert sim.world.rows(Node)["pve2"].online
    assert [entry.name for entry in sim.faults.timeline] == ["entry-1"]
    sim.clock.advance(1)
    assert not sim.world.rows(Node)["pve2"].online
    assert sim.faults.timeline == []


def test_an_entry_waits_for_a_task_to_start() -> None:
    sim = small_simulator()
    sim.request("POST", "/nodes/pve2/qemu/102/status/start")  # began before: it does not count
    sim.faults.plan(when={"task": "qmstart"}, after="2s", quorum_lost=True)
    sim.clock.advance(60)
    assert sim.faults.happened == []
    begin = sim.world.now
    sim.request("POST", START)
    sim.clock.advance(60)
    assert [(event.time - begin, event.incident[0]) for event in sim.faults.happened] == [(2.0, "quorum_lost")]


@pytest.mark.parametrize(
    ("when", "happens"),
    [
        ({"task": "qmstart", "id": 101}, True),
        ({"task": "qmstart", "id": "101", "node": "pve1"}, True),
        ({"task": "qmstart", "id": 102}, False),
        ({"task": "qmstart", "node": "pve2"}, False),
        ({"task": "qmstop"}, False),
        ({"task": "qmstart", "log": "TASK OK"}, True),
        ({"task": "qmstart", "log": "never said"}, False),
        ({"task": "qmstart", "ended": True}, True),
    ],
)
def test_which_task_is_waited_for(when: dict[str, Any], happens: bool) -> None:
    sim = small_simulator()
    sim.faults.plan(when=when, quorum_lost=True)
    sim.request("POST", START)
    sim.clock.advance(60)
    assert bool(sim.faults.happened) == happens


def test_ended_is_after_the_end() -> None:
    sim = small_simulator()
    sim.faults.plan(when={"task": "qmstart", "ended": True}, quorum_lost=True)
    upid = sim.request("POST", START)
    sim.clock.advance(60)
    assert sim.faults.happened[0].time == sim.world.rows(Task)[upid].endtime


def test_an_entry_is_cancelled() -> None:
    sim = small_simulator()
    sim.faults.plan("one", at=10, quorum_lost=True)
    sim.faults.plan("two", when={"task": "qmstart"}, quorum_lost=True)
    with pytest.raises(FaultError, match="there is an entry 'two' already"):
        sim.faults.plan("two", at=10, quorum_lost=True)
    with pytest.raises(FaultError, match="no entry 'three': there are one, two"):
        sim.faults.cancel("three")
    sim.faults.cancel("one")
    sim.faults.cancel("two")
    sim.request("POST", START)
    sim.clock.advance(60)
    assert sim.faults.happened == []


def test_what_cannot_be_any_more_is_passed_over_and_noted() -> None:
    sim = small_simulator()
    sim.faults.plan(at=10, guest_hangs=101)
    sim.request("DELETE", "/nodes/pve1/qemu/101")
    sim.clock.advance(60)
    assert [(event.incident, event.refused) for event in sim.faults.happened] == [
        (("guest_hangs", 101), "no guest 101")
    ]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"quorum_lost": True}, "say when it happens: one of at and when"),
        ({"at": 1, "when": {"task": "x"}, "quorum_lost": True}, "one of at and when"),
        ({"at": 1}, "say what happens"),
        ({"at": 1, "after": 2, "quorum_lost": True}, "after goes with when"),
        ({"at": 1, "node_offline": "nope"}, "no node 'nope'"),
        ({"when": {}, "quorum_lost": True}, "when.task: this field is required"),
    ],
)
def test_an_entry_that_names_nothing_is_refused(entry: dict[str, Any], text: str) -> None:
    sim = small_simulator()
    with pytest.raises(FaultError, match=text):
        sim.faults.plan(**entry)
    assert sim.faults.timeline == []


# -- in scenarios ----------------------------------------------------------------------------------------------------

STORY = """
nodes: {pve1: {}, pve2: {}, pve3: {}}
vms: {100: {node: pve1, config: {memory: 512}}}
faults:
  slow: {path: /nodes/pve2/**, delay: 2s}
timeline:
  - {at: 90s, node_offline: pve2}
  - {when: {task: qmstart, id: 100}, after: 1s, node_offline: pve3}
  - at: 2m
    fault: {name: flaky, probability: 0.5, for: 1m, connection: drop}
"""


def test_a_scenario_has_faults_and_a_timeline() -> None:
    sim = Simulator(read(STORY))
    assert [fault.name for fault in sim.faults] == ["slow"]
    assert [type(entry) for entry in sim.faults.timeline] == [Planned, Planned, Trigger]
    sim.clock.advance(90)
    assert not sim.world.rows(Node)["pve2"].online
    sim.clock.advance(30)
    flaky = sim.world.rows(Fault)["flaky"]
    assert (flaky.probability, flaky.until) == (0.5, sim.world.now + 60)
    sim.reset()
    assert sim.world.rows(Node)["pve2"].online
    assert len(sim.faults.timeline) == 3


def test_the_moments_count_from_the_beginning_wherever_that_is() -> None:
    sim = Simulator(read(STORY), now=1_900_000_000.0)
    assert sim.faults.timeline[0].due == 1_900_000_090.0  # type: ignore[union-attr]


def test_every_problem_has_its_place() -> None:
    text = """nodes: {pve1: {}}
faults:
  a: {storage: nope, delay: 1}
  b: {task: qmstart, delay: 1}
timeline:
  - {at: 1s, node_offline: pve9}
  - {at: 1s, agent_dies: 300}
"""
    assert problems(text.replace("  b: {task: qmstart, delay: 1}\n", "")) == [
        "x.yaml:3:3: faults.a: no storage 'nope': there are local, local-lvm",
        "x.yaml:5:14: timeline.0.node_offline: no node 'pve9': there are pve1",
        "x.yaml:6:14: timeline.1.agent_dies: no guest 300",
    ]
    assert problems(text) == [
        "x.yaml:4:3: faults.b: task is for tasks: give fail, hang, warn or slow",
    ]
