"""Every tool, in the ways that a call can go which take bad luck or a node that is off. `matrix.py` says with what.

The other ways are shown by the contracts, for every tool: `tests/contract/test_coverage.py` sees to that.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

import anyio
import pytest
from mcp import Client

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import ProxmoxServer, build_server
from proxmox_mcp.settings import Settings
from proxmox_mcp.tasks import Tasks
from proxmox_mcp.tooling import Risk
from pvesim import Simulator
from tests.contract.targets import UPLOADS
from tests.proxmox_mcp.tools.conftest import approve, text_of
from tests.proxmox_mcp.tools.matrix import (
    CASES,
    DECLARED,
    FAR,
    FOR_EVERYBODY,
    TRIED,
    WORLD,
    Kind,
    arguments,
    left_out,
    takes,
)

pytestmark = pytest.mark.anyio

NO_LUCK = "no luck with it"


@pytest.fixture(scope="module")
def origin() -> Simulator:
    return Simulator(WORLD)


@pytest.fixture
def world(origin: Simulator) -> Simulator:
    return origin.fork()


class Outcome:
    """What came of a call."""

    def __init__(self, result: Any, world: Simulator) -> None:
        self.is_error = bool(result.is_error)
        self.text = text_of(result)
        self.data = result.structured_content or {}
        self.asked = [(request.verb, request.path.removeprefix("/api2/json")) for request in world.requests]
        self.changed = [request for request in world.requests if request.verb != "GET" and request.status == 200]


def prepared(given: dict[str, Any], world: Simulator) -> dict[str, Any]:
    """The arguments, with what only the world can say."""
    ready = dict(given)
    if given.get("upid") == "running":
        world.faults.add("hangs", task="qmstart", hang=True)
        ready["upid"] = world.request("POST", "/nodes/pve1/qemu/101/status/start")
    elif "upid" in given:
        tasks = world.request("GET", "/cluster/tasks")
        ready["upid"] = next(task["upid"] for task in tasks if task["id"] == given["upid"])
    if "pid" in given:
        ready["pid"] = world.request("POST", "/nodes/pve1/qemu/100/agent/exec", {"command": ["sleep", "1000"]})["pid"]
    if given.get("volid") == "the newest":
        ready["volid"] = world.request("GET", "/nodes/pve1/storage/nas/content", {"content": "backup"})[0]["volid"]
    world.requests.clear()
    return ready


def server_for(world: Simulator, tool: str, user: str = "root@pam") -> ProxmoxServer:
    settings = Settings(access="admin", tools=(tool,), retries=0, upload_folder=UPLOADS)
    return build_server(settings, Pve(settings, connect=lambda: world.connect(user)))


async def call(world: Simulator, tool: str, given: dict[str, Any], user: str = "root@pam") -> Outcome:
    async with Client(server_for(world, tool, user), elicitation_callback=approve) as client:
        return Outcome(await client.call_tool(tool, given), world)


def tasks_of(world: Simulator) -> set[str]:
    return {task["upid"] for task in world.request("GET", "/cluster/tasks")}


async def success(world: Simulator, tool: str, given: dict[str, Any]) -> Outcome:
    given = prepared(given, world)
    before = tasks_of(world)
    world.requests.clear()
    outcome = await call(world, tool, given)
    assert not outcome.is_error, outcome.text
    waits = left_out(tool, Kind.FAILED_TASK) is None and tool != "wait_for_task"  # which starts none
    assert bool(tasks_of(world) - before) == waits, "whether it starts a task"
    assert bool(outcome.asked) == (left_out(tool, Kind.TIMEOUT) is None), outcome.asked
    return outcome


async def failed_task(world: Simulator, tool: str, given: dict[str, Any]) -> None:
    world.faults.add("bad luck", task="*", fail=NO_LUCK)
    outcome = await call(world, tool, prepared(given, world))
    assert outcome.is_error, outcome.text
    assert NO_LUCK in outcome.text, outcome.text
    assert "UPID:" in outcome.text, outcome.text


async def offline_node(world: Simulator, tool: str, given: dict[str, Any]) -> None:
    given = prepared(given, world)
    world.faults.cause(node_offline=FAR)
    outcome = await call(world, tool, given)
    assert outcome.is_error, outcome.text
    assert f"Node {FAR} gives no answer" in outcome.text or f"Node {FAR} is offline" in outcome.text, outcome.text
    assert not outcome.changed


async def timeout(world: Simulator, tool: str, given: dict[str, Any]) -> None:
    asked = (await success(world.fork(), tool, given)).asked
    writes = [request for request in asked if request[0] != "GET" and DECLARED[tool].risk is not Risk.READ]
    verb, path = (writes or asked)[0]
    given = prepared(given, world)
    world.faults.add("slow", method=verb, path=path, delay="1h")
    outcome = await call(world, tool, given)
    assert outcome.is_error, outcome.text
    assert "no answer in time" in outcome.text, outcome.text
    assert ("It may have been done nevertheless" in outcome.text) == (verb != "GET"), outcome.text


async def cancelled(world: Simulator, tool: str, given: dict[str, Any]) -> None:
    given = prepared(given, world)
    if tool == "wait_for_task":
        given["upid"] = world.request("POST", "/nodes/pve1/qemu/101/status/start")
    told: list[str] = []
    async with Client(server_for(world, tool), elicitation_callback=approve) as client:
        with anyio.CancelScope() as scope:

            async def give_up(progress: float, total: float | None, message: str | None) -> None:
                told.append(message or "")
                scope.cancel()

            await client.call_tool(tool, given, progress_callback=give_up)
    assert scope.cancelled_caught
    [upid] = [word for word in told[0].split() if word.startswith("UPID:")]
    world.clock.run_until_done(upid)
    path = f"/nodes/{upid.split(':')[1]}/tasks/{upid}/status"
    assert world.request("GET", path)["exitstatus"] == "OK"


KINDS: dict[Kind, Callable[..., Awaitable[object]]] = {
    Kind.SUCCESS: success,
    Kind.FAILED_TASK: failed_task,
    Kind.OFFLINE_NODE: offline_node,
    Kind.TIMEOUT: timeout,
    Kind.CANCELLED: cancelled,
}
ASKED = [
    (tool, kind)
    for tool in CASES
    for kind in TRIED
    # What the test of a late answer begins with is a success.
    if left_out(tool, kind) is None and (kind is not Kind.SUCCESS or left_out(tool, Kind.TIMEOUT))
]


@pytest.mark.parametrize(("tool", "kind"), ASKED, ids=lambda value: str(value).replace(" ", "-"))
async def test_a_tool_is_good_at(tool: str, kind: Kind, world: Simulator) -> None:
    await KINDS[kind](world, tool, arguments(tool, kind))


WAITING = [tool for tool in CASES if takes(tool, "wait_seconds") and left_out(tool, Kind.CANCELLED) is None]


@pytest.mark.parametrize("tool", WAITING)
async def test_a_task_that_is_not_over_in_time_is_named(
    tool: str, world: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count()
    monkeypatch.setattr("proxmox_mcp.server.Tasks", partial(Tasks, now=lambda: float(next(seconds))))
    world.faults.add("hangs", task="*", hang=True)
    given = {**prepared(arguments(tool, Kind.SUCCESS), world), "wait_seconds": 3}
    if tool == "wait_for_task":
        given["upid"] = world.request("POST", "/nodes/pve1/qemu/101/status/start")
    outcome = await call(world, tool, given)
    if tool == "provision_vm":  # which has more to do with the machine than a task can
        assert "VM 106 (fresh) is not there yet: its task (cloned 102) still runs, UPID:" in outcome.text
        return
    assert not outcome.is_error, outcome.text
    task = outcome.data.get("task", outcome.data)
    assert (task["state"], task["upid"].partition(":")[0]) == ("running", "UPID")


@pytest.mark.parametrize("tool", sorted(FOR_EVERYBODY))
async def test_what_pve_tells_everybody(tool: str, world: Simulator) -> None:
    outcome = await call(world, tool, arguments(tool, Kind.SUCCESS), user="nobody@pve")
    assert not outcome.is_error, outcome.text
    assert outcome.data["total"] > 0


def test_every_tool_has_its_case() -> None:
    assert set(CASES) == set(DECLARED)
