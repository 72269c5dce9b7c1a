"""The tools: one module per toolset, or several where a toolset is large.

A toolset is imported when it is first asked for: most servers have only the default ones, and half of the modules would
cost every start for nothing.
"""

from functools import cache
from importlib import import_module
from typing import Any

from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import Toolset

TOOLSETS: tuple[Toolset, ...]
"""All of them, in the order in which a model reads about them."""

# The modules of each toolset; the first one defines it, the others declare further tools in it.
_DEFAULT: dict[str, tuple[str, ...]] = {
    "inventory": ("inventory",),
    "nodes": ("nodes",),
    "storage": ("storage",),
    "guests": ("guests",),
    "lifecycle": ("lifecycle",),
    "tasks": ("tasks",),
    "cluster": ("cluster",),
    "firewall": ("firewall",),
    "backups": ("backups", "backing_up"),
    "snapshots": ("snapshots",),
    "config": ("config",),
    "creation": ("creation", "cloning", "removal"),
    "migration": ("migration",),
    "agent": ("agent",),
}
_FURTHER: dict[str, tuple[str, ...]] = {
    "api": ("api",),
    "diagnosis": ("finding", "diagnosis"),
    "hardware": ("hardware",),
    "provisioning": ("provisioning",),
    "library": ("library",),
    "backup_jobs": ("backup_jobs",),
    "pools": ("pools",),
    "access": ("access",),
    "firewall_rules": ("firewall_rules",),
    "availability": ("availability",),
    "node_admin": ("node_admin",),
    "guest_inside": ("guest_inside",),
    "networking": ("networking",),
}
_MODULES = {**_DEFAULT, **_FURTHER}


def toolsets_for(settings: Settings) -> tuple[Toolset, ...]:
    """The toolsets that settings choose from: the default ones, or all where toolsets or tools are named."""
    names = _MODULES if settings.toolsets or settings.tools else _DEFAULT
    return tuple(_toolset(name) for name in names)


@cache
def _toolset(name: str) -> Toolset:
    modules = [import_module(f"{__name__}.{module}") for module in _MODULES[name]]
    toolset: Toolset = getattr(modules[0], name)
    return toolset


def __getattr__(name: str) -> Any:
    if name == "TOOLSETS":
        return tuple(_toolset(name) for name in _MODULES)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
