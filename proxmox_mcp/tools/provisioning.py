"""Provisioning: a cloud image or template made into a VM that can be reached, in one call."""

import time
from typing import Annotated, Any

import anyio
from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, ProxmoxError
from proxmox_mcp.locate import Guest
from proxmox_mcp.results import Result
from proxmox_mcp.tooling import Call, NodeName, Risk, StorageName, Toolset, Vmid
from proxmox_mcp.tools.cloning import clone_vm
from proxmox_mcp.tools.config import change_config
from proxmox_mcp.tools.creation import (
    Cores,
    Gateway,
    Gigabytes,
    GuestName,
    Ip,
    Megabytes,
    NewId,
    Password,
    SshKeys,
    Volume,
    cloud_init_options,
    create_vm,
)
from proxmox_mcp.tools.finding import agent_addresses
from proxmox_mcp.tools.writing import PoolName

provisioning = Toolset("provisioning", "Cloud images and templates made into running VMs", default=False)

_LONGEST_TASK = 3600
_PAUSE = 2.0


class Provisioned(Result):
    """A VM that was made and started. `addresses` are those that its agent told; none if it did not in time."""

    vmid: int
    node: str
    name: str
    addresses: list[str]
    steps: list[str]
    note: str | None = None


@provisioning.tool(risk=Risk.CHANGE, title="Make a VM that can be reached")
async def provision_vm(
    call: Call,
    name: GuestName,
    template: Annotated[Vmid, Field(description="VM template with cloud-init to clone")] | None = None,
    image: Annotated[Volume, Field(description="Or: volume id of a cloud image to import")] | None = None,
    vmid: NewId | None = None,
    node: NodeName | None = None,
    storage: StorageName | None = None,
    cores: Cores | None = None,
    memory: Megabytes | None = None,
    disk: Annotated[Gigabytes, Field(description="GiB to grow the first disk to")] | None = None,
    user: Annotated[str, Field(max_length=64)] | None = None,
    password: Password | None = None,
    ssh_keys: SshKeys | None = None,
    ip: Ip = "dhcp",
    gateway: Gateway | None = None,
    pool: PoolName | None = None,
    wait_seconds: Annotated[int, Field(ge=0, le=1800, description="Wait so long for its address")] = 120,
) -> Provisioned:
    """Make a VM of a template or cloud image, set cloud-init, start it and wait until its agent tells an address."""
    if (template is None) == (image is None):
        raise InvalidArgument("A VM is made of a template or of an image.", "Give one of them.")
    cloud = cloud_init_options(user, password, ssh_keys, ip, gateway)
    hardware = {key: value for key, value in (("cores", cores), ("memory", memory)) if value is not None}
    if template is not None:
        full = True if storage else None
        made: Any = await clone_vm(
            call, template, name, vmid, full=full, target=node, storage=storage, pool=pool, wait_seconds=_LONGEST_TASK
        )
        steps = [f"cloned {template}"]
    else:
        made = await create_vm(
            call, name, node, vmid, storage=storage, image=image, pool=pool, wait_seconds=_LONGEST_TASK
        )
        steps = [f"made of {image}"]
    _require_made(made, steps[0])
    guest = Guest(made.vmid, "qemu", (node or made.node) if template else made.node, name, "stopped")
    return await _finish(call, guest, {**hardware, **cloud, "agent": "enabled=1"}, disk, wait_seconds, steps)


def _require_made(made: Any, step: str) -> None:
    if made.state == "running":
        raise ProxmoxError(
            f"VM {made.vmid} ({made.name}) is not there yet: its task ({step}) still runs, {made.upid}.",
            "wait_for_task with that UPID; then configure and start it with update_vm_config and manage_vm.",
        )


async def _finish(
    call: Call, guest: Guest, options: dict[str, Any], disk: int | None, wait_seconds: int, steps: list[str]
) -> Provisioned:
    """Configure, grow, start, wait; a failure names the VM that is there already."""
    try:
        await change_config(call, guest, options)
        steps.append("configured")
        if disk is not None and (grown := await _grow(call, guest, disk)):
            steps.append(grown)
        await call.tasks.follow(await call.pve.post(f"{guest.path}/status/start"), _LONGEST_TASK, call.report)
        steps.append("started")
    except ProxmoxError as error:
        raise ProxmoxError(
            f"VM {guest.vmid} ({guest.name}) is there ({', '.join(steps)}), but then: {error.what}",
            f"{error.advice} It stays as it is: go on from there, or delete it with delete_vm.".strip(),
        ) from None
    call.guests.forget()
    addresses = await _addresses(call, guest, wait_seconds)
    note = None if addresses else "Its agent has told no address yet: look again with find_guests or get_vm_agent_info."
    return Provisioned(
        vmid=guest.vmid, node=guest.node, name=guest.name or "", addresses=addresses, steps=steps, note=note
    )


async def _grow(call: Call, guest: Guest, size: int) -> str:
    """Grow the disk that it boots from; what was done, or nothing where it is as large already."""
    config = await call.pve.get(f"{guest.path}/config")
    first = next((key for bus in ("scsi", "virtio", "sata") for key in (f"{bus}0",) if key in config), None)
    if first is None:
        return ""
    had = next((part[5:] for part in str(config[first]).split(",") if part.startswith("size=")), "0G")
    if had.endswith("G") and float(had[:-1]) >= size:
        return ""
    upid = await call.pve.put(f"{guest.path}/resize", disk=first, size=f"{size}G")
    await call.tasks.follow(upid, _LONGEST_TASK, call.report)
    return f"{first} grown to {size} GiB"


async def _addresses(call: Call, guest: Guest, wait_seconds: int) -> list[str]:
    """The addresses of a VM, once its agent tells one that other machines can use."""
    begin = time.monotonic()
    while True:
        try:
            answer = await call.pve.get(f"{guest.path}/agent/network-get-interfaces")
            found = [address for _, address in agent_addresses(answer) if not address.startswith("fe80:")]
        except ProxmoxError:
            # It has only just started, and says so by errors.
            found = []
        waited = time.monotonic() - begin
        if found or waited >= wait_seconds:
            return found
        await call.report(waited, wait_seconds, f"VM {guest.vmid} has started, and its agent tells no address yet")
        await anyio.sleep(min(_PAUSE, wait_seconds - waited))
