"""What a freshly installed node has: services, network, storages."""

from __future__ import annotations

from typing import Any

from pvesim.nodes.records import Interface, Service

# Name, description, state, unit state.
_SERVICES = (
    ("chrony", "chrony, an NTP client/server", "running", "enabled"),
    ("corosync", "Corosync Cluster Engine", "running", "enabled"),
    ("cron", "Regular background programs", "running", "enabled"),
    ("ksmtuned", "Tuning of kernel same-page merging", "running", "enabled"),
    ("lxcfs", "Filesystem for containers", "running", "enabled"),
    ("postfix", "Postfix mail agent", "running", "enabled"),
    ("proxmox-firewall", "nftables firewall", "running", "enabled"),
    ("pve-cluster", "Cluster filesystem", "running", "enabled"),
    ("pve-firewall", "Firewall", "running", "enabled"),
    ("pve-ha-crm", "HA cluster resource manager", "running", "enabled"),
    ("pve-ha-lrm", "HA local resource manager", "running", "enabled"),
    ("pve-lxc-syscalld", "System calls for containers", "running", "enabled"),
    ("pvedaemon", "API daemon", "running", "enabled"),
    ("pvefw-logger", "Firewall logger", "running", "static"),
    ("pveproxy", "API proxy server", "running", "enabled"),
    ("pvescheduler", "Job scheduler", "running", "enabled"),
    ("pvestatd", "Status daemon", "running", "enabled"),
    ("qmeventd", "QEMU event daemon", "running", "enabled"),
    ("spiceproxy", "SPICE proxy server", "running", "enabled"),
    ("sshd", "OpenSSH server", "running", "enabled"),
    ("syslog", "syslog.service", "dead", "not-found"),
    ("systemd-journald", "Journal service", "running", "static"),
    ("systemd-timesyncd", "systemd-timesyncd.service", "dead", "not-found"),
)

DNS = {"search": "example.test", "dns1": "10.10.10.1"}
DEFAULT_STORAGES: dict[str, dict[str, Any]] = {
    "local": {"type": "dir", "config": {"path": "/var/lib/vz", "content": "iso,vztmpl,backup"}},
    "local-lvm": {"type": "lvmthin", "config": {"thinpool": "data", "vgname": "pve", "content": "rootdir,images"}},
}

# What a storage type cannot be without, where a scenario does not say it.
STORAGE_OPTIONS: dict[str, dict[str, str]] = {
    "btrfs": {"path": "/mnt/{storage}"},
    "cifs": {"server": "10.10.10.2", "share": "{storage}"},
    "dir": {"path": "/mnt/{storage}"},
    "iscsi": {"portal": "10.10.10.2", "target": "iqn.2026-01.test.example:{storage}"},
    "lvm": {"vgname": "{storage}"},
    "lvmthin": {"vgname": "pve", "thinpool": "data"},
    "nfs": {"server": "10.10.10.2", "export": "/export/{storage}"},
    "pbs": {"server": "10.10.10.3", "datastore": "{storage}", "username": "backup@pbs"},
    "rbd": {"pool": "rbd"},
    "zfspool": {"pool": "rpool/data"},
}
# The memory that guests of a fleet have, in MiB, one after the other.
VM_MEMORY = (1024, 2048, 2048, 4096, 8192)
CONTAINER_MEMORY = (512, 1024, 2048)
# What PVE takes for granted where its configuration names no storage `local` (recorded exchange: a fresh node).
IMPLIED_LOCAL: dict[str, Any] = {"path": "/var/lib/vz", "priority": 0, "prune-backups": "keep-all=1"}
IMPLIED_CONTENT = ("images", "rootdir", "backup", "iso", "vztmpl", "snippets")


def services(node: str, clustered: bool) -> list[Service]:
    """The services of a node; Corosync runs in a cluster only."""
    made = [Service(node, name, text, state, unit) for name, text, state, unit in _SERVICES]
    if clustered:
        return made
    return [
        Service(node, "corosync", "corosync.service", "dead", "not-found") if service.name == "corosync" else service
        for service in made
    ]


def network(node: str, ip: str) -> list[Interface]:
    """A network card and the bridge on it that holds the node's address."""
    gateway = f"{ip.rpartition('.')[0]}.1"
    card = {"method": "manual", "method6": "manual", "families": ["inet"], "priority": 3}
    bridge = {
        "address": ip,
        "autostart": 1,
        "bridge_fd": "0",
        "bridge_ports": "eno1",
        "bridge_stp": "off",
        "cidr": f"{ip}/24",
        "families": ["inet"],
        "gateway": gateway,
        "method": "static",
        "method6": "manual",
        "netmask": "24",
        "priority": 4,
    }
    return [Interface(node, "eno1", "eth", card), Interface(node, "vmbr0", "bridge", bridge)]


def node_address(position: int) -> str:
    """The address of the node at a position, counted from 0: 10.10.10.11, then .12 and so on."""
    return f"10.10.{10 + position // 200}.{11 + position % 200}"


def hosts(node: str, ip: str, domain: str) -> str:
    """The text of `/etc/hosts`."""
    return f"127.0.0.1 localhost.localdomain localhost\n{ip} {node}.{domain} {node}\n"
