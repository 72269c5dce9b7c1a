"""Moving guests between nodes: what machines and containers have in common.

The clauses of a migration follow PVE's order: what the request itself can refuse, then a task that locks the guest,
looks for what is local, copies it, and hands the configuration over. Whatever goes wrong before the hand-over leaves the
guest where it was.
Source: API paths `…/migrate`; recorded exchanges `qemu-migrate/*`, `lxc/077-078`, `offline-node/009`, `qemu-lock/011`.
"""

from __future__ import annotations

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.nodes.records import Node
from pvesim.routing import Call


def check_target(call: Call) -> Node:
    """The node to move to. Raises `ParameterErrors` for the one the guest is on, `Failure` for an unknown one."""
    name = call.params["target"]
    if name in (call.node, "localhost"):
        raise ParameterErrors({"target": "target is local node."})
    node = call.world.get(Node, name)
    if node is None:
        raise Failure(f"no such cluster node '{name}'")
    return node
