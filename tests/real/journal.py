"""What a node was like before a run: kept on the node itself, so that whoever sweeps it later can put it back.

It stands in the comment of the run's pool. The pool is made first and removed last.
"""

import json
from typing import Any

from tests.real.node import Found, NodeUnfit, RealNode

MARK = "Made by a contract run; what was before: "


def begin(node: RealNode, found: Found, pool: str, first: int, last: int) -> None:
    """Make or mark the pool, and let PVE pick free ids from the range alone.

    Raises:
        NodeUnfit: there are guests in the range; nothing was changed.
    """
    before = _before(node, pool)
    taken = [vmid for vmid in found.guests if first <= vmid <= last]
    if taken:
        raise NodeUnfit(f"There are guests in the range {first}-{last} already: {', '.join(map(str, taken))}.")
    kept = {
        "next-id": node.get("cluster/options").get("next-id"),
        "pool": before,
        "firewall": found.firewall_in_use,
    }
    if before is None:
        node.post("pools", poolid=pool, comment=MARK + json.dumps(kept))
    else:
        node.put("pools", poolid=pool, comment=MARK + json.dumps(kept))
    node.put("cluster/options", **{"next-id": f"lower={first},upper={last + 1}"})


def end(node: RealNode, pool: str) -> bool:
    """Put back what was before, and remove or unmark the pool; whether there was a run to end."""
    marked = _before(node, pool)
    if marked is None or not str(marked.get("comment", "")).startswith(MARK):
        return False
    kept = json.loads(marked["comment"].removeprefix(MARK))
    if not kept["firewall"]:
        empty_firewall(node)
    _restore_next_id(node, kept["next-id"])
    if kept["pool"] is None:
        node.delete("pools", poolid=pool)
    else:
        node.put("pools", poolid=pool, comment=kept["pool"].get("comment", ""))
    return True


def begun(node: RealNode, pool: str) -> bool:
    """Whether a run has begun there and was not ended."""
    marked = _before(node, pool)
    return marked is not None and str(marked.get("comment", "")).startswith(MARK)


def empty_firewall(node: RealNode) -> None:
    """Remove the rules and options of cluster and node, where there were none before."""
    for path in ("cluster/firewall", f"nodes/{node.name}/firewall"):
        options = [key for key in node.get(f"{path}/options") if key != "digest"]
        if options:
            node.put(f"{path}/options", delete=",".join(options))
        for _ in node.get(f"{path}/rules"):
            node.delete(f"{path}/rules/0")


def _before(node: RealNode, pool: str) -> dict[str, Any] | None:
    return next((dict(entry) for entry in node.get("pools") if entry["poolid"] == pool), None)


def _restore_next_id(node: RealNode, before: Any) -> None:
    if before is None:
        node.put("cluster/options", delete="next-id")
    else:
        text = before if isinstance(before, str) else ",".join(f"{key}={value}" for key, value in before.items())
        node.put("cluster/options", **{"next-id": text})
