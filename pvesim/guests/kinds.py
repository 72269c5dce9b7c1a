"""What differs between virtual machines and containers where PVE does the same with both: names and texts.

Source: recorded exchanges of the families `qemu-*`, `lxc` and `tasks`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pvesim.guests.records import Kind


@dataclass(frozen=True, slots=True)
class KindFacts:
    """The names of one kind of guest.

    `word` stands in error texts, `directory` and `lock_file` in those about files, `task` begins the task types,
    `sid` the id of an HA resource.
    """

    kind: Kind
    word: str
    directory: str
    lock_file: str
    task: str
    sid: str
    pending_section: str


KINDS: dict[Kind, KindFacts] = {
    "qemu": KindFacts(
        "qemu", "VM", "qemu-server", "/var/lock/qemu-server/lock-{vmid}.conf", "qm", "vm", pending_section="PENDING"
    ),
    "lxc": KindFacts(
        "lxc", "CT", "lxc", "/run/lock/lxc/pve-config-{vmid}.lock", "vz", "ct", pending_section="pve:pending"
    ),
}
