"""What is asked of guests: the whole life of machines and containers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.pvesim.properties.life import (
    Life,
    any_index,
    flags,
    given,
    nodes,
    snapshots,
    storages,
    whom,
)
from tests.pvesim.properties.worlds import ISO, STORAGES, TEMPLATE

ACTIONS = ("start", "stop", "shutdown", "reboot", "suspend", "resume", "reset")
DRIVES = ("scsi0", "scsi1", "virtio0", "ide2", "unused0", "unused1", "efidisk0")
MOUNTS = ("rootfs", "mp0", "mp1", "unused0")
MODES = st.sampled_from(("snapshot", "stop", "suspend"))
NEW_DISKS = (*(f"{storage}:1" for storage in STORAGES), "share:1,format=qcow2", "thin:30")
MACHINE_OPTIONS = given(
    {
        "name": ("web", "db"),
        "memory": ("256", "512"),
        "cores": (1, 2),
        "scsi1": NEW_DISKS,
        "virtio0": NEW_DISKS,
        "ide2": (f"{ISO},media=cdrom", "none,media=cdrom", "thin:cloudinit", "local:cloudinit"),
        "efidisk0": ("thin:1", "local:1"),
        "net0": ("virtio,bridge=vmbr0", "e1000,bridge=vmbr0,firewall=1"),
        "agent": ("1", "0"),
        "tags": ("b;a",),
        "ciuser": ("me",),
        "description": ("one\ntwo",),
        "boot": ("order=scsi0", "order=ide2;net0"),
    }
)
CONTAINER_OPTIONS = given(
    {
        "hostname": ("dns", "git"),
        "memory": (128, 256),
        "mp0": tuple(f"{disk},mp=/srv" for disk in NEW_DISKS),
        "mp1": ("/mnt/host,mp=/host", "thin:1,mp=/var/x,backup=1"),
        "net0": ("name=eth0,bridge=vmbr0,ip=dhcp",),
        "tags": ("b;a",),
        "onboot": (1,),
    }
)
_MOVES = {True: ("/move_disk", "disk", DRIVES), False: ("/move_volume", "volume", MOUNTS)}
CHOICES: dict[str, tuple[Any, ...]] = {"start": (1,), "pool": ("lab", "none")}


class GuestRules(Life):
    @rule(vmid=whom, node=nodes, disk=st.sampled_from(NEW_DISKS), options=MACHINE_OPTIONS, how=given(CHOICES))
    def create_machine(self, vmid: int, node: str, disk: str, options: dict[str, Any], how: dict[str, Any]) -> None:
        vmid = self.new_id(vmid, "qemu")
        self.ask("POST", f"/nodes/{node}/qemu", {"vmid": vmid, "scsi0": disk, **options, **how})

    @rule(vmid=whom, node=nodes, disk=st.sampled_from(NEW_DISKS), options=CONTAINER_OPTIONS, how=given(CHOICES))
    def create_container(self, vmid: int, node: str, disk: str, options: dict[str, Any], how: dict[str, Any]) -> None:
        vmid = self.new_id(vmid, "lxc")
        given = {"vmid": vmid, "ostemplate": TEMPLATE, "rootfs": disk, **options, **how}
        self.ask("POST", f"/nodes/{node}/lxc", given)

    @rule(vmid=whom, options=MACHINE_OPTIONS, wait=flags)
    def configure_machine(self, vmid: int, options: dict[str, Any], wait: bool) -> None:
        vmid = self.who(vmid, "qemu")
        self.ask("PUT" if wait else "POST", self.path(vmid, "/config"), options)

    @rule(vmid=whom, options=CONTAINER_OPTIONS)
    def configure_container(self, vmid: int, options: dict[str, Any]) -> None:
        vmid = self.who(vmid, "lxc")
        self.ask("PUT", self.path(vmid, "/config"), options)

    @rule(vmid=whom, places=st.sets(any_index, min_size=1, max_size=3))
    def remove_options(self, vmid: int, places: set[int]) -> None:
        vmid = self.who(vmid)
        wanted = (*(DRIVES if vmid < 200 else MOUNTS), "net0", "tags", "memory", "description")
        keys = {self.option_of(vmid, place, wanted) for place in sorted(places)}
        self.ask("PUT", self.path(vmid, "/config"), delete=",".join(sorted(keys)))

    @rule(vmid=whom, keys=st.sets(st.sampled_from(("scsi1", "memory", "mp0", "net0")), min_size=1))
    def revert(self, vmid: int, keys: set[str]) -> None:
        vmid = self.who(vmid)
        self.ask("PUT", self.path(vmid, "/config"), revert=",".join(sorted(keys)))

    @rule(vmid=whom, place=any_index, force=flags)
    def unlink(self, vmid: int, place: int, force: bool) -> None:
        vmid = self.who(vmid, "qemu")
        key = self.option_of(vmid, place, DRIVES)
        self.ask("PUT", self.path(vmid, "/unlink"), idlist=key, force=int(force))

    @rule(vmid=whom, action=st.sampled_from(ACTIONS), special=flags)
    def power(self, vmid: int, action: str, special: bool) -> None:
        vmid = self.who(vmid)
        params: dict[str, Any] = {}
        if special and action == "suspend" and vmid < 200:
            params = {"todisk": 1}
        if special and action == "shutdown":
            params = {"forceStop": 1, "timeout": 2}
        self.ask("POST", self.path(vmid, f"/status/{action}"), params)

    @rule(vmid=whom, how=given({"purge": (1,), "force": (1,), "destroy-unreferenced-disks": (0, 1)}))
    def destroy(self, vmid: int, how: dict[str, Any]) -> None:
        vmid = self.who(vmid)
        self.ask("DELETE", self.path(vmid), {key: how[key] for key in how if key != "force" or vmid >= 200})

    @rule(vmid=whom, place=any_index, size=st.sampled_from(("+1G", "3G", "512M", "+900G")))
    def resize(self, vmid: int, place: int, size: str) -> None:
        vmid = self.who(vmid)
        key = self.option_of(vmid, place, DRIVES if vmid < 200 else MOUNTS)
        self.ask("PUT", self.path(vmid, "/resize"), disk=key, size=size)

    @rule(vmid=whom, place=any_index, storage=storages, delete=flags)
    def move(self, vmid: int, place: int, storage: str, delete: bool) -> None:
        vmid = self.who(vmid)
        call, name, keys = _MOVES[vmid < 200]
        key = self.option_of(vmid, place, keys)
        self.ask("POST", self.path(vmid, call), {name: key}, storage=storage, delete=int(delete))

    @rule(vmid=whom, to=whom, place=any_index, index=any_index)
    def give_disk(self, vmid: int, to: int, place: int, index: int) -> None:
        vmid = self.who(vmid)
        to = self.who(to, "qemu" if vmid < 200 else "lxc")
        call, name, keys = _MOVES[vmid < 200]
        goal = {"target-vmid": to, name: self.option_of(vmid, place, keys), f"target-{name}": keys[index % len(keys)]}
        self.ask("POST", self.path(vmid, call), goal)

    @rule(vmid=whom, disk=st.sampled_from((None, None, "scsi0")))
    def make_template(self, vmid: int, disk: str | None) -> None:
        vmid = self.who(vmid)
        self.ask("POST", self.path(vmid, "/template"), disk=disk if vmid < 200 else None)

    @rule(
        vmid=whom,
        newid=whom,
        how=given({"full": (0, 1), "storage": STORAGES, "snapname": ("s1",), "pool": ("lab",)}),
        goal=st.sampled_from((None, None, "pve1", "pve2")),
    )
    def clone(self, vmid: int, newid: int, how: dict[str, Any], goal: str | None) -> None:
        vmid = self.who(vmid)
        newid = self.new_id(newid, "qemu" if vmid < 200 else "lxc")
        self.ask("POST", self.path(vmid, "/clone"), how, newid=newid, target=goal)

    @rule(vmid=whom, name=snapshots, memory=flags)
    def take_snapshot(self, vmid: int, name: str, memory: bool) -> None:
        vmid = self.who(vmid)
        vmstate = int(memory) if vmid < 200 else None
        self.ask("POST", self.path(vmid, "/snapshot"), snapname=name, vmstate=vmstate, description="then")

    @rule(vmid=whom, name=snapshots, start=flags)
    def roll_back(self, vmid: int, name: str, start: bool) -> None:
        vmid = self.who(vmid)
        self.ask("POST", self.path(vmid, f"/snapshot/{name}/rollback"), start=int(start))

    @rule(vmid=whom, name=snapshots)
    def delete_snapshot(self, vmid: int, name: str) -> None:
        vmid = self.who(vmid)
        self.ask("DELETE", self.path(vmid, f"/snapshot/{name}"))

    @rule(vmid=whom, name=snapshots)
    def describe_snapshot(self, vmid: int, name: str) -> None:
        vmid = self.who(vmid)
        self.ask("PUT", self.path(vmid, f"/snapshot/{name}/config"), description="before")

    @rule(vmid=whom, goal=nodes, how=given({"online": (1,), "with-local-disks": (1,), "restart": (1,)}))
    def migrate(self, vmid: int, goal: str, how: dict[str, Any]) -> None:
        vmid = self.who(vmid)
        wanted = ("online", "with-local-disks") if vmid < 200 else ("restart",)
        params = {name: value for name, value in how.items() if name in wanted}
        self.ask("POST", self.path(vmid, "/migrate"), params, target=goal)

    @rule(vmid=whom, storage=st.sampled_from(("local", "share")), mode=st.sampled_from(("snapshot", "stop", "suspend")))
    def back_up(self, vmid: int, storage: str, mode: str) -> None:
        vmid = self.who(vmid)
        node = self.path(vmid).split("/")[2]
        self.ask("POST", f"/nodes/{node}/vzdump", vmid=str(vmid), storage=storage, mode=mode)
