"""What grows: worlds of up to 100,000 guests, many clients at once, many tests, many short lives, many kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.clients import hammer
from bench.figures import ROOT, Figure, at_least, at_most, child, median_seconds, resident_mib
from pvesim.access.login import make_ticket
from pvesim.engine import Simulator
from pvesim.scenario import build_world
from pvesim.wire import WireRequest

SIZES = (100, 1_000, 10_000, 100_000)
TOKEN, SECRET = "root@pam!bench", "00000000-0000-4000-8000-00000000b001"
USERS = {"root@pam": {"tokens": {"bench": {"secret": SECRET, "privsep": False}}}}
CLIENTS, MIXED_SECONDS = 500, 60
KILLS, WRITES = 50, 1000


def figures() -> list[Figure]:
    """All figures of this part."""
    return [*_growth(), *_tests(), *_lives(), *_many_clients(), *_kills()]


def fleet(guests: int) -> dict[str, object]:
    """A scenario of so many guests, a fifth of them containers."""
    nodes = max(1, min(64, guests // 100))
    return {"fleet": {"nodes": nodes, "vms": guests * 4 // 5, "containers": guests // 5}, "users": USERS}


# -- size ----------------------------------------------------------------------------------------------------------

_MEASURE = """
import json, resource, sys, time
from bench.scale import fleet, measured
print(json.dumps(measured(int(sys.argv[1]))))
"""


def measured(guests: int) -> dict[str, float]:
    """Seconds to load, for the first list and for a guest's status, and the memory of this process in MiB.

    Of the processor's time, so that a busy machine does not count.
    """
    import resource

    begin = time.process_time()
    simulator = Simulator(fleet(guests))
    load = time.process_time() - begin
    headers = {"authorization": f"PVEAPIToken={TOKEN}={SECRET}"}
    everything = WireRequest("GET", "/api2/json/cluster/resources", "", headers)
    begin = time.process_time()
    assert simulator.handle(everything).status == 200
    first = time.process_time() - begin
    guest = WireRequest("GET", f"/api2/json/nodes/pve1/qemu/{_first_vm(simulator)}/status/current", "", headers)
    assert simulator.handle(guest).status == 200

    rounds = []
    for _ in range(5):
        begin = time.process_time()
        for _ in range(1000):
            simulator.handle(guest)
        rounds.append(time.process_time() - begin)
    status = sorted(rounds)[2] / 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"load": load, "first": first, "status": status, "memory": peak}


def _first_vm(simulator: Simulator) -> int:
    rows = simulator.request("GET", "/nodes/pve1/qemu")
    return int(min(row["vmid"] for row in rows))


def _growth() -> list[Figure]:
    results = {guests: _in_a_process(guests) for guests in SIZES}
    small, large = results[SIZES[0]], results[SIZES[-1]]
    tenth = results[SIZES[-2]]
    return [
        at_most("100,000 guests: load", large["load"], 10, "s"),
        at_most("100,000 guests: memory at its highest", large["memory"], 600, "MiB"),
        at_most("100,000 guests: first GET /cluster/resources", large["first"], 1.5, "s"),
        # A read of one guest must not know how many there are; what is measured twice differs by some percent.
        at_most("a guest's status: 100,000 guests against 100", large["status"] / small["status"], 1.25, "times"),
        at_most("load: 100,000 guests against 10,000", large["load"] / tenth["load"], 13, "times"),
        at_most("first list: 100,000 guests against 10,000", large["first"] / tenth["first"], 13, "times"),
    ]


def _in_a_process(guests: int) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = 3 if guests <= 10_000 else 1
    results = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(guests)], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        results.append(json.loads(done.stdout))
    return {name: sorted(result[name] for result in results)[runs // 2] for name in results[0]}


# -- tests ---------------------------------------------------------------------------------------------------------


def _tests() -> list[Figure]:
    world = build_world("homelab")
    Simulator(world.fork())
    fresh = median_seconds(lambda: [Simulator(world.fork()) for _ in range(100)]) / 100 * 1000
    with tempfile.TemporaryDirectory() as folder:
        durations = {}
        for name, fixture in (("without", ""), ("with", "pve")):
            arguments = f"number, {fixture}" if fixture else "number"
            file = Path(folder, f"test_{name}.py")
            file.write_text(
                "import pytest\n\n\n@pytest.mark.parametrize('number', range(1000))\n"
                f"def test_it({arguments}):\n    assert number >= 0\n"
            )
            durations[name] = sorted(_pytest(file) for _ in range(5))[2]
    overhead = durations["with"] - durations["without"]
    return [
        at_most("fresh homelab world", fresh, 0.5, "ms"),
        at_most("1,000 tests with a fresh homelab world each: on top of the tests", overhead, 1, "s"),
    ]


def _pytest(file: Path) -> float:
    """The processor's time that a run of the tests takes."""
    import resource

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    arguments = ["-q", "-p", "pvesim.pytest_plugin", "-p", "no:cacheprovider", str(file)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=file.parent, env=environment, capture_output=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# -- lives ---------------------------------------------------------------------------------------------------------


def _lives() -> list[Figure]:
    """Machines that are made, started, stopped and taken away, each task at its end before the next request."""
    simulator = Simulator("homelab", clock="scaled", time_scale=0)
    world = simulator.world
    cookie = f"PVEAuthCookie={make_ticket(world, 'root@pam')}"
    from pvesim.access.login import make_csrf_token

    token = make_csrf_token(world, "root@pam")
    headers = {"cookie": cookie, "csrfpreventiontoken": token, "content-type": "application/x-www-form-urlencoded"}
    base = "/api2/json/nodes/pve1/qemu"
    form = b"vmid=950&name=short&memory=512&scsi0=local-lvm%3A4&net0=virtio%2Cbridge%3Dvmbr0"
    steps = [
        WireRequest("POST", base, "", headers, form),
        WireRequest("POST", f"{base}/950/status/start", "", headers),
        WireRequest("POST", f"{base}/950/status/stop", "", headers),
        WireRequest("DELETE", f"{base}/950", "", headers),
    ]

    def cycles() -> None:
        for _ in range(50):
            for step in steps:
                answer = simulator.handle(step)
                assert answer.status == 200, (step.method, step.path, answer)

    return [at_least("create, start, stop, delete a VM at time-scale 0", 50 / median_seconds(cycles, 5), 150, "/s")]


# -- clients -------------------------------------------------------------------------------------------------------


@contextmanager
def served(scenario: object, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`pvesim serve` of a scenario, and its port."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scenario.yaml")
        file.write_text(json.dumps(scenario))
        arguments = ["-m", "pvesim.cli", "serve", str(file), "--port", "0", "--json", *more]
        with child(*arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            world = json.loads(process.stdout.readline())["worlds"][0]
            yield process, int(world["url"].rpartition(":")[2])


def _many_clients() -> list[Figure]:
    name = f"{CLIENTS} keep-alive clients, mixed load of {MIXED_SECONDS} s"
    with served(fleet(1000), "--time-scale", "0.1") as (process, port):
        result = hammer(
            port,
            f"{TOKEN}={SECRET}",
            clients=CLIENTS,
            seconds=MIXED_SECONDS,
            memory=lambda: resident_mib(process),
        )
    return [
        at_most(f"{name}: unexpected answers", result.unexpected, 0, "answers"),
        at_most(f"{name}: p99", result.p99 * 1000, 250, "ms"),
        at_most(f"{name}: memory grows", result.grown, 1.1, "times"),
        at_least(f"{name}: requests", result.per_second, 100, "/s"),
    ]


# -- kills ---------------------------------------------------------------------------------------------------------


def _kills() -> list[Figure]:
    """`kill -9` at some moment of a thousand writes; what was answered must be there after the restart."""
    chance = random.Random(5)
    lost = 0
    for _ in range(KILLS):
        with tempfile.TemporaryDirectory() as folder:
            lost += _killed(Path(folder), chance.randint(1, WRITES))
    return [
        at_most(f"kill -9 in the middle of {WRITES} writes, {KILLS} times: answered writes lost", lost, 0, "writes")
    ]


def _killed(folder: Path, moment: int) -> int:
    file, state = folder / "scenario.json", folder / "state"
    file.write_text(json.dumps({"nodes": {"pve1": {}}, "users": USERS}))
    answered: list[str] = []
    with _kept(file, state) as (process, port):
        from bench.clients import connection, post

        client = connection(port)
        killer = threading.Event()

        def kill() -> None:
            killer.wait()
            os.kill(process.pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            for number in range(WRITES):
                if number == moment:
                    killer.set()  # from another thread: it hits a write at any of its moments
                if post(client, "/pools", f"poolid=p{number}", f"{TOKEN}={SECRET}") == 200:
                    answered.append(f"p{number}")
        except OSError:
            pass
        killer.set()
        thread.join()
    with _kept(file, state) as (process, port):
        from bench.clients import connection, get

        there = {row["poolid"] for row in get(connection(port), "/pools", f"{TOKEN}={SECRET}")}
    return len(set(answered) - there)


@contextmanager
def _kept(file: Path, state: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    arguments = ["-m", "pvesim.cli", "serve", str(file), "--port", "0", "--json", "--insecure-http"]
    with child(*arguments, "--state", str(state), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        world = json.loads(process.stdout.readline())["worlds"][0]
        yield process, int(world["url"].rpartition(":")[2])
