"""From a scenario to guests with their disks, network devices, snapshots and state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pvesim.cluster.rules import the_cluster
from pvesim.contract import FormatError, format_property_string, parse_property_string, split_list
from pvesim.guests.records import Behaviour, Guest, Kind, Snapshot
from pvesim.guests.sizes import DEFAULT_MEMORY, MIB
from pvesim.nodes.records import Interface
from pvesim.scenario.context import Context, known_names, stable_mac, stable_uuid
from pvesim.scenario.disks import DISK_KEYS, Disks, Owner
from pvesim.scenario.model import BehaviourModel, ContainerModel, SnapshotModel, VmModel
from pvesim.scenario.nodes import given
from pvesim.scenario.reading import Location
from pvesim.storage.records import Storage

_NET = re.compile(r"net(\d+)", re.ASCII)
DEFAULT_MAC_PREFIX = "BC:24:11"
_AGE = 60 * 86400.0  # a guest was made so long before the world begins
_CREATE: dict[Kind, tuple[str, dict[str, Any]]] = {
    "qemu": ("/nodes/{node}/qemu", {}),
    "lxc": ("/nodes/{node}/lxc", {"ostemplate": "local:vztmpl/any.tar.zst"}),
}
# What the create methods take and no configuration keeps.
_NOT_KEPT = frozenset(
    (
        *("archive", "bwlimit", "force", "ha-managed", "ignore-unpack-errors", "import-working-storage"),
        *("live-restore", "node", "ostemplate", "password", "pool", "restore", "ssh-public-keys", "start"),
        *("storage", "unique", "vmid"),
    )
)
_SECTIONS: dict[Kind, str] = {"qemu": "vms", "lxc": "containers"}


def build_guests(context: Context) -> None:
    """All guests that the scenario names one by one; templates first, because others are linked to their disks."""
    scenario = context.scenario
    for vmid in scenario.vms.keys() & scenario.containers.keys():
        context.problem(("containers", vmid), f"{vmid} is a VM already: an id is given once in a cluster")
    models: list[tuple[Kind, int, VmModel | ContainerModel]] = [
        *(("qemu", vmid, vm) for vmid, vm in scenario.vms.items()),
        *(("lxc", vmid, container) for vmid, container in scenario.containers.items()),
    ]
    for kind, vmid, model in sorted(models, key=lambda entry: not entry[2].config.get("template")):
        node = context.node(model.node, (_SECTIONS[kind], vmid, "node"))
        if node is not None:
            _Builder(context, kind, vmid, node, model).build()


class _Builder:
    """Builds one guest."""

    def __init__(self, context: Context, kind: Kind, vmid: int, node: str, model: VmModel | ContainerModel) -> None:
        self.context = context
        self.kind = kind
        self.vmid = vmid
        self.node = node
        self.model: VmModel | ContainerModel = model
        self.location: Location = (_SECTIONS[kind], vmid)
        self.fields = context.contract.method("POST", _CREATE[kind][0]).parameters
        self.behaviour = self._behaviour(model.behaviour)
        self.created = float(int(context.ago(max(_AGE, model.uptime, *(s.ago for s in model.snapshots), 0.0))))
        template = bool(model.config.get("template"))
        owner = Owner(vmid, kind, node, template, self.behaviour.disk_used, self.created)
        self.disks = Disks(context, owner, (*self.location, "config"))

    def build(self) -> None:
        """Put the guest and its volumes into the world."""
        model = self.model
        wanted = self._with_defaults(model.config)
        parent = wanted.pop("parent", None)
        config = self._config(wanted, (*self.location, "config"))
        if parent is not None:
            config["parent"] = self._present_parent(parent)
        if self.kind == "qemu":
            config = {**self._identity(config), **config}
        running = model.state != "stopped"
        if running and config.get("template"):
            self.context.problem((*self.location, "state"), "a template cannot run")
        guest = Guest(
            self.vmid,
            self.kind,
            self.node,
            config,
            pending=self._pending(),
            snapshots=self._snapshots(config),
            status="running" if running else "stopped",
            qmpstatus=model.state,
            started=self.context.ago(model.uptime) if running else 0.0,
            pid=self.context.next_pid(self.node) if running else None,
            behaviour=self._with_agent(config),
        )
        self.context.world.put(guest)

    def _present_parent(self, name: Any) -> str:
        """The snapshot that the guest goes on from, which PVE notes in its configuration."""
        if name not in [snapshot.name for snapshot in self.model.snapshots]:
            self.context.problem((*self.location, "config", "parent"), f"the guest has no snapshot '{name}'")
        return str(name)

    def _behaviour(self, model: BehaviourModel) -> Behaviour:
        values = given(model)
        if "addresses" in values:
            values["addresses"] = tuple(values["addresses"])
        return replace(Behaviour(), **values)

    def _with_agent(self, config: Mapping[str, Any]) -> Behaviour:
        """A guest whose configuration enables the agent has one inside, unless the scenario says otherwise."""
        if self.model.behaviour.agent is not None or str(config.get("agent", "0")).split(",")[0] not in (
            "1",
            "enabled=1",
        ):
            return self.behaviour
        return replace(self.behaviour, agent=True)

    def _with_defaults(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A container cannot be without a root filesystem, and a name tells more than a number."""
        if self.kind == "qemu":
            return dict(config)
        usable = (
            storage.storage
            for storage in self.context.world.rows(Storage).values()
            if "rootdir" in storage.content and storage.on(self.node)
        )
        defaults = {"arch": "amd64", "ostype": "debian", "unprivileged": 1, "rootfs": f"{next(usable, 'local-lvm')}:8"}
        return {**defaults, **config}

    # -- configuration -------------------------------------------------------------------------------------------------

    def _config(self, config: Mapping[str, Any], location: Location) -> dict[str, Any]:
        """A configuration as PVE stores it: verified, volumes made, MAC addresses filled in, tags sorted."""
        kept = {}
        for key, value in config.items():
            if key in _NOT_KEPT:
                self.context.problem((*location, key), f"'{key}' is no part of a configuration")
            else:
                kept[key] = value
        # PVE writes it itself and no method takes it; a configuration that was read off a cluster holds it.
        meta = {"meta": str(kept.pop("meta"))} if self.kind == "qemu" and "meta" in kept else {}
        if self.kind == "qemu" and "memory" in kept:
            kept["memory"] = str(kept["memory"])
        path, fixed = _CREATE[self.kind]
        values = self.context.verified("POST", path, location, kept, node=self.node, vmid=self.vmid, **fixed)
        return {**meta, **{key: self._stored(key, values[key], location) for key in self._disks_first(values)}}

    @staticmethod
    def _disks_first(values: Mapping[str, Any]) -> list[str]:
        """The keys, those that name a volume themselves first: new volumes take the numbers that are left."""
        return sorted(values, key=lambda key: "size=" not in str(values[key]))

    def _stored(self, key: str, value: Any, location: Location) -> Any:
        if key == "tags":
            return ";".join(sorted(set(split_list(str(value)))))
        if key == "description" and self.kind == "lxc":
            return f"{str(value).rstrip()}\n"
        schema = self.fields.get(key)
        disk = DISK_KEYS[self.kind].fullmatch(key) is not None
        net = _NET.fullmatch(key)
        if schema is None or schema.fields is None or not (disk or net):
            return value
        values = parse_property_string(schema, str(value))
        if net is not None:
            values = self._network_device(int(net[1]), values, (*location, key))
        else:
            values = self.disks.settle(key, values) or values
        try:
            return format_property_string(schema, values)
        except FormatError as error:
            self.context.problem((*location, key), str(error))
            return value

    def _network_device(self, number: int, values: dict[str, Any], location: Location) -> dict[str, Any]:
        bridge = values.get("bridge")
        known = self.context.world.rows(Interface)
        if bridge is not None and (self.node, bridge) not in known:
            bridges = [i.iface for i in known.values() if i.node == self.node and i.type in ("bridge", "OVSBridge")]
            self.context.problem(location, f"no bridge '{bridge}' on node '{self.node}': {known_names(bridges)}")
        name = "macaddr" if self.kind == "qemu" else "hwaddr"
        prefix = str(the_cluster(self.context.world).options.get("mac_prefix", DEFAULT_MAC_PREFIX))
        address = values.get(name) or stable_mac(self.context.world.seed, prefix, self.vmid, number)
        kind = {} if self.kind == "qemu" else {"type": "veth"}
        return {**values, name: str(address).upper(), **kind}

    def _identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What PVE writes into a new VM's configuration by itself."""
        seed = self.context.world.seed
        release = the_cluster(self.context.world).release
        return {
            "boot": boot_order(config),
            "meta": f"creation-qemu={release.qemu},ctime={int(self.created)}",
            "smbios1": f"uuid={stable_uuid(seed, 'smbios1', self.vmid)}",
            "vmgenid": stable_uuid(seed, "vmgenid", self.vmid),
        }

    def _pending(self) -> dict[str, Any]:
        location = (*self.location, "pending")
        wanted = {key: value for key, value in self.model.pending.items() if value is not None}
        deleted = {key: None for key, value in self.model.pending.items() if value is None}
        return {**self._config(wanted, location), **deleted} if wanted else deleted

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def _snapshots(self, config: Mapping[str, Any]) -> tuple[Snapshot, ...]:
        made: list[Snapshot] = []
        names = [model.name for model in self.model.snapshots]
        for position, model in enumerate(self.model.snapshots):
            location = (*self.location, "snapshots", position)
            if model.name in ("current", "pending") or model.name in names[:position]:
                self.context.problem((*location, "name"), f"'{model.name}' is reserved, or another snapshot's name")
            if model.parent is not None and model.parent not in names[:position]:
                self.context.problem((*location, "parent"), f"no snapshot '{model.parent}' stands before this one")
            parent = model.parent or (names[position - 1] if position else None)
            made.append(self._snapshot(model, parent, config, location))
        return tuple(made)

    def _snapshot(
        self, model: SnapshotModel, parent: str | None, config: Mapping[str, Any], location: Location
    ) -> Snapshot:
        if model.vmstate and self.kind == "lxc":
            self.context.problem((*location, "vmstate"), "a container's snapshot holds no memory")
        then = {key: value for key, value in config.items() if key != "lock"}
        changed = {key: value for key, value in model.config.items() if value is not None}
        for key, value in changed.items():
            if DISK_KEYS[self.kind].fullmatch(key) and str(value).split(",")[0] not in self.disks.used:
                self.context.problem((*location, "config", key), "a snapshot has disks that the guest has now")
                return Snapshot(model.name, self.context.ago(model.ago), then, parent, model.description)
        if changed:
            then.update(self._plain(changed, (*location, "config")))
        for key in model.config.keys() - changed.keys():
            then.pop(key, None)
        if model.vmstate and self.kind == "qemu":
            size = 2 * int(str(then.get("memory", DEFAULT_MEMORY)).split(",")[0]) * MIB + 500 * MIB
            then["vmstate"] = self.disks.memory_state(model.name, size, (*location, "vmstate"))
        time = float(int(self.context.ago(model.ago)))
        return Snapshot(model.name, time, then, parent, model.description, model.vmstate)

    def _plain(self, config: Mapping[str, Any], location: Location) -> dict[str, Any]:
        """Options of another time: verified, and no volume is made."""
        path, fixed = _CREATE[self.kind]
        return self.context.verified("POST", path, location, config, node=self.node, vmid=self.vmid, **fixed)


def boot_order(config: Mapping[str, Any]) -> str:
    """The boot order that PVE gives a new VM: its first disk, its first CD drive, its first network device."""
    chosen: dict[str, str] = {}
    for bus in ("ide", "scsi", "virtio", "sata", "net"):
        keys = sorted((key for key in config if re.fullmatch(rf"{bus}\d+", key)), key=lambda key: int(key[len(bus) :]))
        for key in keys:
            sort = "net" if bus == "net" else "cdrom" if "media=cdrom" in str(config[key]) else "disk"
            chosen.setdefault(sort, key)
    order = ";".join(chosen[sort] for sort in ("disk", "cdrom", "net") if sort in chosen)
    return f"order={order}" if order else " "
