"""Networking, written: interfaces of nodes, and the cluster's software-defined network."""

from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Preview, Result
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.tasks import TaskResult
from proxmox_mcp.tooling import Call, NodeName, Risk, Toolset, WaitSeconds
from proxmox_mcp.tools.config import Options
from proxmox_mcp.tools.saving import Saved, create, preview_removal, remove, update

networking = Toolset("networking", "Change interfaces of nodes and the software-defined network", default=False)

Interface = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{1,19}$", description="As vmbr1, bond0, eno1.30")]
InterfaceKind = Literal["bridge", "bond", "vlan", "eth", "OVSBridge", "OVSBond"]
Cidr = Annotated[str, Field(max_length=50, description="As 10.0.0.2/24")]
ZoneName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,7}$")]
Applies = Annotated[Options, Field(description="Further options; describe_api tells them")]


KEPT = (
    *("cidr", "cidr6", "gateway", "gateway6", "mtu", "autostart", "comments", "comments6"),
    *("bridge_ports", "bridge_vlan_aware", "bridge_vids", "slaves", "bond_mode", "bond-primary"),
    *("bond_xmit_hash_policy", "vlan-id", "vlan-raw-device"),
    *("ovs_bonds", "ovs_bridge", "ovs_options", "ovs_ports", "ovs_tag"),
)
"""What an interface can have, beside its name and type."""
_PORTS = {"bond": "slaves", "OVSBridge": "ovs_ports", "OVSBond": "ovs_bonds"}


class SdnPart(Result):
    """A zone, vnet or subnet; `state` says what is not applied yet: new, changed or deleted."""

    kind: str
    name: str
    type: str | None = None
    zone: str | None = None
    tag: int | None = None
    gateway: str | None = None
    state: str | None = None


class Sdn(Result):
    """The software-defined network; `unapplied` counts changes that wait for apply_sdn."""

    unapplied: int
    parts: list[SdnPart]


@networking.tool(risk=Risk.CHANGE, title="Make or change an interface of a node", idempotent=True)
async def set_node_interface(
    call: Call,
    node: NodeName,
    iface: Interface,
    type: Annotated[InterfaceKind, Field(description="Of a new one; bridge if left out")] | None = None,
    cidr: Cidr | None = None,
    gateway: Annotated[str, Field(max_length=45)] | None = None,
    ports: Annotated[str, Field(max_length=256, description="Of a bridge or bond, with blanks between")] | None = None,
    vlan_aware: bool | None = None,
    comments: Annotated[str, Field(max_length=512)] | None = None,
    options: Applies | None = None,
) -> Saved:
    """Make an interface of a node, or change one. It comes into force with apply_node_network, not before."""
    item, what = f"/nodes/{node}/network/{iface}", f"interface {iface} of {node}"
    there = iface in {record["iface"] for record in await call.pve.get(f"/nodes/{node}/network")}
    before = await call.pve.get(item) if there else {}
    kind = type or before.get("type") or "bridge"
    params: dict[str, Any] = {"type": kind, "cidr": cidr, "gateway": gateway, "comments": comments}
    params |= {_PORTS.get(kind, "bridge_ports"): ports, "bridge_vlan_aware": vlan_aware, **(options or {})}
    if not there:
        new = {**params, "iface": iface, "autostart": True}
        return staged(await create(call, what, f"/nodes/{node}/network", item, new), "apply_node_network")
    # PVE takes an interface as a whole: what is not sent again would be gone.
    whole = {key: before[key] for key in KEPT if before.get(key) not in (None, "")}
    given = {key: value for key, value in params.items() if value is not None}
    return staged(await update(call, what, item, {**whole, **given}), "apply_node_network")


def staged(done: Saved, by: str) -> Saved:
    """What was saved, and what has to be called for it to act."""
    return done.model_copy(update={"note": f"It comes into force with {by}."})


async def _preview_interface(call: Call, node: str, iface: str) -> Preview:
    lost = "what is connected by it loses its network once that is applied."
    return await preview_removal(call, f"interface {iface} of {node}", f"/nodes/{node}/network/{iface}", lost)


@networking.tool(risk=Risk.DESTROY, title="Remove an interface of a node", preview=_preview_interface)
async def delete_node_interface(call: Call, node: NodeName, iface: Interface) -> Saved:
    """Remove an interface of a node; it stays until apply_node_network."""
    gone = await remove(call, f"interface {iface} of {node}", f"/nodes/{node}/network/{iface}")
    return staged(gone, "apply_node_network")


async def _preview_applying(call: Call, node: str) -> Preview:
    records = await call.pve.get(f"/nodes/{node}/network")
    facts = [f"{record['iface']}: {record['type']} {record.get('cidr', '')}".strip() for record in records]
    summary = f"Apply the network configuration of {node}: a mistake in it cuts the node off."
    return Preview(summary=summary, target=f"network of {node}", facts=facts, fingerprint=digest_of(node, records))


@networking.tool(risk=Risk.DESTROY, title="Apply a node's network changes", preview=_preview_applying)
async def apply_node_network(call: Call, node: NodeName, wait_seconds: WaitSeconds = 60) -> TaskResult:
    """Bring the changed interfaces of a node into force. A mistake in them cuts the node off."""
    upid = await call.pve.put(f"/nodes/{node}/network")
    return await call.tasks.follow(upid, wait_seconds, call.report)


@networking.tool(risk=Risk.READ, title="Read the software-defined network")
async def get_sdn(call: Call) -> Sdn:
    """Read the zones, vnets and subnets of the cluster's software-defined network, and what is not applied yet."""
    parts: list[SdnPart] = []
    for kind, path, name in (("zone", "zones", "zone"), ("vnet", "vnets", "vnet")):
        records = await call.pve.get(f"/cluster/sdn/{path}", pending=True)
        parts += [_part(kind, str(record[name]), record) for record in records]
    for vnet in [part.name for part in parts if part.kind == "vnet" and part.state != "deleted"]:
        records = await call.pve.get(f"/cluster/sdn/vnets/{vnet}/subnets", pending=True)
        parts += [_part("subnet", str(record.get("cidr") or record["subnet"]), record) for record in records]
    return Sdn(unapplied=sum(part.state is not None for part in parts), parts=parts)


@networking.tool(risk=Risk.CHANGE, title="Make an SDN zone")
async def create_sdn_zone(
    call: Call,
    zone: ZoneName,
    type: Literal["simple", "vlan", "qinq", "vxlan", "evpn"],
    options: Annotated[Options, Field(description="Of that type, as {bridge: vmbr0} or {peers: …}")] | None = None,
) -> Saved:
    """Make a zone of the software-defined network. It comes into force with apply_sdn."""
    params: dict[str, Any] = {**(options or {}), "zone": zone, "type": type}
    made = await create(call, f"zone {zone}", "/cluster/sdn/zones", f"/cluster/sdn/zones/{zone}", params)
    return staged(made, "apply_sdn")


@networking.tool(risk=Risk.CHANGE, title="Make an SDN network")
async def create_sdn_vnet(
    call: Call,
    vnet: ZoneName,
    zone: ZoneName,
    tag: Annotated[int, Field(ge=1, le=16_777_215)] | None = None,
    alias: Annotated[str, Field(max_length=256)] | None = None,
) -> Saved:
    """Make a virtual network in a zone, which guests can then use as a bridge. It comes into force with apply_sdn."""
    zones = sorted(record["zone"] for record in await call.pve.get("/cluster/sdn/zones"))
    if zone not in zones:
        others = f"; there are: {', '.join(zones)}." if zones else ", and no other that the configured user may see."
        raise InvalidArgument(f"There is no zone {zone}{others}", "create_sdn_zone makes one.")
    params: dict[str, Any] = {"vnet": vnet, "zone": zone, "tag": tag, "alias": alias}
    made = await create(call, f"vnet {vnet}", "/cluster/sdn/vnets", f"/cluster/sdn/vnets/{vnet}", params)
    return staged(made, "apply_sdn")


async def _preview_sdn(call: Call, kind: str, name: str) -> Preview:
    lost = "guests that use it lose their network once that is applied."
    return await preview_removal(call, f"{kind} {name}", f"/cluster/sdn/{kind}s/{name}", lost)


@networking.tool(risk=Risk.DESTROY, title="Delete an SDN zone or network", preview=_preview_sdn)
async def delete_sdn(call: Call, kind: Literal["zone", "vnet"], name: ZoneName) -> Saved:
    """Delete a zone or virtual network. It stays until apply_sdn."""
    return staged(await remove(call, f"{kind} {name}", f"/cluster/sdn/{kind}s/{name}"), "apply_sdn")


async def _preview_sdn_applying(call: Call) -> Preview:
    sdn = await get_sdn(call)
    facts = [f"{part.kind} {part.name}: {part.state}" for part in sdn.parts if part.state]
    summary = "Apply the software-defined network on all nodes."
    # A part that is changed once more is still "changed": what waits is more than its state.
    waiting = [await call.pve.get(f"/cluster/sdn/{kind}", pending=True) for kind in ("zones", "vnets")]
    return Preview(summary=summary, target="SDN", facts=facts, fingerprint=digest_of(waiting))


@networking.tool(risk=Risk.DESTROY, title="Apply SDN changes", preview=_preview_sdn_applying)
async def apply_sdn(call: Call, wait_seconds: WaitSeconds = 60) -> TaskResult:
    """Bring changes of the software-defined network into force, on all nodes."""
    if not (await get_sdn(call)).unapplied:
        raise InvalidArgument(
            "There is nothing to apply that the configured user may see.", "See get_sdn for what there is."
        )
    return await call.tasks.follow(await call.pve.put("/cluster/sdn"), wait_seconds, call.report)


def _part(kind: str, name: str, record: dict[str, Any]) -> SdnPart:
    both = {**record, **(record.get("pending") or {})}
    return SdnPart(
        kind=kind,
        name=name,
        type=both.get("type") if kind == "zone" else None,
        zone=both.get("zone") if kind != "zone" else None,
        tag=both.get("tag"),
        gateway=both.get("gateway"),
        state=record.get("state"),
    )
