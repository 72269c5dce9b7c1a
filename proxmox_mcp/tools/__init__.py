"""The tools: one module per toolset, or several where a toolset is large."""

from proxmox_mcp.tooling import Toolset
from proxmox_mcp.tools import backing_up as _backing_up  # noqa: F401 - declares its tools in the toolset of backups
from proxmox_mcp.tools import cloning as _cloning  # noqa: F401 - declares its tools in the toolset of creation
from proxmox_mcp.tools import diagnosis as _diagnosis  # noqa: F401 - likewise
from proxmox_mcp.tools import removal as _removal  # noqa: F401 - likewise
from proxmox_mcp.tools.access import access
from proxmox_mcp.tools.agent import agent
from proxmox_mcp.tools.api import api
from proxmox_mcp.tools.availability import availability
from proxmox_mcp.tools.backup_jobs import backup_jobs
from proxmox_mcp.tools.backups import backups
from proxmox_mcp.tools.cluster import cluster
from proxmox_mcp.tools.config import config
from proxmox_mcp.tools.creation import creation
from proxmox_mcp.tools.finding import diagnosis
from proxmox_mcp.tools.firewall import firewall
from proxmox_mcp.tools.firewall_rules import firewall_rules
from proxmox_mcp.tools.guest_inside import guest_inside
from proxmox_mcp.tools.guests import guests
from proxmox_mcp.tools.hardware import hardware
from proxmox_mcp.tools.inventory import inventory
from proxmox_mcp.tools.library import library
from proxmox_mcp.tools.lifecycle import lifecycle
from proxmox_mcp.tools.migration import migration
from proxmox_mcp.tools.networking import networking
from proxmox_mcp.tools.node_admin import node_admin
from proxmox_mcp.tools.nodes import nodes
from proxmox_mcp.tools.pools import pools
from proxmox_mcp.tools.provisioning import provisioning
from proxmox_mcp.tools.snapshots import snapshots
from proxmox_mcp.tools.storage import storage
from proxmox_mcp.tools.tasks import tasks

TOOLSETS: tuple[Toolset, ...] = (
    inventory,
    nodes,
    storage,
    guests,
    lifecycle,
    tasks,
    cluster,
    firewall,
    backups,
    snapshots,
    config,
    creation,
    migration,
    agent,
    api,
    diagnosis,
    hardware,
    provisioning,
    library,
    backup_jobs,
    pools,
    access,
    firewall_rules,
    availability,
    node_admin,
    guest_inside,
    networking,
)
"""All of them, in the order in which a model reads about them."""
