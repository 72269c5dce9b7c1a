"""All areas of the API: importing their routes is what makes them known."""

from __future__ import annotations

from importlib import import_module

_ROUTES = (
    "pvesim.access.console_routes",
    "pvesim.access.factor_routes",
    "pvesim.access.openid_routes",
    "pvesim.access.routes",
    "pvesim.access.sync_routes",
    "pvesim.acme.order_routes",
    "pvesim.acme.routes",
    "pvesim.backup.file_routes",
    "pvesim.backup.routes",
    "pvesim.ceph.making_routes",
    "pvesim.ceph.routes",
    "pvesim.cluster.config_routes",
    "pvesim.cluster.routes",
    "pvesim.firewall.routes",
    "pvesim.guests.life_routes",
    "pvesim.guests.routes",
    "pvesim.ha.routes",
    "pvesim.lxc.life_routes",
    "pvesim.lxc.routes",
    "pvesim.mapping.routes",
    "pvesim.metric_servers.routes",
    "pvesim.nodes.disk_routes",
    "pvesim.nodes.network_routes",
    "pvesim.nodes.routes",
    "pvesim.nodes.survey_routes",
    "pvesim.nodes.task_routes",
    "pvesim.nodes.upkeep_routes",
    "pvesim.notifications.routes",
    "pvesim.pools.routes",
    "pvesim.qemu.agent_routes",
    "pvesim.qemu.life_routes",
    "pvesim.qemu.routes",
    "pvesim.replication.routes",
    "pvesim.sdn.fabric_routes",
    "pvesim.sdn.firewall_routes",
    "pvesim.sdn.local_routes",
    "pvesim.sdn.routes",
    "pvesim.sdn.subnet_routes",
    "pvesim.statistics_routes",
    "pvesim.storage.routes",
)
# What tasks do: their steps name effects, which may be all that a task kept in a world still refers to.
_EFFECTS = (
    "pvesim.access.sync_jobs",
    "pvesim.acme.accounts",
    "pvesim.acme.orders",
    "pvesim.backup.jobs",
    "pvesim.backup.run",
    "pvesim.ceph.cluster",
    "pvesim.ceph.daemons",
    "pvesim.ceph.pools",
    "pvesim.cluster.creation",
    "pvesim.cluster.rounds",
    "pvesim.faults.incidents",
    "pvesim.faults.tasks",
    "pvesim.faults.timeline",
    "pvesim.guests.pending",
    "pvesim.guests.power",
    "pvesim.lxc.power",
    "pvesim.nodes.catalogue",
    "pvesim.nodes.disk_making",
    "pvesim.nodes.network",
    "pvesim.nodes.rules",
    "pvesim.nodes.services",
    "pvesim.qemu.power",
    "pvesim.replication.run",
    "pvesim.sdn.apply",
    "pvesim.sdn.running",
    "pvesim.storage.copying",
    "pvesim.storage.removal",
    "pvesim.storage.transfer",
)


def load() -> None:
    """Import the routes and effects of every area. Does nothing the second time."""
    for module in (*_ROUTES, *_EFFECTS):
        import_module(module)
