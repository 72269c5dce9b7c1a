"""Networking, written: interfaces of nodes, and the cluster's software-defined network."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
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
SubnetRange = Annotated[str, Field(max_length=50, description="As 10.0.0.0/24")]
DhcpRange = Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+-[0-9A-Fa-f.:]+$", max_length=91)]
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
    vnet: str | None = None
    tag: int | None = None
    gateway: str | None = None
    snat: bool | None = None
    dhcp_ranges: list[str] | None = None
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
    parts = [_part(kind, record) for kind, record in await _sdn_records(call)]
    return Sdn(unapplied=sum(part.state is not None for part in parts), parts=parts)


async def _sdn_records(call: Call) -> list[tuple[str, dict[str, Any]]]:
    """What there is, applied or not, as PVE lists it: kind and record."""
    found = [
        (kind, record)
        for kind in ("zone", "vnet")
        for record in await call.pve.get(f"/cluster/sdn/{kind}s", pending=True)
    ]
    for vnet in [record["vnet"] for kind, record in found if kind == "vnet" and record.get("state") != "deleted"]:
        records = await call.pve.get(f"/cluster/sdn/vnets/{vnet}/subnets", pending=True)
        found += [("subnet", record) for record in records]
    return found


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
    await _configured(call, "zone", zone)
    params: dict[str, Any] = {"vnet": vnet, "zone": zone, "tag": tag, "alias": alias}
    made = await create(call, f"vnet {vnet}", "/cluster/sdn/vnets", f"/cluster/sdn/vnets/{vnet}", params)
    return staged(made, "apply_sdn")


async def _configured(call: Call, kind: Literal["zone", "vnet"], name: str) -> dict[str, Any]:
    """A zone or virtual network as it is configured, applied or not; those that there are, are named if it is none."""
    records = {str(record[kind]): record for record in await call.pve.get(f"/cluster/sdn/{kind}s")}
    if name not in records:
        others = ", and no other that the configured user may see"
        if records:
            others = f"; there are: {', '.join(sorted(records))}"
        raise InvalidArgument(f"There is no {kind} {name}{others}.", f"create_sdn_{kind} makes one.")
    found: dict[str, Any] = records[name]
    return found


@networking.tool(risk=Risk.CHANGE, title="Make a subnet of an SDN network")
async def create_sdn_subnet(
    call: Call,
    vnet: ZoneName,
    cidr: SubnetRange,
    gateway: Annotated[str, Field(max_length=45)] | None = None,
    snat: Annotated[bool, Field(description="Let it out by the node's own address")] | None = None,
    dhcp_ranges: Annotated[list[DhcpRange], Field(max_length=20, description="As 10.0.0.50-10.0.0.99")] | None = None,
) -> Saved:
    """Make a subnet of a virtual network, with its gateway. It comes into force with apply_sdn."""
    network, zone = _network(cidr), (await _configured(call, "vnet", vnet))["zone"]
    _require_inside(network, "gateway", [gateway] if gateway else [])
    _require_inside(network, "dhcp_ranges", [end for given in dhcp_ranges or () for end in given.split("-")])
    ranges = [_as_pve(given) for given in dhcp_ranges or ()]
    params: dict[str, Any] = {"subnet": str(network), "type": "subnet", "gateway": gateway, "snat": snat}
    params |= {"dhcp-range": ranges or None}
    collection, item = f"/cluster/sdn/vnets/{vnet}/subnets", _path_of_subnet(vnet, zone, network)
    made = staged(await create(call, f"subnet {network} of vnet {vnet}", collection, item, params), "apply_sdn")
    if ranges and not (await _configured(call, "zone", zone)).get("dhcp"):
        off = f"Zone {zone} gives out no addresses so far: update_sdn with options {{dhcp: dnsmasq}} changes that."
        return made.model_copy(update={"note": f"{made.note} {off}"})
    return made


async def _subnet(call: Call, vnet: str, cidr: str) -> tuple[str, str]:
    """What a subnet is called for a reader, and its path in the API."""
    network = _network(cidr)
    zone = (await _configured(call, "vnet", vnet))["zone"]
    return f"subnet {network} of vnet {vnet}", _path_of_subnet(vnet, zone, network)


def _path_of_subnet(vnet: str, zone: str, network: IPv4Network | IPv6Network) -> str:
    """The path of a subnet: PVE makes its id of the zone and the range, `lab-10.0.0.0-24`."""
    return f"/cluster/sdn/vnets/{vnet}/subnets/{zone}-{network.network_address}-{network.prefixlen}"


def _network(cidr: str) -> IPv4Network | IPv6Network:
    try:
        if "/" not in cidr:
            raise ValueError(f"{cidr} has no length")
        return ip_network(cidr)
    except ValueError as error:
        advice = "Write the first address of the range and its length, as 10.0.0.0/24."
        raise InvalidArgument(f"cidr: {error}.", advice) from None


def _require_inside(network: IPv4Network | IPv6Network, argument: str, addresses: Sequence[str]) -> None:
    """Refuse addresses beside their subnet: PVE would, too, but its reason phrase would not say why."""
    for address in addresses:
        try:
            inside = ip_address(address) in network
        except ValueError as error:
            raise InvalidArgument(f"{argument}: {error}.", "Write it as 10.0.0.1.") from None
        # To a single address, PVE takes a gateway beside it: a link from point to point.
        if not inside and not (argument == "gateway" and network.max_prefixlen == network.prefixlen == 32):
            raise InvalidArgument(f"{argument}: {address} is not in {network}.", "Name one of its addresses.")


def _as_pve(given: str) -> str:
    """A range of addresses as PVE takes it."""
    first, _, last = given.partition("-")
    return f"start-address={first},end-address={last}"


def _as_read(shown: dict[str, str]) -> str:
    """A range of addresses as the tools take it."""
    return f"{shown['start-address']}-{shown['end-address']}"


async def _preview_subnet(call: Call, vnet: str, cidr: str) -> Preview:
    what, item = await _subnet(call, vnet, cidr)
    return await preview_removal(call, what, item, "guests in it lose their gateway once that is applied.")


@networking.tool(risk=Risk.DESTROY, title="Delete a subnet of an SDN network", preview=_preview_subnet)
async def delete_sdn_subnet(call: Call, vnet: ZoneName, cidr: SubnetRange) -> Saved:
    """Delete a subnet of a virtual network. It stays until apply_sdn."""
    return staged(await remove(call, *await _subnet(call, vnet, cidr)), "apply_sdn")


@networking.tool(risk=Risk.CHANGE, title="Change an SDN zone or network", idempotent=True)
async def update_sdn(
    call: Call,
    kind: Literal["zone", "vnet"],
    name: ZoneName,
    options: Applies | None = None,
    delete: Annotated[list[str], Field(max_length=20, description="Options to unset")] | None = None,
) -> Saved:
    """Change options of a zone or virtual network. They come into force with apply_sdn."""
    if not options and not delete:
        raise InvalidArgument("There is nothing to change.", "Give options, delete, or both.")
    await _configured(call, kind, name)
    item = f"/cluster/sdn/{kind}s/{name}"
    return staged(await update(call, f"{kind} {name}", item, options or {}, delete or ()), "apply_sdn")


async def _require_no_subnet(call: Call, kind: str, name: str) -> None:
    """Refuse a network with subnets: PVE would, too, but its reason phrase would not say why."""
    if kind == "vnet" and (records := await call.pve.get(f"/cluster/sdn/vnets/{name}/subnets")):
        named = ", ".join(sorted(str(record["cidr"]) for record in records))
        raise InvalidArgument(f"Vnet {name} has subnets: {named}.", "Delete them first, with delete_sdn_subnet.")


async def _preview_sdn(call: Call, kind: str, name: str) -> Preview:
    await _require_no_subnet(call, kind, name)
    lost = "guests that use it lose their network once that is applied."
    return await preview_removal(call, f"{kind} {name}", f"/cluster/sdn/{kind}s/{name}", lost)


@networking.tool(risk=Risk.DESTROY, title="Delete an SDN zone or network", preview=_preview_sdn)
async def delete_sdn(call: Call, kind: Literal["zone", "vnet"], name: ZoneName) -> Saved:
    """Delete a zone or virtual network. It stays until apply_sdn."""
    await _require_no_subnet(call, kind, name)
    return staged(await remove(call, f"{kind} {name}", f"/cluster/sdn/{kind}s/{name}"), "apply_sdn")


async def _preview_sdn_applying(call: Call) -> Preview:
    records = await _sdn_records(call)
    parts = [_part(kind, record) for kind, record in records]
    facts = [f"{part.kind} {part.name}: {part.state}" for part in parts if part.state]
    summary = "Apply the software-defined network on all nodes."
    # A part that is changed once more is still "changed": what waits is more than its state.
    return Preview(summary=summary, target="SDN", facts=facts, fingerprint=digest_of(records))


@networking.tool(risk=Risk.DESTROY, title="Apply SDN changes", preview=_preview_sdn_applying)
async def apply_sdn(call: Call, wait_seconds: WaitSeconds = 60) -> TaskResult:
    """Bring changes of the software-defined network into force, on all nodes."""
    if not (await get_sdn(call)).unapplied:
        raise InvalidArgument(
            "There is nothing to apply that the configured user may see.", "See get_sdn for what there is."
        )
    return await call.tasks.follow(await call.pve.put("/cluster/sdn"), wait_seconds, call.report)


def _part(kind: str, record: dict[str, Any]) -> SdnPart:
    pending = record.get("pending") or {}
    # What is to be unset has this word in place of its value; a zone can be called so, and is never unset.
    unset = {key for key, value in pending.items() if value == "deleted" and key != "zone"}
    both = {key: value for key, value in {**record, **pending}.items() if key not in unset}
    return SdnPart(
        kind=kind,
        name=str((record.get("cidr") if kind == "subnet" else None) or record[kind]),
        type=both.get("type") if kind == "zone" else None,
        zone=both.get("zone") if kind != "zone" else None,
        vnet=both.get("vnet") if kind == "subnet" else None,
        tag=both.get("tag"),
        gateway=both.get("gateway"),
        snat=both.get("snat"),
        dhcp_ranges=[_as_read(part) for part in both.get("dhcp-range") or ()] or None,
        state=record.get("state"),
    )
