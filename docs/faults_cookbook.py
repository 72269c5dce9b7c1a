"""The recipes of docs/faults.md: `python docs/faults_cookbook.py` plays them and writes what was answered.

A test fails when what the document says is not what the simulator does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pvesim import Simulator, WireRequest, WireResponse  # noqa: E402
from pvesim.access.records import Token  # noqa: E402
from pvesim.scenario.reading import read_yaml  # noqa: E402

DOCUMENT = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- recipes: generated -->", "<!-- /recipes -->"
TOKEN = "root@pam!automation"
START = "POST /nodes/pve2/qemu/105/status/start"


@dataclass(frozen=True)
class Recipe:
    """Something that goes wrong: fields as in a scenario (`fault` or `incident`), and what is asked then."""

    title: str
    text: str
    fields: str
    ask: Sequence[str]
    incident: bool = False


RECIPES = (
    Recipe(
        "An error from PVE",
        "Any status and text. PVE puts the first line of the text in the reason phrase, too.",
        "method: POST\npath: /nodes/*/qemu/*/status/start\nerror: {status: 500, message: start failed - no luck}\n",
        [START],
    ),
    Recipe(
        "Wrong parameters",
        "A 400 with texts by parameter, as PVE's own checks give.",
        'path: /nodes/*/qemu/*/config\nerror: {status: 400, errors: {memory: "too much of it\\n"}}\n',
        ["PUT /nodes/pve1/qemu/100/config memory=1024"],
    ),
    Recipe(
        "A login that is not accepted any more",
        "401 has no body; its reason is in the status line alone.",
        "error: {status: 401}\ncount: 1\n",
        ["GET /version", "GET /version"],
    ),
    Recipe(
        "A node that cannot be reached",
        "What the node you are connected to answers in the name of another one.",
        "node: pve3\nerror: {status: 595}\n",
        ["GET /nodes/pve3/status"],
    ),
    Recipe(
        "A node that takes too long",
        "596 is the proxy's own timeout.",
        "node: pve3\nerror: {status: 596}\n",
        ["GET /nodes/pve3/status"],
    ),
    Recipe(
        "The service is down for a moment",
        "As behind a load balancer, for the first two requests.",
        "count: 2\nerror: {status: 503}\n",
        ["GET /version", "GET /version", "GET /version"],
    ),
    Recipe(
        "Latency",
        "Over HTTPS the answer is held back; in the same process a client whose timeout is shorter gets `ReadTimeout`. "
        "The request is carried out all the same.",
        "path: /version\ndelay: 3s\n",
        ["GET /version"],
    ),
    Recipe(
        "A connection that drops before anything is done",
        "No byte of an answer, and the request was not carried out.",
        "path: /nodes/*/qemu/*/status/start\nconnection: drop\n",
        [START],
    ),
    Recipe(
        "An answer that gets lost",
        "No byte of an answer either, but the task has started: is your client safe to repeat it?",
        "path: /nodes/*/qemu/*/status/start\nconnection: lose\n",
        [START, "GET /cluster/tasks"],
    ),
    Recipe(
        "An answer that is cut off",
        "Half of the body, then the connection ends.",
        "path: /version\nconnection: cut\n",
        ["GET /version"],
    ),
    Recipe(
        "Garbage",
        "200, and a body that is neither JSON nor UTF-8.",
        "path: /version\nconnection: garbage\n",
        ["GET /version"],
    ),
    Recipe(
        "A task that fails",
        "Before its step number `step` (0 is the first); what the step before has done stays, what a task cleans up is "
        "cleaned up.",
        "task: qmstart\nguest: 105\nfail: start failed - out of luck\n",
        [START, "task"],
    ),
    Recipe(
        "A task that warns",
        "The line counts in the exit status.",
        "task: qmstart\nwarn: 'WARN: no luck, but it starts'\n",
        [START, "task"],
    ),
    Recipe(
        "A task that hangs",
        "For ever (`true`) or for so long; taking the fault away lets it go on, and so does an abort.",
        "task: qmstart\nhang: true\n",
        [START, "wait", "task"],
    ),
    Recipe(
        "A slow storage",
        "What works on it takes so many times longer, and its lists take their time.",
        "storage: nas\nslow: 20\ndelay: 5s\n",
        ["GET /nodes/pve1/storage/nas/status", "POST /nodes/pve1/vzdump vmid=200&storage=nas", "task"],
    ),
    Recipe(
        "A node without power",
        "Its guests are off and its tasks interrupted.",
        "node_offline: pve3\n",
        ["GET /nodes/pve3/status"],
        True,
    ),
    Recipe(
        "No quorum",
        "Everything can be read and nothing written.",
        "quorum_lost: true\n",
        [START, "GET /cluster/status"],
        True,
    ),
    Recipe(
        "A storage that does not answer",
        "Lists show it as inactive, and what needs it fails.",
        "storage_offline: nas\n",
        ["GET /nodes/pve1/storage/nas/content", "GET /nodes/pve1/storage/nas/status"],
        True,
    ),
    Recipe(
        "A full storage",
        "Something else has taken what was free; `storage_freed` gives it back.",
        "storage_full: nas\n",
        ["POST /nodes/pve1/vzdump vmid=200&storage=nas", "task"],
        True,
    ),
    Recipe(
        "A guest that ignores a shutdown",
        "Its agent is silent, too; `guest_recovers` ends it.",
        "guest_hangs: 100\n",
        ["POST /nodes/pve1/qemu/100/status/shutdown timeout=10", "task"],
        True,
    ),
    Recipe(
        "An agent that is gone",
        "The machine runs, and nobody inside answers.",
        "agent_dies: 100\n",
        ["POST /nodes/pve1/qemu/100/agent/ping"],
        True,
    ),
    Recipe(
        "A lock that was left behind",
        "As by a backup that was cut off; `guest_unlocked` takes it away.",
        "guest_locked: {guest: 105, lock: backup}\n",
        [START, "task"],
        True,
    ),
    Recipe(
        "A token that expires",
        "From now on, with the client's connection still open.",
        f'token_expires: "{TOKEN}"\n',
        ["GET /version"],
        True,
    ),
)


def render() -> str:
    """All recipes with what was answered."""
    return "\n".join(_recipe(recipe) for recipe in RECIPES)


def _recipe(recipe: Recipe) -> str:
    sim = Simulator("homelab", clock="manual")
    fields, _ = read_yaml(recipe.fields, recipe.title)
    if recipe.incident:
        sim.faults.cause(**fields)
    else:
        sim.faults.add("example", **fields)
    said, upid = [], ""
    for line in recipe.ask:
        if line == "wait":
            sim.clock.advance(3600)
            said.append("an hour later")
        elif line == "task":
            said.append(_task(sim, upid, hangs="hang" in fields, timed="slow" in fields))
        else:
            answer = _ask(sim, line)
            started = _started(sim)
            upid = started or upid
            said.append(f"> {line}\n{_shown(answer, hide=started)}")
    shown = "\n\n".join(said)
    return f"### {recipe.title}\n\n{recipe.text}\n\n```yaml\n{recipe.fields}```\n\n```text\n{shown}\n```\n"


def _ask(sim: Simulator, line: str) -> WireResponse:
    verb, path, *rest = line.split(" ")
    secret = sim.world.rows(Token)[TOKEN].secret
    headers = {"authorization": f"PVEAPIToken={TOKEN}={secret}"}
    form = rest[0].encode() if rest else b""
    if form:
        headers["content-type"] = "application/x-www-form-urlencoded"
    return sim.handle(WireRequest(verb, f"/api2/json{path}", headers=headers, body=form))


def _started(sim: Simulator) -> str:
    from pvesim.core.tasks import running_tasks

    running = running_tasks(sim.world)
    return running[-1].upid if running else ""


def _shown(answer: WireResponse, *, hide: str) -> str:
    note = f"  (after {answer.latency:g} s)" if answer.latency else ""
    if answer.connection in ("drop", "lose"):
        return f"< (the connection is closed){note}"
    body = answer.body[: len(answer.body) // 2] if answer.connection == "cut" else answer.body
    text = body.decode("utf-8", "backslashreplace").replace("\0", "\\x00").replace(hide or "\0", "UPID:…")
    if len(text) > 240:
        text = f"{text[:240]}…"
    lines = [f"< HTTP/1.1 {answer.status} {answer.reason}{note}", *([f"< {text}"] if text else [])]
    if answer.connection == "cut":
        lines.append("< (the connection is closed)")
    return "\n".join(lines)


def _task(sim: Simulator, upid: str, *, hangs: bool, timed: bool) -> str:
    if not hangs:
        sim.clock.run_until_done(upid)
    node = upid.split(":")[1]
    status: dict[str, Any] = sim.request("GET", f"/nodes/{node}/tasks/{upid}/status")
    log = sim.request("GET", f"/nodes/{node}/tasks/{upid}/log")
    said = [f"the task: {status['status']}" + (f", {status['exitstatus']}" if "exitstatus" in status else "")]
    if timed:
        said[0] += f" after {sim.clock.now - status['starttime']:.0f} s"
    return "\n".join([*said, *(f"  {line['t']}" for line in log[-4:] if line["t"] != "no content")])


def written(text: str) -> str:
    """The document with its recipes written anew."""
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n\n{render()}\n{END}{tail}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
