"""Each finding of a diagnosis: a cluster that shows it, and one in which all is well and none is told."""

from copy import deepcopy
from typing import Any

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Tell

pytestmark = pytest.mark.anyio

WELL: dict[str, Any] = {
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {}},
    "storages": {
        "nas": {
            "type": "nfs",
            "config": {"server": "10.0.0.9", "export": "/tank", "content": ["images", "backup"]},
            "size": "1T",
            "used": "100G",
            "backups": [{"guest": 100, "ago": "8h", "size": "1G"}, {"guest": 101, "ago": "1d", "size": "1G"}],
        },
    },
    "vms": {
        100: {
            "node": "pve1",
            "state": "running",
            "config": {"name": "web", "memory": 512, "scsi0": "nas:1"},
            "snapshots": [{"name": "before", "ago": "2d"}],
        },
        101: {"node": "pve2", "state": "running", "config": {"name": "db", "memory": 512, "scsi0": "nas:1"}},
    },
    "ha": {"resources": {"vm:101": {"state": "started"}}},
    "tasks": [{"type": "vzdump", "id": 100, "node": "pve1", "ago": "8h", "duration": 60}],
}


def ill(*place: Any, **changes: Any) -> dict[str, Any]:
    """The cluster that is well, with something changed in one place of it."""
    world: dict[str, Any] = deepcopy(WELL)
    inner = world
    for key in place:
        inner = inner.setdefault(key, {})
    inner.update(changes)
    return world


OFF = {"online": False}
FAILED = {"type": "vzdump", "id": 100, "node": "pve1", "ago": "2h", "duration": 9, "status": "job errors"}
SPACE = {"size": "100G", "used": "90G"}
FINDINGS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "quorum": (ill("nodes", pve2=OFF, pve3=OFF), {}, "critical: The cluster has no quorum"),
    "offline node": (ill("nodes", pve3=OFF), {}, "critical: Node pve3 is offline"),
    "clock": (ill("nodes", pve3={"clock_offset": 40}), {}, "warning: The clock of node pve3 is off"),
    "storage over 85 %": (ill("storages", "nas", **SPACE), {}, "warning: Storage nas is nearly full"),
    "storage full": (ill("storages", "nas", size="100G", used="97G"), {}, "critical: Storage nas is full"),
    "failed task": (
        ill(tasks=[FAILED]),
        {},
        "warning: A task failed in the last day: vzdump of 100 on pve1",
    ),
    "no backup": (ill("vms", **{"102": {"node": "pve1"}}), {}, "warning: 1 guest has no backup"),
    "old snapshot": (
        ill("vms", 100, snapshots=[{"name": "before", "ago": "50d"}]),
        {"snapshot_days": 30},
        "notice: Guest 100 has an old snapshot before",
    ),
}


async def told(tell: Tell, tool: str, **arguments: Any) -> list[str]:
    reply = await tell(tool, **arguments)
    assert not reply.is_error, reply.text
    return [f"{problem['severity']}: {problem['what']}" for problem in reply.data["problems"]]


@pytest.mark.parametrize("simulator", [Simulator(WELL)], ids=["well"])
async def test_of_a_cluster_that_is_well_nothing_is_told(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("diagnose_cluster", snapshot_days=30)
    assert (reply.data["problems"], reply.data["healthy"]) == ([], True)
    for vmid in (100, 101):
        reply = await tell("diagnose_guest", vmid=vmid)
        assert (reply.data["problems"], reply.data["healthy"]) == ([], True)


@pytest.mark.parametrize(
    ("simulator", "arguments", "says"),
    [(Simulator(world), arguments, says) for world, arguments, says in FINDINGS.values()],
    ids=list(FINDINGS),
)
async def test_a_cluster_that_is_ill_tells_of_it(
    tell: Tell, simulator: Simulator, arguments: dict[str, Any], says: str
) -> None:
    assert says in await told(tell, "diagnose_cluster", **arguments)


@pytest.mark.parametrize("simulator", [Simulator({"fleet": {"nodes": 2, "vms": 520}})], ids=["fleet"])
async def test_every_guest_of_a_large_cluster_counts(tell: Tell, simulator: Simulator) -> None:
    assert "warning: 520 guests have no backup" in await told(tell, "diagnose_cluster")
    assert "warning: It has no backup" in await told(tell, "diagnose_guest", vmid=619)


@pytest.mark.parametrize("simulator", [Simulator("least-privilege")], ids=["least-privilege"])
async def test_who_sees_no_storage_does_not_know_of_backups(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("diagnose_guest", vmid=100, _user="olga@pve!assistant")
    [problem] = [problem for problem in reply.data["problems"] if problem["what"] == "It has no backup"]
    assert "no storage for backups, or none that the configured user may see" in problem["evidence"]


HOME = {"home": {"type": "node-affinity", "resources": "vm:101", "nodes": "pve2", "strict": 1}}


@pytest.mark.parametrize("simulator", [Simulator(ill("ha", rules=HOME))], ids=["nowhere to go"])
async def test_a_guest_that_high_availability_cannot_bring_back_is_told(tell: Tell, simulator: Simulator) -> None:
    assert await told(tell, "diagnose_cluster") == []
    simulator.faults.cause(node_offline="pve2")
    simulator.clock.advance(600)
    problems = await told(tell, "diagnose_cluster")
    assert "critical: High availability: vm:101 is in state recovery" in problems
    assert "critical: High availability: node pve2 is not heard of" in problems


@pytest.mark.parametrize(
    "simulator",
    [Simulator(world) for world, _, _ in FINDINGS.values()] + [Simulator("homelab")],
    ids=[*FINDINGS, "lab"],
)
async def test_every_problem_says_what_to_do(simulator: Simulator, tell: Tell) -> None:
    problems = (await tell("diagnose_cluster", snapshot_days=10)).data["problems"]
    assert problems
    assert all(problem["advice"].endswith(".") for problem in problems)
