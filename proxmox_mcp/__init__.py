"""An MCP server that runs a Proxmox VE cluster.

from proxmox_mcp import build_server, load_settings
server = build_server(load_settings())
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxmox_mcp.errors import ProxmoxError
    from proxmox_mcp.pve import Pve
    from proxmox_mcp.server import build_server
    from proxmox_mcp.settings import Settings, load_settings

__version__ = "0.1.0"

# Imported on first use: the command line answers --help without loading the MCP SDK, which takes most of a second.
_HOMES = {
    "ProxmoxError": "proxmox_mcp.errors",
    "Pve": "proxmox_mcp.pve",
    "Settings": "proxmox_mcp.settings",
    "build_server": "proxmox_mcp.server",
    "load_settings": "proxmox_mcp.settings",
}

__all__ = ["ProxmoxError", "Pve", "Settings", "__version__", "build_server", "load_settings"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
