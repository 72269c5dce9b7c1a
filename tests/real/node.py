"""A real node: requests that are repeated with patience, tasks that are waited for, and what is found when looking."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
from proxmoxer import ResourceException

from proxmox_mcp.settings import Connection
from proxmox_mcp.transport import connection_error, open_connection

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_TRIES = 4
_BUSY = frozenset((502, 503, 504, 595, 596))
# What setting up and running the contracts takes, at `/`.
_NEEDED = (
    *("Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Permissions.Modify"),
    *("Pool.Allocate", "Sys.Audit", "Sys.Modify", "User.Modify", "VM.Allocate", "VM.Config.Options", "VM.PowerMgmt"),
)


class NodeUnfit(Exception):
    """The node cannot be used, or not so; the text says why and what to do. Nothing was changed."""


class SetupFailed(Exception):
    """A task or request that brings the node to a state failed."""


class RealNode:
    """The API of a node as the run's own user sees it.

    Raises:
        SetupFailed, ResourceException: PVE refuses; `NodeUnfit`: there is no answer.
    """

    def __init__(self, connection: Connection, *, limit: float = 300.0, clock: Callable[[], float] = time.monotonic):
        connection.require_connection()
        self.connection, self.limit, self._clock = connection, limit, clock
        self._opened = open_connection(connection)
        self.name = ""

    def close(self) -> None:
        self._opened.close()

    def get(self, path: str, /, **params: Any) -> Any:
        return self._request("get", path, params)

    def post(self, path: str, /, **params: Any) -> Any:
        return self._request("post", path, params)

    def put(self, path: str, /, **params: Any) -> Any:
        return self._request("put", path, params)

    def delete(self, path: str, /, **params: Any) -> Any:
        return self._request("delete", path, params)

    def run(self, verb: str, path: str, /, **params: Any) -> Any:
        """A request, and the end of the task that it starts; its answer.

        Raises:
            SetupFailed: the task failed, or took longer than the limit.
        """
        answer = self._request(verb, path, params)
        if isinstance(answer, str) and answer.startswith("UPID:"):
            self.wait(answer)
        return answer

    def wait(self, upid: str) -> None:
        """Look at a task, less and less often, until it has ended."""
        until, pause = self._clock() + self.limit, _FIRST_PAUSE
        path = f"nodes/{upid.split(':')[1]}/tasks/{upid}"
        while (status := self.get(f"{path}/status"))["status"] != "stopped":
            if self._clock() > until:
                raise SetupFailed(f"{upid} has not ended within {self.limit:g} s")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        if status["exitstatus"] != "OK" and not status["exitstatus"].startswith("WARNINGS"):
            log = "; ".join(line["t"] for line in self.get(f"{path}/log", limit=20))
            raise SetupFailed(f"{upid}: {status['exitstatus']} ({log})")

    def _request(self, verb: str, path: str, params: dict[str, Any]) -> Any:
        pause = 0.5
        for attempt in range(_TRIES):
            repeated = verb == "get" and attempt + 1 < _TRIES
            try:
                return getattr(self._opened.api(path), verb)(**params)
            except requests.RequestException as error:
                if not repeated:
                    raise NodeUnfit(str(connection_error(error, self.connection))) from None
            except ResourceException as error:
                if error.status_code not in _BUSY or not repeated:
                    raise
            time.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")


@dataclass(frozen=True)
class Found:
    """What a node offers."""

    node: str
    version: str
    bridge: str | None
    template: str | None
    """Volume id of a container template."""
    thin_pool: tuple[str, str] | None
    """Volume group and pool."""
    guests: tuple[int, ...]
    pools: tuple[str, ...]
    is_root: bool
    firewall_in_use: bool
    throwaway: bool = False
    """Nobody uses the node after the run, so that its own network and services may be changed."""

    def lines(self) -> list[str]:
        """What will be used, for people."""
        thin = "/".join(self.thin_pool) if self.thin_pool else "none: directories take its place"
        return [
            f"node {self.node}, PVE {self.version}, {len(self.guests)} guests",
            f"bridge {self.bridge or 'none: guests with a card are left out'}",
            f"container template {self.template or 'none: containers are left out'}",
            f"thin pool {thin}",
            *([] if self.is_root else ["not root@pam with a password: guests that are locked are left out"]),
        ]


def look(node: RealNode) -> Found:
    """Look at a node with reads alone.

    Raises:
        NodeUnfit: it is no single PVE 8 or 9 node that answers, or the user has too few rights.
    """
    version = str(node.get("version")["version"])
    if int(version.split(".")[0]) < 8:
        raise NodeUnfit(f"The node runs PVE {version}; 8 and 9 are supported.")
    _check_rights(node)
    online = [entry["node"] for entry in node.get("nodes") if entry.get("status") == "online"]
    status = node.get("cluster/status")
    local = next((entry["name"] for entry in status if entry.get("local")), online[0] if online else "")
    node.name = local
    resources = node.get("cluster/resources", type="vm")
    networks = node.get(f"nodes/{local}/network")
    firewalls = ("cluster/firewall", f"nodes/{local}/firewall")
    options = [key for path in firewalls for key in node.get(f"{path}/options") if key != "digest"]
    rules = [rule for path in firewalls for rule in node.get(f"{path}/rules")]
    return Found(
        node=local,
        version=version,
        bridge=next((entry["iface"] for entry in networks if entry["type"] in ("bridge", "OVSBridge")), None),
        template=_template(node, local),
        thin_pool=_thin_pool(node),
        guests=tuple(sorted(entry["vmid"] for entry in resources)),
        pools=tuple(entry["poolid"] for entry in node.get("pools")),
        is_root=node.connection.identity == "root@pam",
        firewall_in_use=bool(options or rules or node.get("cluster/firewall/groups")),
    )


def _check_rights(node: RealNode) -> None:
    """Raises `NodeUnfit`, with the command that grants what is missing."""
    identity = node.connection.identity
    if identity == "root@pam":
        return
    held = node.get("access/permissions", path="/").get("/", {})
    missing = [privilege for privilege in _NEEDED if not held.get(privilege)]
    if missing:
        kind = "--tokens" if "!" in identity else "--users"
        raise NodeUnfit(
            f"{identity} lacks {', '.join(missing)} on /. On the node, as root: "
            f"pveum acl modify / {kind} '{identity}' --roles Administrator"
        )


def _thin_pool(node: RealNode) -> tuple[str, str] | None:
    active = {entry["storage"] for entry in node.get(f"nodes/{node.name}/storage") if entry.get("active")}
    for entry in node.get("storage"):
        if entry["type"] == "lvmthin" and entry["storage"] in active:
            return entry["vgname"], entry["thinpool"]
    return None


def _template(node: RealNode, local: str) -> str | None:
    """The smallest container template that lies on the node."""
    sizes: dict[str, int] = {}
    for storage in node.get(f"nodes/{local}/storage", content="vztmpl"):
        if storage.get("active"):
            content = node.get(f"nodes/{local}/storage/{storage['storage']}/content", content="vztmpl")
            sizes.update({entry["volid"]: entry["size"] for entry in content})
    return min(sizes, key=lambda volid: sizes[volid], default=None)
