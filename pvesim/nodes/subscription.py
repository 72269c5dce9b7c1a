"""A node's subscription: `/nodes/{node}/subscription`. Any key of the right form is a valid one here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.nodes.rules import find_node

_LEVELS = {"c": "Community", "b": "Basic", "s": "Standard", "p": "Premium"}
_URL = "https://www.proxmox.com/en/proxmox-virtual-environment/pricing"


@dataclass(frozen=True, slots=True)
class Subscription:
    """The key that a node has, when it was set and when it was checked last."""

    node: str
    subscription_key: str
    registered: float
    checked: float

    @property
    def key(self) -> str:
        return self.node


def show(world: World, node: str) -> dict[str, Any]:
    """`GET /nodes/{node}/subscription`."""
    sockets = find_node(world, node).hardware.sockets
    server = hashlib.md5(node.encode(), usedforsecurity=False).hexdigest().upper()
    found = world.get(Subscription, node)
    if found is None:
        return {"message": "There is no subscription key", "serverid": server, "status": "notfound", "url": _URL}
    registered = datetime.fromtimestamp(int(found.registered), UTC)
    level = found.subscription_key[4]
    return {
        "checktime": int(found.checked),
        "key": found.subscription_key,
        "level": level,
        "nextduedate": (registered + timedelta(days=365)).strftime("%Y-%m-%d"),
        "productname": f"Proxmox VE {_LEVELS[level]} Subscription {found.subscription_key[3]} CPU/year",
        "regdate": registered.strftime("%Y-%m-%d %H:%M:%S"),
        "serverid": server,
        "sockets": sockets,
        "status": "active",
        "url": _URL,
    }


def set_key(world: World, node: str, key: str) -> None:
    """`PUT`: set a key. Raises `Failure` for one that is for fewer sockets than the node has."""
    text, sockets = key.strip(), find_node(world, node).hardware.sockets
    if int(text[3]) < sockets:
        raise Failure("Invalid subscription key: wrong number of sockets")
    world.put(Subscription(node, text, world.now, world.now))


def check(world: World, node: str) -> None:
    """`POST`: look again whether the key is valid; nothing happens without one."""
    found = world.get(Subscription, node)
    if found is not None:
        world.put(Subscription(node, found.subscription_key, found.registered, world.now))


def remove(world: World, node: str) -> None:
    """`DELETE`: forget the key."""
    world.remove(Subscription, node)
