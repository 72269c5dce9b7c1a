"""Firewall, written: rules and options of the cluster, a node, a guest or a security group."""

from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.tooling import Arguments, Call, NodeName, Risk, Toolset, Vmid
from proxmox_mcp.tools.saving import Saved, saved, update

firewall_rules = Toolset("firewall_rules", "Change firewall rules and options", default=False)

OfGuest = Annotated[Vmid, Field(description="Of this guest; with no vmid, node or group: of the cluster")]
OfNode = Annotated[NodeName, Field(description="Of this node itself")]
OfGroup = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]+$", max_length=20, description="Security group")]
Position = Annotated[int, Field(ge=0, description="As the rules are listed; 0 is looked at first")]
Direction = Literal["in", "out", "forward", "group"]
Target = Annotated[str, Field(max_length=20, description="ACCEPT, DROP, REJECT, or a security group's name")]
Endpoint = Annotated[str, Field(max_length=512, description="Address, network, range, alias or +ipset")]
Text = Annotated[str, Field(max_length=512)]
_PORTS = "As 22, 80,443 or 8000:8010"


def _stops_something(arguments: Arguments) -> bool:
    return str(arguments["action"]).upper() != "ACCEPT"


@firewall_rules.tool(risk=Risk.CHANGE, title="Add a firewall rule", destructive=True, interrupts=_stops_something)
async def add_firewall_rule(
    call: Call,
    type: Direction,
    action: Target,
    vmid: OfGuest | None = None,
    node: OfNode | None = None,
    group: OfGroup | None = None,
    macro: Annotated[Text, Field(description="As SSH, HTTP, Ping")] | None = None,
    proto: Text | None = None,
    source: Endpoint | None = None,
    dest: Endpoint | None = None,
    sport: Annotated[Text, Field(description=_PORTS)] | None = None,
    dport: Annotated[Text, Field(description=_PORTS)] | None = None,
    iface: Text | None = None,
    comment: Text | None = None,
    enable: bool = True,
    pos: Position | None = None,
) -> Saved:
    """Add a rule to the firewall of the cluster, a node, a guest or a security group. It goes first unless pos says."""
    base, what = await _base(call, vmid, node, group)
    params: dict[str, Any] = {"type": type, "action": action, "macro": macro, "proto": proto, "source": source}
    params |= {"dest": dest, "sport": sport, "dport": dport, "iface": iface, "comment": comment}
    await call.pve.post(base, **params, enable=enable, pos=pos)
    return saved(f"rule {pos or 0} of {what}", "created", {}, await call.pve.get(f"{base}/{pos or 0}"))


def _changes_more_than_words(arguments: Arguments) -> bool:
    where = {"pos", "vmid", "node", "group"}
    return any(value is not None for name, value in arguments.items() if name not in {*where, "comment"})


@firewall_rules.tool(
    risk=Risk.CHANGE,
    title="Change a firewall rule",
    destructive=True,
    idempotent=True,
    interrupts=_changes_more_than_words,
)
async def update_firewall_rule(
    call: Call,
    pos: Position,
    vmid: OfGuest | None = None,
    node: OfNode | None = None,
    group: OfGroup | None = None,
    enable: bool | None = None,
    action: Target | None = None,
    source: Endpoint | None = None,
    dest: Endpoint | None = None,
    proto: Text | None = None,
    dport: Annotated[Text, Field(description=_PORTS)] | None = None,
    comment: Text | None = None,
    delete: Annotated[list[str], Field(max_length=10, description="Options to unset")] | None = None,
) -> Saved:
    """Change a firewall rule, or switch it on or off. What is left out stays."""
    base, what = await _base(call, vmid, node, group)
    params: dict[str, Any] = {"enable": enable, "action": action, "source": source, "dest": dest, "proto": proto}
    params |= {"dport": dport, "comment": comment}
    if all(value is None for value in params.values()) and not delete:
        raise InvalidArgument("There is nothing to change.", "Give what is to be another.")
    return await update(call, f"rule {pos} of {what}", f"{base}/{pos}", params, delete or ())


async def _preview_rule(
    call: Call, pos: int, vmid: int | None = None, node: str | None = None, group: str | None = None
) -> Preview:
    base, what = await _base(call, vmid, node, group)
    rule = await call.pve.get(f"{base}/{pos}")
    facts = [f"{key}: {value}" for key, value in rule.items() if key != "digest"]
    summary = f"Delete rule {pos} of {what}: those behind it move up."
    return Preview(summary=summary, target=what, facts=facts, fingerprint=digest_of(base, rule))


@firewall_rules.tool(risk=Risk.DESTROY, title="Delete a firewall rule", preview=_preview_rule)
async def delete_firewall_rule(
    call: Call,
    pos: Position,
    vmid: OfGuest | None = None,
    node: OfNode | None = None,
    group: OfGroup | None = None,
) -> Saved:
    """Delete a firewall rule. The positions of those behind it change."""
    base, what = await _base(call, vmid, node, group)
    before = await call.pve.get(f"{base}/{pos}")
    await call.pve.delete(f"{base}/{pos}", digest=before.get("digest"))
    return saved(f"rule {pos} of {what}", "deleted", before, {})


def _cuts(arguments: Arguments) -> bool:
    """Whether connections may end that were let through before, or begin that were kept out."""
    named = ("enable", "policy_in", "policy_out")
    others = [name for name in arguments["options"] or {} if not name.startswith("log")]
    return bool(others) or any(arguments[name] is not None for name in named)


@firewall_rules.tool(
    risk=Risk.CHANGE, title="Switch a firewall on or off", destructive=True, idempotent=True, interrupts=_cuts
)
async def set_firewall_options(
    call: Call,
    vmid: OfGuest | None = None,
    node: OfNode | None = None,
    enable: bool | None = None,
    policy_in: Literal["ACCEPT", "DROP", "REJECT"] | None = None,
    policy_out: Literal["ACCEPT", "DROP", "REJECT"] | None = None,
    options: Annotated[dict[str, str | int | bool], Field(description="Further options of PVE's firewall")]
    | None = None,
) -> Saved:
    """Switch the firewall of the cluster, a node or a guest on or off, or set what it does where no rule fits."""
    base, what = await _base(call, vmid, node, None)
    params: dict[str, Any] = {"enable": enable, "policy_in": policy_in, "policy_out": policy_out, **(options or {})}
    if all(value is None for value in params.values()):
        raise InvalidArgument("There is nothing to change.", "Give enable, a policy or options.")
    return await update(call, f"options of {what}", f"{base.removesuffix('/rules')}/options", params)


async def _base(call: Call, vmid: int | None, node: str | None, group: str | None) -> tuple[str, str]:
    """The path of the rules, and whose they are."""
    if group is not None:
        if vmid is not None or node is not None:
            raise InvalidArgument("A security group is the cluster's.", "Give group alone.")
        return f"/cluster/firewall/groups/{group}", f"security group {group}"
    if vmid is not None:
        guest = await call.guests.find(vmid, node)
        return f"{guest.path}/firewall/rules", f"guest {vmid}'s firewall"
    if node is not None:
        return f"/nodes/{node}/firewall/rules", f"node {node}'s firewall"
    return "/cluster/firewall/rules", "the cluster's firewall"
