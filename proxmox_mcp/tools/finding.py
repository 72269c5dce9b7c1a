"""Finding: guests by whatever is known of them."""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal

import anyio
from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, ProxmoxError
from proxmox_mcp.results import Page, Result, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, Toolset
from proxmox_mcp.tools.inventory import PoolFilter, TagFilter, matches, tags_of, unknown_labels
from proxmox_mcp.tools.placing import require_node

diagnosis = Toolset("diagnosis", "Find guests, and what is wrong with them or the cluster", default=False)

_MOST_ASKED = 300
_STATIC = re.compile(r"(?:^|,)ip6?=([0-9A-Fa-f.:]+)")


class FoundGuest(Result):
    """A guest that fits; `by` says where an address was found."""

    vmid: int
    kind: str
    name: str | None = None
    node: str
    status: str
    tags: list[str] | None = None
    pool: str | None = None
    by: str | None = None


class FoundGuests(Page):
    """Guests that fit; `note` says which tag or pool no guest has, where that is why none fits."""

    note: str | None = None
    unread: list[str] | None = None
    """Guests whose addresses could not be read, and why."""
    guests: list[FoundGuest]


@diagnosis.tool(risk=Risk.READ, title="Find guests")
async def find_guests(
    call: Call,
    text: Annotated[str, Field(max_length=128, description="Part of id, name, tag, pool or node")] | None = None,
    ip: Annotated[str, Field(max_length=45, description="Address; asks each guest that passes the rest")] | None = None,
    kind: Literal["qemu", "lxc"] | None = None,
    status: Literal["running", "stopped", "paused"] | None = None,
    tag: TagFilter | None = None,
    pool: PoolFilter | None = None,
    node: NodeName | None = None,
    template: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> FoundGuests:
    """Find VMs and containers by name, tag, pool, state or IP address, over the whole cluster."""
    records = [
        record
        for record in await call.guests.records()
        if matches(record, node=node, status=status, tag=tag, pool=pool)
        and kind in (None, record["type"])
        and template in (None, bool(record.get("template")))
        and (text is None or text.lower() in _haystack(record))
    ]
    if not records and node is not None:
        await require_node(call, node)
    by: dict[int, str] = {}
    unread: list[str] = []
    if ip is not None:
        by, unread = await _with_address(call, records, _address(ip))
        records = [record for record in records if record["vmid"] in by]
    page, total, following = paginate(records, lambda record: int(record["vmid"]), limit, cursor)
    return FoundGuests(
        total=total,
        next_cursor=following,
        note=None if records else await unknown_labels(call, tag, pool),
        unread=unread or None,
        guests=[_found(record, by.get(record["vmid"])) for record in page],
    )


def _haystack(record: dict[str, Any]) -> str:
    parts = [record["vmid"], record.get("name"), record.get("tags"), record.get("pool"), record["node"]]
    return " ".join(str(part) for part in parts if part).lower()


def _address(text: str) -> str:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        raise InvalidArgument(f"{text!r} is no IP address.", "Write it as 10.0.0.5 or fd00::5.") from None


async def _with_address(call: Call, records: list[dict[str, Any]], wanted: str) -> tuple[dict[int, str], list[str]]:
    """The guests that have an address, each with where it stands; and those that could not be asked."""
    if len(records) > _MOST_ASKED:
        raise InvalidArgument(
            f"To look for an address, {len(records)} guests would have to be asked.", "Narrow it down by other filters."
        )
    found: dict[int, str] = {}
    unread: list[str] = []

    async def look(record: dict[str, Any]) -> None:
        path = f"/nodes/{record['node']}/{record['type']}/{record['vmid']}"
        try:
            config = await call.pve.get(f"{path}/config")
            if wanted in _configured(config):
                found[record["vmid"]] = "configuration"
            elif record.get("status") == "running" and wanted in await _reported(call, path, record["type"]):
                found[record["vmid"]] = "the guest itself"
        except ProxmoxError as error:
            unread.append(f"{record['vmid']}: {error.what}")

    async with anyio.create_task_group() as group:
        for record in records:
            group.start_soon(look, record)
    return found, sorted(unread)


def _configured(config: dict[str, Any]) -> set[str]:
    """The fixed addresses in `net0` of a container and `ipconfig0` of a VM."""
    values = (str(value) for key, value in config.items() if re.fullmatch(r"(?:net|ipconfig)\d+", key))
    return {_plain(address) for value in values for address in _STATIC.findall(value)}


async def _reported(call: Call, path: str, kind: str) -> set[str]:
    """The addresses that a running guest tells: by its agent, or a container's by its node."""
    if kind == "lxc":
        interfaces = await call.pve.get(f"{path}/interfaces")
        texts = [str(entry.get(key, "")) for entry in interfaces or () for key in ("inet", "inet6")]
        return {_plain(text.partition("/")[0]) for text in texts if text}
    answer = await call.pve.get(f"{path}/agent/network-get-interfaces")
    return {_plain(address) for _, address in agent_addresses(answer)}


def agent_addresses(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Interface and address of each that the agent tells, without those of the loopback."""
    return [
        (str(entry.get("name")), str(address["ip-address"]))
        for entry in answer.get("result") or ()
        for address in entry.get("ip-addresses") or ()
        if entry.get("name") != "lo"
    ]


def _plain(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _found(record: dict[str, Any], by: str | None) -> FoundGuest:
    known = {key: record.get(key) for key in ("vmid", "name", "node", "status", "pool")}
    return FoundGuest(**known, kind=record["type"], tags=tags_of(record) or None, by=by)
