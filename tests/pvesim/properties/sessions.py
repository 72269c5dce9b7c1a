"""Sessions that a seed decides: the same requests each time, for tests that compare, count or run them in parallel."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable
from hashlib import sha256
from urllib.parse import urlencode

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.wire import FORM_TYPE, WireRequest, WireResponse
from tests.pvesim.properties.worlds import CONTAINERS, STORAGES, TEMPLATE, TOKEN, VMS, cluster

Asked = tuple[str, str, dict[str, object]]
ACTIONS = ("start", "stop", "shutdown", "reboot", "suspend", "resume")
LISTS = (
    "/cluster/resources",
    "/cluster/status",
    "/cluster/tasks",
    "/cluster/log",
    "/access/permissions",
    "/nodes",
    "/nodes/pve1/qemu",
    "/nodes/pve1/lxc",
    "/nodes/pve1/status",
    "/nodes/pve1/storage/local/content",
    "/nodes/pve1/rrddata?timeframe=hour",
)


class Session:
    """A client that asks at random; what it asks follows from the seed and from the answers alone."""

    def __init__(self, sim: Simulator, seed: int) -> None:
        self.sim = sim
        self.random = random.Random(seed)
        kinds: list[Callable[[int, str], Asked]] = [self._look, self._power, self._change, self._disk, self._rest]
        self.kinds = kinds

    def next(self) -> Asked:
        """The next request: verb, path, parameters."""
        with self.sim.lock:
            return self._next()

    def _next(self) -> Asked:
        vmid = self.random.choice([*VMS, *CONTAINERS])
        guest = self.sim.world.get(Guest, vmid)
        kind = guest.kind if guest else "qemu" if vmid in VMS else "lxc"
        node = guest.node if guest else self.random.choice(("pve1", "pve2"))
        if guest is None and self.random.random() < 0.5:
            return self._create(vmid, f"/nodes/{node}/{kind}")
        return self.random.choice(self.kinds)(vmid, f"/nodes/{node}/{kind}/{vmid}")

    def ask(self) -> None:
        """Ask once; a refusal is an answer too."""
        try:
            self.sim.request(*self.next())
        except ApiError:
            return

    def answer(self) -> WireResponse:
        """Ask once over the wire, as a token of root's."""
        verb, path, params = self.next()
        path, _, query = path.partition("?")
        headers = {"authorization": f"PVEAPIToken=root@pam!auto={TOKEN}", "content-type": FORM_TYPE}
        text = urlencode(params)
        body, query = (text.encode(), query) if verb in ("POST", "PUT") else (b"", query or text)
        return self.sim.handle(WireRequest(verb, f"/api2/json{path}", query, headers, body))

    def _create(self, vmid: int, path: str) -> Asked:
        disk = f"{self.random.choice(STORAGES)}:1"
        if path.endswith("qemu"):
            return "POST", path, {"vmid": vmid, "scsi0": disk, "net0": "virtio,bridge=vmbr0", "memory": 128}
        return "POST", path, {"vmid": vmid, "rootfs": disk, "ostemplate": TEMPLATE, "start": 1}

    def _look(self, vmid: int, path: str) -> Asked:
        own = [f"{path}{rest}" for rest in ("/config", "/status/current", "/snapshot", "/pending")]
        return "GET", self.random.choice([*LISTS, *own]), {}

    def _power(self, vmid: int, path: str) -> Asked:
        return "POST", f"{path}/status/{self.random.choice(ACTIONS)}", {}

    def _change(self, vmid: int, path: str) -> Asked:
        changes: list[dict[str, object]] = [
            {"description": f"no. {self.random.randrange(99)}"},
            {"memory": self.random.choice((128, 256))},
            {"delete": "unused0"},
            {"net0": "virtio,bridge=vmbr0" if vmid < 200 else "name=eth0,bridge=vmbr0"},
        ]
        return "PUT", f"{path}/config", self.random.choice(changes)

    def _disk(self, vmid: int, path: str) -> Asked:
        disk, name = "scsi0" if vmid < 200 else "rootfs", self.random.choice(("s1", "s2"))
        newid = self.random.choice(VMS if vmid < 200 else CONTAINERS)
        moves: list[Asked] = [
            ("POST", f"{path}/snapshot", {"snapname": name}),
            ("POST", f"{path}/snapshot/{name}/rollback", {}),
            ("DELETE", f"{path}/snapshot/{name}", {}),
            ("PUT", f"{path}/resize", {"disk": disk, "size": "+64M"}),
            ("POST", f"{path}/clone", {"newid": newid}),
            ("DELETE", path, {"purge": 1}),
        ]
        return self.random.choice(moves)

    def _rest(self, vmid: int, path: str) -> Asked:
        running = [task for task in self.sim.world.rows(Task).values() if task.running]
        if running and self.random.random() < 0.3:
            task = self.random.choice(running)
            return "DELETE", f"/nodes/{task.node}/tasks/{task.upid}", {}
        name = self.random.choice(("a", "b"))
        others: list[Asked] = [
            ("POST", "/cluster/firewall/rules", {"action": "ACCEPT", "type": "in", "comment": name}),
            ("DELETE", "/cluster/firewall/rules/0", {}),
            ("POST", "/pools", {"poolid": name}),
            ("PUT", "/pools", {"poolid": name, "vms": vmid, "allow-move": 1}),
            ("POST", "/access/users", {"userid": f"{name}@pve", "password": "a-password"}),
            ("POST", f"/access/users/{name}@pve/token/t", {}),
            ("DELETE", f"/access/users/{name}@pve", {}),
            ("POST", "/access/ticket", {"username": "root@pam", "password": "pvesim-root"}),
        ]
        return self.random.choice(others)


def transcript(seed: int, length: int = 150) -> list[bytes]:
    """All that a session over the wire is answered: status, reason, headers and body of each answer."""
    session = Session(cluster(3), seed)
    answers = []
    for _ in range(length):
        answer = session.answer()
        answers.append(repr((answer.status, answer.reason, answer.headers, answer.body)).encode())
        if session.random.random() < 0.2:
            session.sim.clock.advance(session.random.choice((0.3, 2.0, 30.0)))
    return answers


def digest(answers: Iterable[bytes]) -> str:
    """One text for a whole transcript."""
    return sha256(b"\n".join(answers)).hexdigest()


if __name__ == "__main__":  # so that a test can run it in a process of its own
    sys.stdout.write(digest(transcript(int(sys.argv[1]))))
