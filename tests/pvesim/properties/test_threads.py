"""Many clients at once on one simulator: each is answered, and the world is as whole as after one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import FileLock, Guest
from pvesim.wire import WireResponse
from tests.pvesim.invariants import check_invariants
from tests.pvesim.properties.sessions import Session
from tests.pvesim.properties.worlds import cluster

CLIENTS, REQUESTS = 12, 60


def together(works: list[Callable[[], None]]) -> list[BaseException]:
    """Run all at once, from one starting signal; what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 the test shows whatever it was
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def client(simulator: Simulator, seed: int, answers: list[WireResponse]) -> Callable[[], None]:
    session = Session(simulator, seed)

    def work() -> None:
        answers.extend(session.answer() for _ in range(REQUESTS))

    return work


def onlooker(simulator: Simulator) -> Callable[[], None]:
    """Copies the world while it changes, and lets time pass."""

    def work() -> None:
        for _ in range(20):
            fork = simulator.fork()
            assert check_invariants(fork.world) == []
            simulator.checkpoint("now")
            simulator.summary()
            with simulator.lock:
                simulator.clock.advance(0.3)

    return work


def test_many_clients_at_once() -> None:
    simulator = cluster(3)
    answers: list[WireResponse] = []
    works = [client(simulator, seed, answers) for seed in range(CLIENTS)]
    assert together([*works, onlooker(simulator)]) == []
    assert len(answers) == CLIENTS * REQUESTS
    assert len(simulator.requests) == min(1000, CLIENTS * REQUESTS)
    assert {answer.status for answer in answers} <= {200, 400, 401, 403, 500, 501}
    assert sum(answer.status == 200 for answer in answers) > len(answers) / 4
    assert check_invariants(simulator.world) == []
    simulator.clock.advance(3600)
    assert check_invariants(simulator.world) == []
    assert not [task for task in simulator.world.rows(Task).values() if task.running]
    assert not simulator.world.rows(FileLock)


def test_one_id_is_given_once() -> None:
    """Of all who want the same id at the same moment, one gets it."""
    simulator = cluster(2)
    given: list[str] = []
    refused: list[str] = []

    def create() -> None:
        try:
            given.append(simulator.request("POST", "/nodes/pve1/qemu", {"vmid": 105, "scsi0": "thin:1"}))
        except Exception as error:  # noqa: BLE001 any other than the one below fails the test
            refused.append(str(error))

    assert together([create] * 16) == []
    assert len(given) == 1
    assert set(refused) == {"unable to create VM 105 - VM 105 already exists on node 'pve1'"}
    simulator.clock.run_until_done(given[0])
    assert simulator.world.rows(Guest)[105].config["scsi0"] == "thin:vm-105-disk-0,size=1G"


def test_worlds_side_by_side_do_not_meet() -> None:
    """Simulators in threads of their own answer as they would alone."""
    alone = [Session(cluster(3), seed) for seed in range(6)]
    expected = [[session.answer() for _ in range(REQUESTS)] for session in alone]
    sessions = [Session(cluster(3), seed) for seed in range(6)]
    found: dict[int, list[WireResponse]] = {}

    def live(number: int) -> Callable[[], None]:
        def work() -> None:
            found[number] = [sessions[number].answer() for _ in range(REQUESTS)]

        return work

    assert together([live(number) for number in range(6)]) == []
    assert [found[number] for number in range(6)] == expected
