"""Creation: new VMs and containers, with the defaults that a Proxmox user would choose."""

from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.tooling import Call, NodeName, Risk, StorageName, Toolset, Vmid, WaitSeconds
from proxmox_mcp.tools.config import Options, check_options
from proxmox_mcp.tools.placing import choose_node, choose_storage, free_vmid, storage_of
from proxmox_mcp.tools.writing import GuestTask, PoolName, follow

creation = Toolset("creation", "Make, clone and delete guests")

GuestName = Annotated[
    str, Field(max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", description="Name, as in DNS")
]
NewId = Annotated[Vmid, Field(description="The new guest's id; the next free one if left out")]
Gigabytes = Annotated[int, Field(ge=1, le=100_000)]
Cores = Annotated[int, Field(ge=1, le=512)]
Megabytes = Annotated[int, Field(ge=16, le=16_000_000, description="MiB")]
Bridge = Annotated[str, Field(max_length=10, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
Ip = Annotated[str, Field(max_length=64, description="dhcp, or an address as 10.0.0.5/24")]
Gateway = Annotated[str, Field(max_length=64)]
Volume = Annotated[str, Field(max_length=256, description="Volume id")]
More = Annotated[Options, Field(description="Further PVE options; they win over the defaults")]
SshKeys = Annotated[str, Field(max_length=16_384, description="Public keys, one a line")]
Password = Annotated[str, Field(min_length=5, max_length=256)]
OsType = Literal["l26", "win11", "win10", "other", "solaris"]

_AGENT_AND_CONSOLE = {"agent": "enabled=1", "serial0": "socket"}


class NewGuest(GuestTask):
    """The task that makes a guest, and where the guest goes."""

    name: str | None = None
    storage: str | None = None


@creation.tool(risk=Risk.CHANGE, title="Make a VM")
async def create_vm(
    call: Call,
    name: GuestName,
    node: NodeName | None = None,
    vmid: NewId | None = None,
    cores: Cores = 2,
    memory: Megabytes = 2048,
    disk: Annotated[Gigabytes, Field(description="GiB")] = 32,
    storage: StorageName | None = None,
    iso: Annotated[Volume, Field(description="Volume id of an ISO image to install from")] | None = None,
    image: Annotated[Volume, Field(description="Volume id of a disk image to import as its disk")] | None = None,
    bridge: Bridge = "vmbr0",
    ostype: OsType = "l26",
    user: Annotated[str, Field(max_length=64, description="Cloud-init: user to make")] | None = None,
    password: Password | None = None,
    ssh_keys: SshKeys | None = None,
    ip: Ip | None = None,
    gateway: Gateway | None = None,
    pool: PoolName | None = None,
    options: More | None = None,
    start: bool = False,
    wait_seconds: WaitSeconds = 0,
) -> NewGuest:
    """Make a VM; id, node and storage are chosen where they are left out. user, keys or ip add a cloud-init drive."""
    if iso and image:
        raise InvalidArgument("A VM is installed from an ISO image or made of a disk image, not both.", "Give one.")
    node, storage = await _place(call, "qemu", node, storage, [volume for volume in (iso, image) if volume])
    cloud = cloud_init_options(user, password, ssh_keys, ip, gateway)
    params: dict[str, Any] = {"name": name, "cores": cores, "memory": memory, "ostype": ostype, "pool": pool}
    params |= {"start": start or None, **_hardware(ostype, storage, disk, image, bridge)}
    if iso:
        params["ide2"] = f"{iso},media=cdrom"
    if cloud or image:
        params["ide0" if iso else "ide2"] = f"{storage}:cloudinit"
        params |= {**_AGENT_AND_CONSOLE, "ipconfig0": "ip=dhcp", **cloud}
    return await _make(call, "qemu", node, vmid, name, storage, {**params, **_checked(options)}, wait_seconds)


@creation.tool(risk=Risk.CHANGE, title="Make a container")
async def create_lxc(
    call: Call,
    hostname: GuestName,
    template: Annotated[Volume, Field(description="Volume id of a container template (content vztmpl)")],
    node: NodeName | None = None,
    vmid: NewId | None = None,
    cores: Cores = 1,
    memory: Megabytes = 512,
    swap: Annotated[int, Field(ge=0, le=1_000_000, description="MiB")] = 512,
    disk: Annotated[Gigabytes, Field(description="GiB")] = 8,
    storage: StorageName | None = None,
    bridge: Bridge = "vmbr0",
    ip: Ip = "dhcp",
    gateway: Gateway | None = None,
    password: Password | None = None,
    ssh_keys: SshKeys | None = None,
    unprivileged: bool = True,
    pool: PoolName | None = None,
    options: More | None = None,
    start: bool = False,
    wait_seconds: WaitSeconds = 0,
) -> NewGuest:
    """Make a container of a template; id, node and storage are chosen where they are left out. password: root's."""
    node, storage = await _place(call, "lxc", node, storage, [template])
    params: dict[str, Any] = {
        "hostname": hostname,
        "ostemplate": template,
        "cores": cores,
        "memory": memory,
        "swap": swap,
        "rootfs": f"{storage}:{disk}",
        "net0": f"name=eth0,bridge={bridge},firewall=1,{address_option(ip, gateway)}",
        "unprivileged": unprivileged,
    }
    params |= {"password": password, "ssh-public-keys": ssh_keys, "pool": pool, "start": start or None}
    if unprivileged:
        # Without it, current systemd cannot run its services in a container.
        params["features"] = "nesting=1"
    return await _make(call, "lxc", node, vmid, hostname, storage, {**params, **_checked(options)}, wait_seconds)


async def _place(call: Call, kind: Kind, node: str | None, storage: str | None, sources: list[str]) -> tuple[str, str]:
    """Node and storage for a new guest's disk."""
    needed = sorted({*(storage_of(source) for source in sources), *([storage] if storage else [])})
    node = node or await choose_node(call, needed)
    return node, storage or await choose_storage(call, node, "images" if kind == "qemu" else "rootdir")


async def _make(
    call: Call,
    kind: Kind,
    node: str,
    vmid: int | None,
    name: str,
    storage: str,
    params: Mapping[str, Any],
    wait_seconds: int,
) -> NewGuest:
    vmid = await free_vmid(call, vmid)
    upid = await call.pve.post(f"/nodes/{node}/{kind}", vmid=vmid, **params)
    task = await follow(call, Guest(vmid, kind, node, name, "unknown"), upid, wait_seconds)
    return NewGuest(**dict(task), name=name, storage=storage)


def _checked(options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if options:
        check_options(options, ())
    return options or {}


def _hardware(ostype: str, storage: str, disk: int, image: str | None, bridge: str) -> dict[str, Any]:
    """Disk, network card and firmware: fast where the system has the drivers, else what it knows by itself."""
    windows = ostype.startswith("win")
    size = f"0,import-from={image}" if image else str(disk)
    drive = f"{storage}:{size},discard=on"
    params: dict[str, Any] = {"cpu": "x86-64-v2-AES", "scsihw": "virtio-scsi-single"}
    params["sata0" if windows else "scsi0"] = drive if windows else f"{drive},iothread=1"
    params["net0"] = f"{'e1000' if windows else 'virtio'},bridge={bridge},firewall=1"
    if windows:
        params |= {"machine": "q35", "bios": "ovmf", "efidisk0": f"{storage}:1,efitype=4m,pre-enrolled-keys=1"}
    if ostype == "win11":
        params["tpmstate0"] = f"{storage}:1,version=v2.0"
    return params


def cloud_init_options(
    user: str | None, password: str | None, ssh_keys: str | None, ip: str | None, gateway: str | None
) -> dict[str, Any]:
    """The cloud-init options of what was given; none where nothing was."""
    if gateway and not ip:
        raise InvalidArgument("A gateway needs an address of the VM's own.", "Give ip, too, as 10.0.0.5/24.")
    given = {
        "ciuser": user,
        "cipassword": password,
        "sshkeys": quote(ssh_keys.strip() + "\n", safe="") if ssh_keys else None,
        "ipconfig0": address_option(ip, gateway) if ip else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def address_option(ip: str, gateway: str | None) -> str:
    """An address as PVE writes it in `net0` and `ipconfig0`.

    Raises:
        InvalidArgument: it is no address with a prefix, or has a gateway that it cannot use.
    """
    if ip in {"dhcp", "manual"}:
        if gateway:
            raise InvalidArgument(f"With {ip}, a gateway says nothing.", "Give an address as ip, or no gateway.")
        return f"ip={ip}"
    try:
        parsed = ip_interface(ip)
    except ValueError:
        parsed = None
    if parsed is None or "/" not in ip:
        raise InvalidArgument(f"ip {ip!r} is no address with its prefix.", "Write dhcp, or 10.0.0.5/24.")
    six = "6" if parsed.version == 6 else ""
    return f"ip{six}={ip}" + (f",gw{six}={gateway}" if gateway else "")
