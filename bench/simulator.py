"""The simulator: the engine alone, the server over HTTPS, and what worlds cost."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from bench.figures import MIB, Figure, at_least, at_most, child, median_seconds, per_second, resident_mib
from pvesim.access.login import make_ticket
from pvesim.engine import Simulator
from pvesim.wire import WireRequest

PASSWORD = "bench-password"
FLEET_1000 = {"fleet": {"nodes": 8, "vms": 800, "containers": 200}}
FLEET_10000 = {"fleet": {"nodes": 16, "vms": 8000, "containers": 2000}}


def figures() -> list[Figure]:
    """All figures of the simulator."""
    return [*_engine(), *_worlds(), *_server("homelab", 1.0), *_server(FLEET_1000, 1.5)]


def _engine() -> list[Figure]:
    simulator = Simulator("homelab")
    headers = {"cookie": f"PVEAuthCookie={make_ticket(simulator.world, 'root@pam')}"}

    def asks(path: str) -> float:
        request = WireRequest("GET", f"/api2/json{path}", "", headers)

        def work(number: int) -> None:
            for _ in range(number):
                simulator.handle(request)

        assert simulator.handle(request).status == 200, path
        return per_second(work, 3000)

    guest = next(iter(simulator.request("GET", "/cluster/resources", {"type": "vm"})))
    status = f"/nodes/{guest['node']}/{guest['id']}/status/current"
    return [
        at_least("engine: GET /version", asks("/version"), 20_000, "/s"),
        at_least("engine: GET …/status/current", asks(status), 15_000, "/s"),
    ]


def _worlds() -> list[Figure]:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    simulator = Simulator(FLEET_10000)
    weight = (tracemalloc.get_traced_memory()[0] - before) / MIB
    tracemalloc.stop()
    return [
        at_most("10,000 guests: load from counts", median_seconds(lambda: Simulator(FLEET_10000), 3), 1, "s"),
        at_most("10,000 guests: memory", weight, 60, "MiB"),
        at_most("10,000 guests: fork", median_seconds(simulator.world.fork, 25) * 1000, 2, "ms"),
    ]


def _server(scenario: object, limit: float) -> list[Figure]:
    name = scenario if isinstance(scenario, str) else "1,000 guests"
    first, rows = [], []
    for _ in range(5):
        begin = time.perf_counter()
        with _serve(scenario) as (_, connection):
            _ask(connection, "/access/domains", {})  # open to all: a refusal would take three seconds, as PVE's does
            first.append(time.perf_counter() - begin)
    with _serve(scenario) as (process, connection):
        headers = _log_in(connection)
        if name == "homelab":
            rows.append(at_least("HTTPS: GET /version", _rate(connection, "/version", headers, 3000), 3000, "/s"))
        else:
            rate = _rate(connection, "/cluster/resources", headers, 300)
            rows.append(at_least("HTTPS: GET /cluster/resources of 1,000 guests", rate, 600, "/s"))
            rate = _rate_while_guests_change(connection, headers, 150)
            rows.append(at_least("HTTPS: the same, a guest changed before each", rate, 250, "/s"))
        rows.append(at_most(f"pvesim serve {name}: resident", resident_mib(process), 75, "MiB"))
    return [at_most(f"pvesim serve {name}: first answer", sorted(first)[2], limit, "s"), *rows]


@contextmanager
def _serve(scenario: object) -> Iterator[tuple[subprocess.Popen[bytes], http.client.HTTPSConnection]]:
    import json
    import tempfile
    from pathlib import Path

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        source = str(scenario)
        if not isinstance(scenario, str):
            source = str(Path(folder) / "fleet.yaml")
            Path(source).write_text(json.dumps(scenario))
        arguments = ["-m", "pvesim.cli", "serve", source, "--port", str(port), "--root-password", PASSWORD]
        with child(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            yield process, _connect(port, process)


def _connect(port: int, process: subprocess.Popen[bytes]) -> http.client.HTTPSConnection:
    context = ssl._create_unverified_context()
    while process.poll() is None:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        try:
            connection.connect()
        except ConnectionError:
            time.sleep(0.005)
        else:
            return connection
    raise RuntimeError(f"pvesim serve ended with {process.returncode}")


def _ask(connection: http.client.HTTPSConnection, path: str, headers: dict[str, str]) -> bytes:
    connection.request("GET", f"/api2/json{path}", headers=headers)
    return connection.getresponse().read()


def _log_in(connection: http.client.HTTPSConnection) -> dict[str, str]:
    import json

    form = f"username=root@pam&password={PASSWORD}"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/api2/json/access/ticket", form, kind)
    data = json.loads(connection.getresponse().read())["data"]
    return {"Cookie": f"PVEAuthCookie={data['ticket']}", "CSRFPreventionToken": data["CSRFPreventionToken"]}


def _rate_while_guests_change(connection: http.client.HTTPSConnection, headers: dict[str, str], number: int) -> float:
    """How many lists a second are answered where each is asked for after a guest's tags were changed."""
    raw = connection.sock
    assert raw is not None
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    ask = f"GET /api2/json/cluster/resources HTTP/1.1\r\nHost: bench\r\n{lines}\r\n".encode()
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"

    def work(count: int) -> None:
        for turn in range(count):
            form = f"tags=turn-{turn}"
            length = f"Content-Length: {len(form)}\r\n"
            change = (
                f"PUT /api2/json/nodes/pve1/qemu/100/config HTTP/1.1\r\nHost: bench\r\n{lines}{kind}{length}\r\n{form}"
            )
            raw.sendall(change.encode())
            _read_answer(raw)
            raw.sendall(ask)
            _read_answer(raw)

    return per_second(work, number)


def _rate(connection: http.client.HTTPSConnection, path: str, headers: dict[str, str], number: int) -> float:
    raw = connection.sock
    assert raw is not None
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET /api2/json{path} HTTP/1.1\r\nHost: bench\r\n{lines}\r\n".encode()

    def work(count: int) -> None:
        # A client that costs next to nothing, so that what is measured is the server.
        for _ in range(count):
            raw.sendall(request)
            _read_answer(raw)

    return per_second(work, number)


def _read_answer(raw: socket.socket) -> None:
    data = raw.recv(65536)
    end = data.index(b"\r\n\r\n") + 4
    head = data[:end].lower()
    assert head.startswith(b"http/1.1 200"), head
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    missing = end + length - len(data)
    while missing > 0:
        missing -= len(raw.recv(min(missing, 1 << 20)))
