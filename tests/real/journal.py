"""What a node was like before a run: kept on the node itself, so that whoever sweeps it later can put it back.

It stands in the comment of the run's pool. The pool is made first and removed last.
"""

import json
from typing import Any

from tests.real.found import Found, check_range
from tests.real.node import RealNode

MARK = "Made by a contract run; what was before: "


def begin(node: RealNode, found: Found, pool: str, first: int, last: int) -> None:
    """Make or mark the pool, and let PVE pick free ids from the range alone.

    Raises:
        NodeUnfit: there is something in the range; nothing was changed.
    """
    check_range(node, found, first, last)
    before = _before(node, pool)
    kept = {
        "range": [first, last],
        "next-id": node.get("cluster/options").get("next-id"),
        "pool": before,
        "firewall": found.firewall_in_use,
        "network": found.network_pending,
        "virtual": found.virtual_networks,
    }
    if before is None:
        node.post("pools", poolid=pool, comment=MARK + json.dumps(kept))
    else:
        node.put("pools", poolid=pool, comment=MARK + json.dumps(kept))
    node.put("cluster/options", **{"next-id": f"lower={first},upper={last + 1}"})


def end(node: RealNode, pool: str) -> None:
    """Put back what was before, and remove or unmark the pool, if a run has begun there."""
    kept = begun(node).get(pool)
    if kept is None:
        return
    _empty(node, firewall=not kept["firewall"], network=not kept["network"], virtual=not kept["virtual"])
    _restore_next_id(node, kept["next-id"])
    if kept["pool"] is None:
        node.delete("pools", poolid=pool)
    else:
        node.put("pools", poolid=pool, comment=kept["pool"].get("comment", ""))


def begun(node: RealNode) -> dict[str, dict[str, Any]]:
    """The pools of runs that have begun and were not ended, with what was before; `range` is the run's ids."""
    comments = {entry["poolid"]: str(entry.get("comment", "")) for entry in node.get("pools")}
    return {pool: json.loads(text.removeprefix(MARK)) for pool, text in comments.items() if text.startswith(MARK)}


def put_back(node: RealNode, found: Found) -> None:
    """Empty what was empty when the node was looked at: its firewall, what waits for its network, virtual networks."""
    _empty(
        node, firewall=not found.firewall_in_use, network=not found.network_pending, virtual=not found.virtual_networks
    )


def _empty(node: RealNode, *, firewall: bool, network: bool, virtual: bool) -> None:
    if firewall:
        _empty_firewall(node)
    if network and node.pending_network():
        node.delete(f"nodes/{node.name}/network")
    if virtual:
        _empty_virtual_networks(node)


def _empty_firewall(node: RealNode) -> None:
    """Remove the rules and options of cluster and node: those of the cluster first, which switch it on."""
    for path in ("cluster/firewall", f"nodes/{node.name}/firewall"):
        options = [key for key in node.get(f"{path}/options") if key != "digest"]
        if options:
            node.put(f"{path}/options", delete=",".join(options))
        for _ in node.get(f"{path}/rules"):
            node.delete(f"{path}/rules/0")


def _empty_virtual_networks(node: RealNode) -> None:
    for entry in node.get("cluster/sdn/vnets"):
        for subnet in node.get(f"cluster/sdn/vnets/{entry['vnet']}/subnets"):
            node.delete(f"cluster/sdn/vnets/{entry['vnet']}/subnets/{subnet['subnet']}")
        node.delete(f"cluster/sdn/vnets/{entry['vnet']}")
    for entry in node.get("cluster/sdn/zones"):
        node.delete(f"cluster/sdn/zones/{entry['zone']}")


def _before(node: RealNode, pool: str) -> dict[str, Any] | None:
    return next((dict(entry) for entry in node.get("pools") if entry["poolid"] == pool), None)


def _restore_next_id(node: RealNode, before: Any) -> None:
    if before is None:
        node.put("cluster/options", delete="next-id")
    else:
        text = before if isinstance(before, str) else ",".join(f"{key}={value}" for key, value in before.items())
        node.put("cluster/options", **{"next-id": text})
