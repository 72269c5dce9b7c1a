"""What is asked of everything beside guests, and what happens to the cluster with nobody asking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from pvesim.core.tasks import Task
from pvesim.nodes.records import Node
from pvesim.storage.records import Volume
from tests.pvesim.properties.life import Life, any_index, flags, given, nodes, picked, storages, whom
from tests.pvesim.properties.worlds import USERS

LEVELS = st.sampled_from(("/cluster", "/nodes/pve1", "guest"))
VERBS = st.sampled_from(("POST", "PUT", "DELETE"))
POOLS = st.sampled_from(("lab", "lab", "prod", "lab/inner"))
STORAGE_CHANGES = given({"disable": (0, 1), "content": ("images,rootdir", "iso,backup"), "nodes": ("pve1",)})
RULE = given({"enable": (0, 1), "pos": (0, 3), "source": ("10.0.0.1", "+set")})


class StorageRules(Life):
    @rule(storage=storages, node=nodes, vmid=whom, number=st.integers(0, 2), format=st.sampled_from(("raw", "qcow2")))
    def allocate(self, storage: str, node: str, vmid: int, number: int, format: str) -> None:
        vmid = self.who(vmid)
        suffix = f".{format}" if storage in ("local", "share") else ""
        name = f"vm-{vmid}-disk-{number}{suffix}"
        path = f"/nodes/{node}/storage/{storage}/content"
        self.ask("POST", path, vmid=vmid, filename=name, size="1G", format=format if suffix else "raw")

    @precondition(lambda self: not self.quiet)
    @rule(index=st.integers(0, 200), delay=st.sampled_from((None, 1)))
    def remove_volume(self, index: int, delay: int | None) -> None:
        volume = picked(self.world.rows(Volume), index)
        if volume is None:
            return
        node = volume.place or "pve1"
        answer = self.ask("DELETE", f"/nodes/{node}/storage/{volume.storage}/content/{volume.volid}", delay=delay)
        if answer or delay:
            self.torn.add(volume.volid)

    @rule(index=st.integers(0, 200), change=given({"notes": ("seen", ""), "protected": (0, 1)}))
    def annotate(self, index: int, change: dict[str, Any]) -> None:
        volume = picked(self.world.rows(Volume), index)
        if volume is not None:
            node = volume.place or "pve1"
            self.ask("PUT", f"/nodes/{node}/storage/{volume.storage}/content/{volume.volid}", change)

    @rule(node=nodes, keep=st.sampled_from(("keep-last=1", "keep-all=1", "keep-daily=1,keep-weekly=1")))
    def prune(self, node: str, keep: str) -> None:
        self.ask("DELETE", f"/nodes/{node}/storage/local/prunebackups", {"prune-backups": keep})

    @rule(index=any_index, vmid=whom, how=given({"storage": ("thin", "share"), "force": (1,), "unique": (1,)}))
    def restore_backup(self, index: int, vmid: int, how: dict[str, Any]) -> None:
        vmid = self.who(vmid)
        backups = {key: row for key, row in self.world.rows(Volume).items() if row.content == "backup"}
        volume = picked(backups, index)
        if volume is None:
            return
        node = volume.place or "pve1"
        if volume.subtype == "qemu":
            self.ask("POST", f"/nodes/{node}/qemu", how, vmid=vmid, archive=volume.volid)
        else:
            self.ask("POST", f"/nodes/{node}/lxc", how, vmid=vmid, ostemplate=volume.volid, restore=1)

    @precondition(lambda self: not self.quiet)
    @rule(
        storage=storages,
        change=STORAGE_CHANGES,
    )
    def redefine_storage(self, storage: str, change: dict[str, Any]) -> None:
        self.ask("PUT", f"/storage/{storage}", change)

    @precondition(lambda self: not self.quiet)
    @rule(storage=storages, again=flags)
    def drop_storage(self, storage: str, again: bool) -> None:
        self.ask("DELETE", f"/storage/{storage}")
        if again:
            kinds = {"share": {"server": "10.0.0.9", "export": "/x"}, "local": {"path": "/var/lib/vz"}}
            types = {"share": "nfs", "local": "dir"}
            if storage in types:
                self.ask("POST", "/storage", kinds[storage], storage=storage, type=types[storage], content="images")


class AccessRules(Life):
    @rule(user=st.sampled_from(USERS))
    def speak_as(self, user: str) -> None:
        self.user = user

    @rule(userid=st.sampled_from(("a@pve", "b@pve", "op@pve")), groups=st.sampled_from(("", "", "staff", "none")))
    def make_user(self, userid: str, groups: str) -> None:
        self.ask("POST", "/access/users", userid=userid, groups=groups or None)

    @rule(userid=st.sampled_from(("a@pve", "b@pve", "op@pve")), verb=st.sampled_from(("PUT", "DELETE")))
    def change_user(self, userid: str, verb: str) -> None:
        self.ask(verb, f"/access/users/{userid}", {"enable": 1, "email": "a@b.cd"} if verb == "PUT" else {})

    @rule(userid=st.sampled_from(("a@pve", "op@pve")), verb=VERBS)
    def change_token(self, userid: str, verb: str) -> None:
        self.ask(verb, f"/access/users/{userid}/token/t1", {} if verb == "DELETE" else {"comment": "x"})

    @rule(verb=VERBS, name=st.sampled_from(("staff", "crew")), role=flags)
    def change_group_or_role(self, verb: str, name: str, role: bool) -> None:
        kind, params = ("roles", {"privs": "VM.Audit,VM.PowerMgmt"}) if role else ("groups", {"comment": "x"})
        id = {("roles" if role else "groups")[:-1] + "id": name} if verb == "POST" else {}
        path = f"/access/{kind}" if verb == "POST" else f"/access/{kind}/{name}"
        self.ask(verb, path, {**id, **(params if verb != "DELETE" else {})})

    @rule(
        path=st.sampled_from(("/", "/vms/100", "/pool/lab", "/storage/thin")),
        who=st.sampled_from(({"users": "a@pve"}, {"groups": "staff"}, {"tokens": "op@pve!ci"})),
        roles=st.sampled_from(("PVEVMUser", "Administrator", "staff", "NoAccess")),
        delete=flags,
    )
    def change_acl(self, path: str, who: dict[str, str], roles: str, delete: bool) -> None:
        self.ask("PUT", "/access/acl", who, path=path, roles=roles, delete=int(delete))

    @rule(poolid=POOLS, verb=st.sampled_from(("POST", "DELETE")))
    def change_pools(self, poolid: str, verb: str) -> None:
        self.ask(verb, "/pools", poolid=poolid)

    @rule(
        poolid=POOLS,
        vmid=whom,
        how=given({"delete": (1,), "allow-move": (1,)}),
    )
    def change_members(self, poolid: str, vmid: int, how: dict[str, Any]) -> None:
        vmid = self.who(vmid)
        self.ask("PUT", "/pools", how, poolid=poolid, vms=str(vmid))


class FirewallRules(Life):
    def _firewall(self, level: str, vmid: int) -> str:
        return f"{self.path(vmid) if level == 'guest' else level}/firewall"

    @rule(level=LEVELS, vmid=whom, params=RULE)
    def add_rule(self, level: str, vmid: int, params: dict[str, Any]) -> None:
        vmid = self.who(vmid)
        self.ask("POST", f"{self._firewall(level, vmid)}/rules", params, action="ACCEPT", type="in")

    @rule(level=LEVELS, vmid=whom, pos=st.integers(0, 1), moveto=st.sampled_from((None, 0, 2)), params=RULE)
    def change_rule(self, level: str, vmid: int, pos: int, moveto: int | None, params: dict[str, Any]) -> None:
        vmid = self.who(vmid)
        changes = {name: value for name, value in params.items() if name != "pos"}
        self.ask("PUT", f"{self._firewall(level, vmid)}/rules/{pos}", changes, moveto=moveto)

    @rule(level=LEVELS, vmid=whom, pos=st.integers(0, 1))
    def remove_rule(self, level: str, vmid: int, pos: int) -> None:
        vmid = self.who(vmid)
        self.ask("DELETE", f"{self._firewall(level, vmid)}/rules/{pos}")

    @rule(level=st.sampled_from(("/cluster", "guest")), vmid=whom, add=flags, entry=flags)
    def change_set(self, level: str, vmid: int, add: bool, entry: bool) -> None:
        vmid = self.who(vmid)
        sets = f"{self._firewall(level, vmid)}/ipset"
        place, name, value = (f"{sets}/set", "cidr", "10.0.0.2") if entry else (sets, "name", "set")
        if add:
            self.ask("POST", place, {name: value})
        else:
            self.ask("DELETE", f"{place}/{value}")


class ClusterRules(Life):
    @rule(
        vmid=whom,
        verb=VERBS,
        change=given({"state": ("started", "stopped", "ignored")}),
    )
    def manage(self, vmid: int, verb: str, change: dict[str, Any]) -> None:
        vmid = self.who(vmid)
        sid = f"{'vm' if vmid < 200 else 'ct'}:{vmid}"
        path = "/cluster/ha/resources" + ("" if verb == "POST" else f"/{sid}")
        self.ask(verb, path, {} if verb == "DELETE" else change, sid=sid if verb == "POST" else None)

    @rule(vmid=whom, node=nodes, action=st.sampled_from(("migrate", "relocate")))
    def move_managed(self, vmid: int, node: str, action: str) -> None:
        vmid = self.who(vmid)
        self.ask("POST", f"/cluster/ha/resources/{'vm' if vmid < 200 else 'ct'}:{vmid}/{action}", node=node)

    @precondition(lambda self: not self.quiet)
    @rule(node=nodes, online=flags)
    def lose_or_find_node(self, node: str, online: bool) -> None:
        record = self.world.get(Node, node)
        others = [each for each in self.world.rows(Node).values() if each.online and each.name != node]
        if record is not None and (online or others):
            self.world.put(replace(record, online=online))
            self.lost.add(node)

    @rule(index=any_index)
    def abort(self, index: int) -> None:
        running = {upid: task for upid, task in self.world.rows(Task).items() if task.running}
        task = picked(running, index)
        if task is not None:
            self.ask("DELETE", f"/nodes/{task.node}/tasks/{task.upid}")

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 3.0, 11.0, 700.0)))
    def pass_time(self, seconds: float) -> None:
        self.sim.clock.advance(seconds)

    @rule(index=any_index)
    def follow(self, index: int) -> None:
        task = picked(self.world.rows(Task), index)
        if task is not None:
            self.ask("GET", f"/nodes/{task.node}/tasks/{task.upid}/status")
