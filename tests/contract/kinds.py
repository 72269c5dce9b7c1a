"""Which kind of way to go a step of a contract shows, told by what it says must come of the call."""

import re

from pvesim.scenario.steps import ContractStepModel
from tests.proxmox_mcp.tools.matrix import Kind

NOBODY = "nobody@pve"
"""Who has no rights in any scenario."""
_SAYS = {
    Kind.POLICY: r"operator's policy forbids|access level \w+ does not allow|not available at access level|declined",
    Kind.PERMISSION: r"Not permitted|the (configured )?user may see|\b(VM|Sys|Datastore|Pool|SDN|User)\.[A-Z]",
    Kind.UNKNOWN_GUEST: r"There is no guest",
    Kind.WRONG_NODE: r"There is no node|is on node \S+, not on",
    Kind.OFFLINE_NODE: r"gives no answer|is offline",
}


def kind_of(step: ContractStepModel) -> Kind | None:
    """The kind of a step; None for another refusal than those that every tool must know."""
    if step.error is None and step.user == NOBODY:
        return Kind.PERMISSION  # PVE refuses some lists to nobody: it leaves out what one may not see.
    if step.error is None:
        return Kind.SUCCESS if step.expect is not None else None
    return next((kind for kind, says in _SAYS.items() if re.search(says, step.error)), None)
