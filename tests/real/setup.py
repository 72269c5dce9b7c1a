"""Brings a node to the state of a scenario, through its API alone."""

import io
from collections.abc import Mapping
from typing import Any

from pvesim.scenario.model import ContainerModel, GuestModel, StorageModel, VmModel
from tests.real.names import PREFIX, Names
from tests.real.node import RealNode, SetupFailed
from tests.real.plan import FOLDER, Plan

_NOT_GIVEN = frozenset(("path", "nodes", "vgname", "thinpool", "pool", "blocksize", "sparse", "is_mountpoint"))
_TOLD_WITHIN = 60.0  # what the cluster is told of guests and storages, every ten seconds, has arrived by then
_KEPT_WITHIN = 180.0  # the manager of high availability has begun its work by then
_LAST = frozenset(("lock", "protection", "template"))


class Setup:
    """One scenario on one node. `tokens` are the secrets of the tokens that it made, by full id."""

    def __init__(self, node: RealNode, plan: Plan, names: Names, pool: str) -> None:
        self.node, self.plan, self.names, self.pool = node, plan, names, pool
        self.found, self.scenario = plan.found, plan.scenario
        self.tokens: dict[str, str] = {}

    def run(self) -> None:
        """Make everything that the scenario has.

        Raises:
            SetupFailed, ResourceException: the node refuses something.
        """
        for name, storage in self.plan.storages.items():
            self._make_storage(name, storage)
        self._make_access()
        self._make_guests()
        for name, storage in self.plan.storages.items():
            self._make_backups(name, storage)
        self._make_pools()
        self._make_acl()
        self._make_firewall()
        self._make_ha()
        self._wait_until_told()

    def _wait_until_told(self) -> None:
        """A node tells the cluster of its guests and storages every ten seconds; the cluster's lists lag that much."""
        if self.node.until(self._is_told, _TOLD_WITHIN) is None:
            raise SetupFailed(f"the cluster's list of guests and storages is not right after {_TOLD_WITHIN:g} s")

    def _is_told(self) -> bool:
        path = f"nodes/{self.found.node}"
        told = {entry["id"]: entry for entry in self.node.get("cluster/resources")}
        own = set(self.names.ids.values())
        guests = {
            f"{kind}/{guest['vmid']}": guest
            for kind in ("qemu", "lxc")
            for guest in self.node.get(f"{path}/{kind}")
            if int(guest["vmid"]) in own
        }
        mine = {f"storage/{self.found.node}/{storage}" for storage in self.names.storages.values()}
        models = {**self.plan.vms, **self.plan.containers}
        moulds = {self.names.ids[vmid] for vmid, model in models.items() if model.config.get("template")}
        return all(
            _is_right(told.get(id, {}), guest, int(guest["vmid"]) in moulds) for id, guest in guests.items()
        ) and all(entry.get("status") == "available" for id, entry in told.items() if id in mine)

    # -- storages ------------------------------------------------------------------------------------------------------

    def _make_storage(self, name: str, storage: StorageModel) -> None:
        options = {key: _listed(value) for key, value in storage.config.items() if key not in _NOT_GIVEN}
        options["content"] = self.plan.content_of(name)
        there = self.names.storages[name]
        if not self.plan.is_folder(name) and self.found.thin_pool is not None:
            group, pool = self.found.thin_pool
            where = {"type": "lvmthin", "vgname": group, "thinpool": pool}
        else:
            where = {"type": "dir", "path": f"{FOLDER}/{name}"}
        self.node.post("storage", storage=there, nodes=self.found.node, **where, **options)
        for volume in storage.volumes:
            content, _, filename = volume.name.partition("/")
            if content == "iso":
                self._upload(there, content, filename, int(volume.size))

    def _upload(self, storage: str, content: str, filename: str, size: int) -> None:
        file = io.BytesIO(bytes(size))
        file.name = filename
        self.node.run("post", f"nodes/{self.found.node}/storage/{storage}/upload", content=content, filename=file)

    def _make_backups(self, name: str, storage: StorageModel) -> None:
        here = {*self.plan.vms, *self.plan.containers}
        if self.found.vm_backups_fail is not None:
            here -= self.plan.vms.keys()
        backups = [backup for backup in storage.backups if backup.guest in here]
        for backup in sorted(backups, key=lambda backup: -backup.ago):
            options: dict[str, Any] = {"vmid": self.names.ids[backup.guest], "storage": self.names.storages[name]}
            if backup.notes:
                options["notes-template"] = backup.notes
            if backup.protected:
                options["protected"] = 1
            self.node.run("post", f"nodes/{self.found.node}/vzdump", compress="zstd", remove=0, **options)

    # -- guests --------------------------------------------------------------------------------------------------------

    def _make_guests(self) -> None:
        """All are created, then all are brought on, so that their tasks run side by side."""
        guests: dict[str, tuple[int, VmModel | ContainerModel]] = {}
        for kind, models in (("qemu", self.plan.vms), ("lxc", self.plan.containers)):
            path = f"nodes/{self.found.node}/{kind}"
            guests |= {f"{path}/{self.names.ids[vmid]}": (vmid, model) for vmid, model in models.items()}
        self.node.together(
            ("post", path.rpartition("/")[0], self._first(vmid, model)) for path, (vmid, model) in guests.items()
        )
        for path, (_, model) in guests.items():
            self._make_snapshots(path, model)
        models_by_path = {path: model for path, (_, model) in guests.items()}
        templates = [path for path, model in models_by_path.items() if model.config.get("template")]
        self.node.together(("post", f"{path}/template", {}) for path in templates)
        running = [path for path, model in models_by_path.items() if model.state != "stopped"]
        self.node.together(("post", f"{path}/status/start", {}) for path in running)
        paused = [path for path, model in models_by_path.items() if model.state == "paused"]
        self.node.together(("post", f"{path}/status/suspend", {}) for path in paused)
        for path, (vmid, model) in guests.items():
            if later := self._later(vmid, model):
                self.node.put(f"{path}/config", **later)

    def _first(self, vmid: int, model: VmModel | ContainerModel) -> dict[str, Any]:
        """What a guest is created with."""
        given = {key: value for key, value in model.config.items() if key not in _LAST}
        own: dict[str, Any] = {"vmid": self.names.ids[vmid], "pool": self.pool}
        if isinstance(model, ContainerModel):
            storage = self.names.storages[self.plan.storage_of(model)]
            own |= {"rootfs": f"{storage}:1", "ostemplate": self.found.template}
        elif not self.found.kvm:
            own["kvm"] = 0
        return own | self._config(_kind(model), given)

    def _later(self, vmid: int, model: VmModel | ContainerModel) -> dict[str, Any]:
        """What is changed once it runs: what waits for its next start, and what would hinder everything before."""
        last = _LAST - {"template"} - ({"lock"} if vmid in self.plan.not_locked else set())
        given: dict[str, Any] = {key: value for key, value in model.pending.items() if value is not None}
        given |= {key: model.config[key] for key in sorted(last) if key in model.config}
        return self._config(_kind(model), given)

    def _config(self, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration as the create method takes it there."""
        options = {key: _listed(value, ";" if key == "tags" else ",") for key, value in config.items()}
        return {key: self._on_storage(kind, value) for key, value in self.names.params(options).items()}

    def _on_storage(self, kind: str, value: Any) -> Any:
        """A new disk in a directory is of the format that holds snapshots; on a thin pool there is one format."""
        names = self.names.storages.values()
        storage, _, size = str(value).partition(":")
        new = storage in names and size.partition(",")[0].isdecimal()
        return f"{value},format=qcow2" if new and kind == "qemu" and self._is_folder(storage) else value

    def _is_folder(self, there: str) -> bool:
        return self.plan.is_folder(next(here for here, name in self.names.storages.items() if name == there))

    def _make_snapshots(self, path: str, model: GuestModel) -> None:
        for snapshot in model.snapshots:
            options = {"description": snapshot.description} if snapshot.description else {}
            self.node.run("post", f"{path}/snapshot", snapname=snapshot.name, **options)

    # -- access, pools, firewall, high availability ------------------------------------------------------------------

    def _make_access(self) -> None:
        for groupid, group in self.scenario.groups.items():
            self.node.post("access/groups", groupid=self.names.groups[groupid], comment=group.comment)
        for userid, user in self.scenario.users.items():
            there = self.names.users[userid]
            given = {"password": user.password, "comment": user.comment, "email": user.email}
            given["groups"] = ",".join(self.names.groups[group] for group in user.groups)
            self.node.post("access/users", userid=there, **{key: value for key, value in given.items() if value})
            for tokenid, token in user.tokens.items():
                answer = self.node.post(f"access/users/{there}/token/{tokenid}", privsep=int(token.privsep))
                self.tokens[f"{userid}!{tokenid}"] = answer["value"]

    def _make_acl(self) -> None:
        for entry in self.scenario.acl:
            kind, subject = entry.subject
            path = self.names.path(entry.path)
            there = self.names.groups[subject] if kind == "group" else self.names.text(subject)
            given = {f"{kind}s": there, "propagate": int(entry.propagate)}
            self.node.put("access/acl", path=path, roles=entry.role, **given)

    def _make_pools(self) -> None:
        for name, pool in self.scenario.pools.items():
            there = self.names.pools[name]
            self.node.post("pools", poolid=there, comment=pool.comment)
            members: dict[str, str] = {}
            here = [vmid for vmid in pool.guests if vmid in self.plan.vms or vmid in self.plan.containers]
            if here:
                members["vms"] = ",".join(str(self.names.ids[vmid]) for vmid in here)
            if pool.storages:
                members["storage"] = ",".join(self.names.storages[storage] for storage in pool.storages)
            if members:
                self.node.put("pools", poolid=there, **{"allow-move": 1}, **members)

    def _make_firewall(self) -> None:
        """The node's part first: what it says there decides whether the cluster's policy reaches the node itself."""
        firewall = self.scenario.firewall
        for name, group in firewall.groups.items():
            self.node.post("cluster/firewall/groups", group=name, comment=f"{PREFIX}group")
            self._rules(f"cluster/firewall/groups/{name}", group.rules)
        for part in firewall.nodes.values():
            self._part(f"nodes/{self.found.node}/firewall", part)
        here = {*self.plan.vms, *self.plan.containers}
        for vmid, part in ((vmid, part) for vmid, part in firewall.guests.items() if vmid in here):
            kind = "qemu" if vmid in self.plan.vms else "lxc"
            self._part(f"nodes/{self.found.node}/{kind}/{self.names.ids[vmid]}/firewall", part)
        self._part("cluster/firewall", firewall.cluster)

    def _part(self, path: str, part: Any) -> None:
        self._rules(f"{path}/rules", part.rules)
        if part.options:
            self.node.put(f"{path}/options", **part.options)

    def _rules(self, path: str, rules: list[dict[str, Any]]) -> None:
        # Each new rule is put before the others.
        for rule in reversed(rules):
            self.node.post(path, **rule)

    def _make_ha(self) -> None:
        """Only on a node that nobody uses afterwards: a guest that is kept makes the manager arm its watchdog."""
        if not self.found.throwaway:
            return
        for sid, options in self.scenario.ha.resources.items():
            self.node.post("cluster/ha/resources", sid=self.names.text(sid), **options)
        wanted = {
            self.names.text(sid): options.get("state", "started") for sid, options in self.scenario.ha.resources.items()
        }
        if self.node.until(lambda: wanted.items() <= self._kept().items(), _KEPT_WITHIN) is None:
            raise SetupFailed(f"guests under high availability are not as they should be: {self._kept()}")

    def _kept(self) -> dict[str, str]:
        entries = self.node.get("cluster/ha/status/current")
        return {entry["sid"]: entry["state"] for entry in entries if entry["type"] == "service"}


def _kind(model: VmModel | ContainerModel) -> str:
    return "lxc" if isinstance(model, ContainerModel) else "qemu"


def _is_right(told: Mapping[str, Any], guest: Mapping[str, Any], is_template: bool) -> bool:
    """Whether the cluster knows a guest as its node does. Whether a VM is paused, only the cluster's list says."""
    running = told.get("status") not in ("unknown", "stopped", None)
    return (
        told.get("name") == guest.get("name")
        and bool(told.get("template")) == is_template
        and told.get("status") not in ("unknown", None)
        and running == (guest["status"] == "running")
    )


def _listed(value: Any, separator: str = ",") -> str:
    return separator.join(map(str, value)) if isinstance(value, list) else str(value)
