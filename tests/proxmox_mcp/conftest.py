"""A tiny cluster behind an unmodified `proxmoxer`: answers by method and path, no socket."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from proxmoxer import ProxmoxAPI
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from proxmox_mcp.pve import Pve
from proxmox_mcp.settings import Settings

MIB = 1024 * 1024

type_vm = {"maxcpu": 2, "maxmem": 512 * MIB, "maxdisk": 1024 * MIB, "cpu": 0, "mem": 0, "uptime": 0, "template": 0}
GUESTS: list[dict[str, Any]] = [
    {**type_vm, "id": "qemu/100", "vmid": 100, "type": "qemu", "node": "pve1", "name": "web1", "status": "running",
     "cpu": 0.125, "mem": 256 * MIB, "uptime": 3720, "tags": "prod;web", "netin": 10, "netout": 20},
    {**type_vm, "id": "qemu/101", "vmid": 101, "type": "qemu", "node": "pve2", "name": "db1", "status": "stopped",
     "pool": "data"},
    {**type_vm, "id": "qemu/9000", "vmid": 9000, "type": "qemu", "node": "pve1", "name": "debian", "status": "stopped",
     "template": 1},
    {**type_vm, "id": "lxc/200", "vmid": 200, "type": "lxc", "node": "pve1", "name": "ct1", "status": "running"},
]  # fmt: skip
NODES = [
    {"node": "pve1", "status": "online", "cpu": 0.05, "maxcpu": 8, "mem": 4096 * MIB, "maxmem": 8192 * MIB,
     "uptime": 90000, "level": "", "disk": 1, "maxdisk": 2, "id": "node/pve1", "type": "node"},
    {"node": "pve2", "status": "offline", "id": "node/pve2", "type": "node"},
]  # fmt: skip

Handler = Callable[[dict[str, Any]], Any]


class Refusal(Exception):
    """An error answer of the fake: status, reason phrase, `errors`."""

    def __init__(self, status: int, reason: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.errors = status, reason, errors


class FakeCluster(BaseAdapter):
    """Answers what `routes` holds for `METHOD path`: data, an exception to raise, a `Refusal`, or a function."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.routes: dict[str, Any] = {
            "GET /nodes": NODES,
            "GET /cluster/resources": GUESTS,
            "GET /nodes/pve1/qemu/100/status/current": {
                "vmid": 100, "name": "web1", "status": "running", "qmpstatus": "running", "cpu": 0.125, "cpus": 2,
                "mem": 256 * MIB, "maxmem": 512 * MIB, "uptime": 3720, "tags": "prod;web", "ha": {"managed": 0},
            },
        }  # fmt: skip

    def connect(self) -> ProxmoxAPI:
        api = ProxmoxAPI("pve.test", user="root@pam", token_name="t", token_value="v")
        session = api._store["session"]
        session.mount("https://", self)
        return api

    @property
    def asked(self) -> list[str]:
        return [f"{method} {path}" for method, path, _ in self.requests]

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        url = urlsplit(request.url or "")
        path = unquote(url.path.removeprefix("/api2/json"))
        body = request.body or ""
        text = url.query or (body if isinstance(body, str) else body.decode())
        params = {key: value[0] if len(value) == 1 else value for key, value in parse_qs(text).items()}
        method = str(request.method)
        self.requests.append((method, path, params))
        return self._answer(request, self.routes.get(f"{method} {path}"), path, params)

    def _answer(self, request: PreparedRequest, found: Any, path: str, params: dict[str, Any]) -> Response:
        if found is None:
            found = Refusal(501, f"Method '{request.method} {path}' not implemented")
        try:
            if isinstance(found, Exception):
                raise found
            data = found(params) if callable(found) else found
            return response(request, 200, "OK", {"data": data})
        except Refusal as refusal:
            content: dict[str, Any] = {"data": None, "message": refusal.reason + "\n"}
            if refusal.errors:
                content["errors"] = refusal.errors
            return response(request, refusal.status, refusal.reason, None if refusal.status == 401 else content)

    def close(self) -> None:
        pass


def response(request: PreparedRequest, status: int, reason: str, content: Any) -> Response:
    made = Response()
    made.status_code = status
    made.reason = reason
    made.request = request
    made.url = request.url or ""
    made.headers["content-type"] = "application/json;charset=UTF-8"
    made._content = b"" if content is None else json.dumps(content).encode()
    return made


def no_guest(vmid: int, node: str = "pve1", folder: str = "qemu-server") -> Refusal:
    return Refusal(500, f"Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def settings() -> Settings:
    return Settings(host="pve.test", user="root@pam", token_name="t", token_value="a-secret-value", retries=0)


@pytest.fixture
def pve(cluster: FakeCluster, settings: Settings) -> Pve:
    return Pve(settings, connect=cluster.connect)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
