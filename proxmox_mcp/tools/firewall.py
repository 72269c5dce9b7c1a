"""The firewall: the rules of each level, and whether they act at all."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from proxmox_mcp.errors import PermissionMissing
from proxmox_mcp.locate import Kind
from proxmox_mcp.results import Detail, Page, Result, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, Toolset, Vmid

firewall = Toolset("firewall", "Firewall rules, and whether they act")


class FirewallRule(Result):
    """A rule; the first that fits a packet decides. Of type `group` it stands for the rules of the group `action`."""

    pos: int
    enable: bool
    type: str
    action: str
    macro: str | None = None
    proto: str | None = None
    source: str | None = None
    sport: str | None = None
    dest: str | None = None
    dport: str | None = None
    icmp_type: str | None = None
    iface: str | None = None
    log: str | None = None
    comment: str | None = None


class FirewallRules(Page):
    """The rules of one level, and what decides whether they act."""

    active: bool | None = None
    """Whether the rules act; left out when the user may not read what decides it."""
    reasons: list[str] | None = None
    """Why they do not act, or not on everything, or what is not known."""
    policy_in: str | None = None
    """What happens to traffic that no rule fits."""
    policy_out: str | None = None
    policy_forward: str | None = None
    options: dict[str, Any] | None = None
    rules: list[FirewallRule]


_Options = Mapping[str, Any]

# What PVE does where nothing is configured.
_CLUSTER_POLICIES = {"policy_in": "DROP", "policy_out": "ACCEPT", "policy_forward": "ACCEPT"}
_GUEST_POLICIES = {"policy_in": "DROP", "policy_out": "ACCEPT"}


class _Reason(NamedTuple):
    """Something that bears on whether rules act. `acts`: `False` settles that they do not, `None` leaves it open."""

    text: str
    acts: bool | None


class _Shown(NamedTuple):
    """Which part of the answer is wanted."""

    detail: Detail
    limit: int
    cursor: str | None


@firewall.tool(risk=Risk.READ, title="Read the cluster's firewall rules")
async def get_cluster_firewall_rules(
    call: Call, detail: Detail = "concise", limit: Limit = 200, cursor: Cursor | None = None
) -> FirewallRules:
    """Read the firewall rules of the whole cluster, and whether the firewall is on. `full` adds all options."""
    options = await call.pve.get("/cluster/firewall/options")
    shown = _Shown(detail, limit, cursor)
    return await _rules(call, "/cluster", options, _policies(options, _CLUSTER_POLICIES), _cluster(options), shown)


@firewall.tool(risk=Risk.READ, title="Read a node's firewall rules")
async def get_node_firewall_rules(
    call: Call, node: NodeName, detail: Detail = "concise", limit: Limit = 200, cursor: Cursor | None = None
) -> FirewallRules:
    """Read the firewall rules of a node itself, and whether they act. `full` adds all options."""
    options = await call.pve.get(f"/nodes/{node}/firewall/options")
    of_cluster = await _cluster_options(call)
    reasons = [*_own(options, 1, f"node {node}"), *_cluster(of_cluster)]
    # A node has no policies of its own.
    policies = {} if of_cluster is None else _policies(of_cluster, _CLUSTER_POLICIES)
    return await _rules(call, f"/nodes/{node}", options, policies, reasons, _Shown(detail, limit, cursor))


@firewall.tool(risk=Risk.READ, title="Read a VM's firewall rules")
async def get_vm_firewall_rules(
    call: Call,
    vmid: Vmid,
    node: NodeName | None = None,
    detail: Detail = "concise",
    limit: Limit = 200,
    cursor: Cursor | None = None,
) -> FirewallRules:
    """Read a VM's firewall rules, and whether they act on its network cards. `full` adds all options."""
    return await _guest_rules(call, vmid, node, "qemu", _Shown(detail, limit, cursor))


@firewall.tool(risk=Risk.READ, title="Read a container's firewall rules")
async def get_lxc_firewall_rules(
    call: Call,
    vmid: Vmid,
    node: NodeName | None = None,
    detail: Detail = "concise",
    limit: Limit = 200,
    cursor: Cursor | None = None,
) -> FirewallRules:
    """Read a container's firewall rules, and whether they act on its network cards. `full` adds all options."""
    return await _guest_rules(call, vmid, node, "lxc", _Shown(detail, limit, cursor))


async def _guest_rules(call: Call, vmid: int, node: str | None, kind: Kind, shown: _Shown) -> FirewallRules:
    # Checked, because PVE answers for guests that are not there as for those without rules.
    guest = await call.guests.find(vmid, node, kind, check=True)
    options = await call.pve.get(f"{guest.path}/firewall/options")
    cards = _cards(await call.pve.get(f"{guest.path}/config"))
    reasons = [*_own(options, 0, f"guest {vmid}"), *cards, *_cluster(await _cluster_options(call))]
    return await _rules(call, guest.path, options, _policies(options, _GUEST_POLICIES), reasons, shown)


def _cards(config: Mapping[str, Any]) -> list[_Reason]:
    """Which network cards of a guest the firewall does not see."""
    cards = {name: str(value) for name, value in config.items() if re.fullmatch(r"net\d+", name)}
    unseen = sorted(name for name, value in cards.items() if "firewall=1" not in value.split(","))
    if not cards:
        return [_Reason("the guest has no network card", False)]
    if not unseen:
        return []
    return [_Reason(f"without firewall=1, and so not filtered: {', '.join(unseen)}", len(unseen) < len(cards))]


async def _cluster_options(call: Call) -> _Options | None:
    """The options of the cluster's firewall, unless the user may not read them."""
    try:
        options: _Options = await call.pve.get("/cluster/firewall/options")
    except PermissionMissing:
        return None
    return options


def _cluster(options: _Options | None) -> list[_Reason]:
    """Whether the cluster's firewall keeps every rule from acting."""
    if options is None:
        return [_Reason("not known whether the cluster's firewall is on: reading that needs Sys.Audit on /", None)]
    return _own(options, 0, "the cluster")


def _own(options: _Options, default: int, of: str) -> list[_Reason]:
    if int(options.get("enable", default)):
        return []
    return [_Reason(f"the firewall of {of} is off (enable=0)", False)]


def _policies(options: _Options, defaults: Mapping[str, str]) -> dict[str, str]:
    return {name: str(options.get(name, default)) for name, default in defaults.items()}


async def _rules(
    call: Call, level: str, options: _Options, policies: Mapping[str, str], reasons: list[_Reason], shown: _Shown
) -> FirewallRules:
    records = await call.pve.get(f"{level}/firewall/rules")
    page, total, following = paginate(records, lambda record: int(record["pos"]), shown.limit, shown.cursor)
    verdicts = {reason.acts for reason in reasons}
    full = {name: value for name, value in options.items() if name != "digest"}
    return FirewallRules(
        total=total,
        next_cursor=following,
        active=False if False in verdicts else None if None in verdicts else True,
        reasons=[reason.text for reason in reasons] or None,
        **policies,
        options=full if shown.detail == "full" else None,
        rules=[_rule(record) for record in page],
    )


def _rule(record: Mapping[str, Any]) -> FirewallRule:
    known = {name.replace("-", "_"): value for name, value in record.items() if value != ""}
    return FirewallRule(**{**known, "enable": bool(int(record.get("enable", 0)))})
