"""The tools: one module per toolset."""

from proxmox_mcp.tooling import Toolset
from proxmox_mcp.tools.guests import guests
from proxmox_mcp.tools.inventory import inventory

TOOLSETS: tuple[Toolset, ...] = (inventory, guests)
"""All of them, in the order in which a model reads about them."""
