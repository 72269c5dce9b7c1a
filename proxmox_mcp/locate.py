"""Which node a guest is on, from one request for the whole cluster."""

import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, UnknownGuest, WrongKind, WrongNode
from proxmox_mcp.pve import Pve

Kind = Literal["qemu", "lxc"]
"""`qemu` is a VM, `lxc` a container: PVE's own words, as they stand in its paths."""

# Long enough for one call of a tool, too short for a guest to be looked for where it was.
_FRESH_SECONDS = 2.0
_NEAREST = 5


class Guest(NamedTuple):
    """Where a guest is."""

    vmid: int
    kind: Kind
    node: str
    name: str | None
    status: str

    @property
    def path(self) -> str:
        """Its path in the API: `/nodes/pve1/qemu/100`."""
        return f"/nodes/{self.node}/{self.kind}/{self.vmid}"


class Guests:
    """The guests of the cluster, as `GET /cluster/resources?type=vm` lists them: those that the user may see.

    Args:
        pve: the cluster.
        now: a clock, in seconds.
    """

    def __init__(self, pve: Pve, now: Callable[[], float] = time.monotonic) -> None:
        self._pve = pve
        self._now = now
        self._records: list[dict[str, Any]] = []
        self._read_at: float | None = None

    async def records(self, *, fresh: bool = True) -> list[dict[str, Any]]:
        """All guests as PVE lists them; read anew, or with `fresh=False` taken from a list of the last two seconds."""
        if fresh or self._read_at is None or self._now() - self._read_at > _FRESH_SECONDS:
            self._records = await self._pve.get("/cluster/resources", type="vm")
            self._read_at = self._now()
        return self._records

    def forget(self) -> None:
        """Look anew next time: a guest was moved, made or removed."""
        self._read_at = None

    async def find(self, vmid: int, node: str | None = None, kind: Kind | None = None, *, check: bool = False) -> Guest:
        """Find a guest.

        When node and kind are given nothing is asked, unless `check` is set: PVE refuses a read of a guest that is not
        there, and `explain` makes advice of that. Set it before a write, which PVE may accept and fail later.

        Raises:
            InvalidArgument: there is no such guest; the nearest ids are named.
            WrongNode: it is on another node.
            WrongKind: it is a container where a VM was meant, or the other way round.
        """
        if node is not None and kind is not None and not check:
            return Guest(vmid, kind, node, None, "unknown")
        guest = await self._look_up(vmid, fresh=False) or await self._look_up(vmid, fresh=True)
        if guest is None:
            raise self._none(vmid)
        if kind is not None and guest.kind != kind:
            raise WrongKind(vmid, guest.kind)
        if node is not None and guest.node != node:
            raise WrongNode(vmid, node, guest.node)
        return guest

    async def explain(self, error: UnknownGuest) -> ProxmoxError:
        """A better error for PVE's "no such configuration file": where the guest is, or which ids are near.

        The error as it was, when PVE cannot be asked.
        """
        try:
            guest = await self._look_up(error.vmid, fresh=True)
        except ProxmoxError:
            return error
        if guest is None:
            return self._none(error.vmid)
        parts = error.path.split("/")
        if len(parts) > 3 and parts[1] == "nodes":
            if parts[2] != guest.node:
                return WrongNode(error.vmid, parts[2], guest.node)
            if parts[3] in {"qemu", "lxc"} and parts[3] != guest.kind:
                return WrongKind(error.vmid, guest.kind)
        return error

    async def _look_up(self, vmid: int, *, fresh: bool) -> Guest | None:
        for record in await self.records(fresh=fresh):
            if record.get("vmid") == vmid:
                kind: Kind = "lxc" if record.get("type") == "lxc" else "qemu"
                return Guest(vmid, kind, record["node"], record.get("name"), record.get("status", "unknown"))
        return None

    def _none(self, vmid: int) -> ProxmoxError:
        nearest = sorted(self._records, key=lambda record: (abs(record["vmid"] - vmid), record["vmid"]))[:_NEAREST]
        if not nearest:
            return InvalidArgument(
                f"There is no guest {vmid}, and none at all that the configured user may see.",
                "It needs VM.Audit on /vms to see guests.",
            )
        named = ", ".join(
            f"{record['vmid']} ({record['name']})" if record.get("name") else str(record["vmid"]) for record in nearest
        )
        return InvalidArgument(
            f"There is no guest {vmid}; nearest: {named}.", "Call get_vms or get_lxc_containers for all of them."
        )
