"""Hardware: disks and network cards of guests; tags and notes."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.locate import Guest
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.preview import preview_of
from proxmox_mcp.tooling import Call, NodeName, Risk, StorageName, Toolset, Vmid, WaitSeconds
from proxmox_mcp.tools.config import ConfigChange, change_config
from proxmox_mcp.tools.creation import Bridge, Gateway, Gigabytes, Ip, address_option
from proxmox_mcp.tools.inventory import tags_of
from proxmox_mcp.tools.placing import choose_storage, require_bridge
from proxmox_mcp.tools.writing import GuestTask, follow, word_of

hardware = Toolset("hardware", "Disks, network cards, tags and notes of guests", default=False)

DiskName = Annotated[
    str, Field(pattern=r"^(?:(?:scsi|virtio|ide|sata|mp|efidisk|tpmstate)[0-9]+|rootfs)$", description="As scsi0, mp0")
]
NicName = Annotated[str, Field(pattern=r"^net[0-9]+$", description="As net0")]
Bus = Literal["scsi", "virtio", "sata", "ide"]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_+.-]*$", max_length=64)]

_MOST = {"scsi": 31, "virtio": 16, "sata": 6, "ide": 4, "mp": 256, "net": 32}


@hardware.tool(risk=Risk.CHANGE, title="Add a disk")
async def attach_disk(
    call: Call,
    vmid: Vmid,
    size: Annotated[Gigabytes, Field(description="GiB, of a new disk")] | None = None,
    volume: Annotated[str, Field(max_length=256, description="Volume id of a disk that there is already")]
    | None = None,
    storage: StorageName | None = None,
    bus: Bus = "scsi",
    mount_point: Annotated[str, Field(max_length=255, description="Containers: where, as /srv/data")] | None = None,
    node: NodeName | None = None,
) -> ConfigChange:
    """Add a new disk to a guest, or one that exists; to a container as a mount point. The next free slot is taken."""
    if (size is None) == (volume is None):
        raise InvalidArgument("A disk is a new one of some size, or one that there is.", "Give size or volume.")
    guest = await call.guests.find(vmid, node)
    if (guest.kind == "lxc") != (mount_point is not None):
        raise InvalidArgument("mount_point is for containers, and they need it.", "Say where it is to be mounted.")
    config = await call.pve.get(f"{guest.path}/config")
    slot = _free_slot(config, "mp" if guest.kind == "lxc" else bus)
    if volume is None:
        chosen = storage or await choose_storage(call, guest.node, "rootdir" if guest.kind == "lxc" else "images")
        volume = f"{chosen}:{size}"
    value = f"{volume},mp={mount_point}" if mount_point else volume
    return await change_config(call, guest, {slot: value})


@hardware.tool(risk=Risk.CHANGE, title="Detach a disk", interrupts=lambda arguments: True)
async def detach_disk(call: Call, vmid: Vmid, disk: DiskName, node: NodeName | None = None) -> ConfigChange:
    """Detach a disk from a guest: its data stays, as an unused disk that attach_disk or delete_disk take."""
    guest = await call.guests.find(vmid, node)
    await _require(call, guest, disk)
    if disk == "rootfs":
        raise InvalidArgument("A container cannot be without its rootfs.", "Move it with move_disk instead.")
    return await change_config(call, guest, {}, [disk])


@hardware.tool(risk=Risk.CHANGE, title="Grow a disk")
async def resize_disk(
    call: Call,
    vmid: Vmid,
    disk: DiskName,
    size: Annotated[
        str, Field(pattern=r"^\+?[0-9]+(\.[0-9]+)?[KMGT]?$", description="New size as 50G, or +10G to add")
    ],
    node: NodeName | None = None,
    wait_seconds: WaitSeconds = 30,
) -> GuestTask:
    """Grow a disk of a guest; PVE cannot shrink one. The file system in a VM has to be grown in it afterwards."""
    guest = await call.guests.find(vmid, node)
    await _require(call, guest, disk)
    upid = await call.pve.put(f"{guest.path}/resize", disk=disk, size=size)
    return await follow(call, guest, upid, wait_seconds)


@hardware.tool(risk=Risk.CHANGE, title="Move a disk to another storage")
async def move_disk(
    call: Call,
    vmid: Vmid,
    disk: DiskName,
    storage: StorageName,
    delete_source: Annotated[bool, Field(description="Remove the old copy when the new one is complete")] = False,
    node: NodeName | None = None,
    wait_seconds: WaitSeconds = 0,
) -> GuestTask:
    """Move a disk of a guest to another storage of its node. The old copy stays as unused unless delete_source."""
    guest = await call.guests.find(vmid, node)
    await _require(call, guest, disk)
    vm = guest.kind == "qemu"
    params: dict[str, Any] = {"disk" if vm else "volume": disk, "storage": storage, "delete": delete_source or None}
    upid = await call.pve.post(f"{guest.path}/{'move_disk' if vm else 'move_volume'}", **params)
    return await follow(call, guest, upid, wait_seconds)


UnusedDisk = Annotated[str, Field(pattern=r"^unused[0-9]+$", description="As unused0: a disk that was detached")]


async def _preview_deletion(call: Call, vmid: int, disk: str, node: str | None = None) -> Preview:
    guest = await call.guests.find(vmid, node)
    value = await _require(call, guest, disk)
    return await preview_of(call, guest, f"Delete its disk {disk} ({value}): the data on it is lost.")


@hardware.tool(risk=Risk.DESTROY, title="Delete a disk", preview=_preview_deletion)
async def delete_disk(call: Call, vmid: Vmid, disk: UnusedDisk, node: NodeName | None = None) -> ConfigChange:
    """Delete a detached disk of a guest and all data on it, for good."""
    guest = await call.guests.find(vmid, node)
    await _require(call, guest, disk)
    return await change_config(call, guest, {}, [disk])


@hardware.tool(
    risk=Risk.CHANGE,
    title="Add or change a network card",
    interrupts=lambda arguments: bool(arguments["nic"] or arguments["link_down"]),
)
async def set_nic(
    call: Call,
    vmid: Vmid,
    nic: Annotated[NicName, Field(description="As net0; a new one if left out")] | None = None,
    bridge: Bridge | None = None,
    vlan: Annotated[int, Field(ge=0, le=4094, description="0: none")] | None = None,
    firewall: bool | None = None,
    link_down: bool | None = None,
    model: Literal["virtio", "e1000", "vmxnet3", "rtl8139"] | None = None,
    ip: Annotated[Ip, Field(description="Containers: dhcp, or 10.0.0.5/24")] | None = None,
    gateway: Gateway | None = None,
    node: NodeName | None = None,
) -> ConfigChange:
    """Add a network card to a guest, or change one: what is left out stays as it is, the hardware address too."""
    guest = await call.guests.find(vmid, node)
    if (guest.kind == "lxc" and model is not None) or (guest.kind == "qemu" and ip is not None):
        raise InvalidArgument(
            "model is for VMs, ip for containers.", "A VM's address is set by its cloud-init options."
        )
    if bridge is not None:
        await require_bridge(call, guest.node, bridge)
    config = await call.pve.get(f"{guest.path}/config")
    if nic is not None and nic not in config:
        raise InvalidArgument(f"{word_of(guest)} has no card {nic}.", "Leave nic out to add one.")
    card = _split(str(config[nic])) if nic else _new_card(guest, config)
    slot = nic or _free_slot(config, "net")
    wanted = {"bridge": bridge, "tag": vlan, "firewall": firewall, "link_down": link_down}
    card |= {
        key: str(int(value)) if isinstance(value, int) else value for key, value in wanted.items() if value is not None
    }
    if vlan == 0:
        card.pop("tag", None)
    if model is not None:
        card = _with_model(card, model)
    if ip is not None:
        six = "6" if ":" in ip else ""
        card = {key: value for key, value in card.items() if key not in {f"ip{six}", f"gw{six}"}}
        card |= _split(address_option(ip, gateway))
    return await change_config(call, guest, {slot: ",".join(f"{key}={value}" for key, value in card.items())})


@hardware.tool(risk=Risk.CHANGE, title="Remove a network card", destructive=True, interrupts=lambda arguments: True)
async def remove_nic(call: Call, vmid: Vmid, nic: NicName, node: NodeName | None = None) -> ConfigChange:
    """Remove a network card from a guest."""
    guest = await call.guests.find(vmid, node)
    await _require(call, guest, nic)
    return await change_config(call, guest, {}, [nic])


@hardware.tool(risk=Risk.CHANGE, title="Change tags", idempotent=True)
async def set_tags(
    call: Call,
    vmid: Vmid,
    add: Annotated[list[Tag], Field(max_length=50)] | None = None,
    remove: Annotated[list[Tag], Field(max_length=50)] | None = None,
    node: NodeName | None = None,
) -> ConfigChange:
    """Add tags to a guest, and take others away."""
    if not add and not remove:
        raise InvalidArgument("There is nothing to change.", "Give tags to add, to remove, or both.")
    guest = await call.guests.find(vmid, node)
    tags = tags_of(await call.pve.get(f"{guest.path}/config"))
    kept = [tag for tag in dict.fromkeys([*tags, *(add or ())]) if tag not in (remove or ())]
    return await change_config(call, guest, {"tags": ";".join(kept)} if kept else {}, [] if kept else ["tags"])


@hardware.tool(risk=Risk.CHANGE, title="Write notes", idempotent=True)
async def set_notes(
    call: Call,
    vmid: Vmid,
    text: Annotated[str, Field(max_length=8192, description="Markdown; empty to remove them")],
    append: bool = False,
    node: NodeName | None = None,
) -> ConfigChange:
    """Write the notes of a guest, in place of those it has or below them."""
    guest = await call.guests.find(vmid, node)
    if append:
        had = str((await call.pve.get(f"{guest.path}/config")).get("description") or "").rstrip("\n")
        text = f"{had}\n\n{text}" if had else text
    return await change_config(call, guest, {"description": text} if text else {}, [] if text else ["description"])


async def _require(call: Call, guest: Guest, key: str) -> str:
    """What a device of a guest is set to."""
    config = await call.pve.get(f"{guest.path}/config")
    if key not in config:
        kind = re.sub(r"\d+$", "", key)
        kinds = ("net",) if kind == "net" else ("scsi", "virtio", "ide", "sata", "mp", "rootfs", "unused", "efidisk")
        there = sorted(name for name in config if re.fullmatch(rf"(?:{'|'.join(kinds)})\d*", name))
        raise InvalidArgument(
            f"{word_of(guest)} has no {key}; it has: {', '.join(there) or 'none'}.", "Name one of them."
        )
    return str(config[key])


def _free_slot(config: Mapping[str, Any], bus: str) -> str:
    slot = next((f"{bus}{number}" for number in range(_MOST[bus]) if f"{bus}{number}" not in config), None)
    if slot is None:
        raise InvalidArgument(f"All slots of {bus} are taken.", "Choose another bus, or remove something first.")
    return slot


def _new_card(guest: Guest, config: Mapping[str, Any]) -> dict[str, str]:
    if guest.kind == "qemu":
        return {"model": "virtio", "bridge": "vmbr0", "firewall": "1"}
    number = _free_slot(config, "net").removeprefix("net")
    return {"name": f"eth{number}", "bridge": "vmbr0", "firewall": "1", "ip": "dhcp"}


def _with_model(card: Mapping[str, str], model: str) -> dict[str, str]:
    """A card as another model, with the hardware address it had (`virtio=BC:24:11:…` or `model=virtio`)."""
    first, *rest = card.items()
    changed = {"model": model} if first[0] == "model" else {model: first[1]}
    return {**changed, **dict(rest)}


def _split(text: str) -> dict[str, str]:
    return {key: value for key, _, value in (part.partition("=") for part in text.split(","))}
