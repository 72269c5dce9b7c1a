"""What a step would do to a node beyond the run's own guests, storages, users and pools."""

import re
from typing import NamedTuple

from proxmox_mcp.tools import TOOLSETS
from pvesim.scenario import Scenario
from pvesim.scenario.steps import ContractStepModel
from tests.real.found import Found

READS = frozenset(tool.name for toolset in TOOLSETS for tool in toolset.declarations if tool.risk == "read")
HA_READS = frozenset(("get_cluster_ha_status", "get_ha_setup"))
NETWORK = "it would change the node's own network"
NODE = "it would change the node itself"
POWER = "it would end the node, and the run with it"
WATCHDOG = "a guest under high availability makes the cluster's manager arm the node's watchdog"
NODE_FIREWALL = "it would change the firewall of the node itself"
PENDING = "changes of the node's network that are someone's own wait to be applied"
OWN_INTERFACE = "the node has an interface of that name"
VIRTUAL = "the node has virtual networks of its own"
_TOO_LOW = "is not available at access level"
_PARAMETER = re.compile(r"[a-z_]+:")
_AREAS = {
    tool.name: toolset.name
    for toolset in TOOLSETS
    for tool in toolset.declarations
    if toolset.name in ("networking", "node_admin", "availability")
}


class Risk(NamedTuple):
    """Why a step is left out, and whether a node that nobody uses afterwards bears it."""

    why: str
    bearable: bool = True


def risk_of(step: ContractStepModel, scenario: Scenario, found: Found) -> str | None:
    """Why a step is not for that node; None if it is."""
    risk = _risk(step, scenario, found)
    return risk.why if risk is not None and not (risk.bearable and found.throwaway) else None


def _risk(step: ContractStepModel, scenario: Scenario, found: Found) -> Risk | None:
    tool = step.call.tool
    if found.virtual_networks and "sdn" in tool:
        return Risk(VIRTUAL, bearable=False)
    if is_refused(step, scenario):
        return None
    if tool in READS:
        kept = scenario.ha.resources or any(other.call.tool == "set_ha_resource" for other in scenario.contract)
        return Risk(WATCHDOG) if tool in HA_READS and kept and step.error is None else None
    if tool == "set_firewall_options":
        # Rules do nothing while the firewall is off, which it stays.
        own = "vmid" in step.call.arguments or not step.call.arguments
        return None if own else Risk(NODE_FIREWALL)
    return _of_the_node(step, found)


def _of_the_node(step: ContractStepModel, found: Found) -> Risk | None:
    """The risk of a change in one of the areas that are about more than the run's own."""
    tool = step.call.tool
    area = _AREAS.get(tool)
    if area == "networking":
        # What is not applied waits in a file of its own, which is thrown away afterwards.
        if tool.startswith("apply_"):
            return Risk(NETWORK)
        if step.call.arguments.get("iface") in found.interfaces:
            return Risk(OWN_INTERFACE, bearable=False)
        return Risk(PENDING, bearable=False) if found.network_pending and "sdn" not in tool else None
    if tool == "manage_node_power" and step.call.arguments.get("action") == "wake":
        return None  # A packet to a node that is off, and none at all to one that is on.
    if area == "node_admin":
        return Risk(POWER, bearable=False) if tool == "manage_node_power" else Risk(NODE)
    if area == "availability" and "_ha_" in tool:
        # Without a guest to keep, nothing is armed; and there is one only if it was put there.
        return Risk(WATCHDOG) if step.error is None or tool == "set_ha_resource" else None
    return None


def is_refused(step: ContractStepModel, scenario: Scenario) -> bool:
    """Whether a step cannot do anything: by level, rights or policy, or because what it is about is not there."""
    if step.error is None:
        return False
    arguments = step.call.arguments
    node, vmid = arguments.get("node"), arguments.get("vmid")
    known = {*scenario.vms, *scenario.containers}
    return (
        step.user is not None
        or step.policy is not None
        or not step.approved
        or _TOO_LOW in step.error
        or _PARAMETER.fullmatch(step.error) is not None
        or (node is not None and node not in scenario.nodes)
        or (isinstance(vmid, int) and vmid not in known)
    )
