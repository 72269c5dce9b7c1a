"""Requests that no well-meaning client sends, made from the contract: every parameter of every modelled write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from zlib import crc32

from pvesim.contract import Contract, Method, Schema
from pvesim.contract.patterns import matches
from pvesim.engine import Simulator
from pvesim.routing import modelled
from tests.pvesim.properties.worlds import ISO, TEMPLATE, cluster

# What a name stands for, so that a request would succeed but for the one parameter that is spoilt.
PLAUSIBLE: Mapping[str, Any] = {
    "action": "ACCEPT",
    "cidr": "10.0.0.2",
    "command": "info",
    "content": "iso",
    "disk": "scsi0",
    "domain": "example.org",
    "filename": "other.iso",
    "group": "crew",
    "groupid": "staff",
    "id": "thing",
    "iface": "vmbr7",
    "key": "ctrl-alt-delete",
    "name": "web",
    "newid": 105,
    "node": "pve1",
    "ostemplate": TEMPLATE,
    "password": "a-password",
    "path": "/vms/100",
    "poolid": "lab",
    "pos": 0,
    "prune-backups": "keep-last=1",
    "realm": "office",
    "roleid": "looker",
    "roles": "PVEVMUser",
    "rule": "together",
    "service": "pvedaemon",
    "sid": "vm:101",
    "size": "1G",
    "snapname": "s1",
    "storage": "local",
    "subnet": "zone1-10.9.0.0-24",
    "target": "pve2",
    "template": "debian-12-standard_12.7-1_amd64.tar.zst",
    "timezone": "UTC",
    "tokenid": "ci",
    "url": "https://example.org/other.iso",
    "userid": "op@pve",
    "username": "root@pam",
    "vnet": "vnet1",
    "volume": ISO,
    "zone": "zone1",
}
# The same where something new is made.
FRESH: Mapping[str, Any] = {
    "cidr": "10.0.0.77",
    "group": "crowd",
    "groupid": "others",
    "id": "fresh",
    "name": "fresh",
    "poolid": "fresh",
    "realm": "other",
    "roleid": "listener",
    "sid": "vm:100",
    "storage": "fresh",
    "subnet": "10.8.0.0/24",
    "tokenid": "fresh",
    "userid": "fresh@pve",
    "vnet": "vnet2",
    "zone": "zone2",
}
_STOPPED = {"node": "pve2", "vmid": 102}
_STOPPED_CONTAINER = {"node": "pve2", "vmid": 201}
# What a method needs beside, or other than, what its parameters' names say.
SPECIAL: Mapping[str, Mapping[str, Any]] = {
    "DELETE /cluster/firewall/ipset/{name}": {"name": "empty"},
    "DELETE /nodes/{node}/lxc/{vmid}": _STOPPED_CONTAINER,
    "DELETE /nodes/{node}/qemu/{vmid}": _STOPPED,
    "DELETE /nodes/{node}/storage/{storage}/prunebackups": {"prune-backups": "keep-last=1"},
    "POST /access/domains": {"type": "ldap", "server1": "ldap", "base_dn": "dc=x", "user_attr": "uid"},
    "POST /access/ticket": {"password": "pvesim-root"},
    "POST /cluster/backup": {"schedule": "daily", "vmid": "100"},
    "POST /cluster/mapping/dir": {"map": ["node=pve1,path=/srv"]},
    "POST /cluster/notifications/endpoints/sendmail": {"mailto": "a@example.org"},
    "POST /cluster/notifications/endpoints/smtp": {"mailto": "a@example.org"},
    "POST /cluster/replication": {"id": "101-0", "type": "local", "target": "pve2"},
    "POST /cluster/ha/rules": {
        "rule": "apart",
        "type": "resource-affinity",
        "affinity": "positive",
        "resources": "vm:101,vm:102",
    },
    "POST /cluster/sdn/zones": {"type": "simple"},
    "POST /cluster/sdn/vnets": {"zone": "zone1"},
    "POST /nodes/{node}/lxc/{vmid}/clone": {**_STOPPED_CONTAINER, "newid": 204},
    "POST /nodes/{node}/lxc/{vmid}/migrate": {**_STOPPED_CONTAINER, "target": "pve1"},
    "POST /nodes/{node}/lxc/{vmid}/move_volume": {**_STOPPED_CONTAINER, "volume": "mp0", "storage": "local"},
    "POST /nodes/{node}/lxc/{vmid}/status/start": _STOPPED_CONTAINER,
    "POST /nodes/{node}/lxc/{vmid}/template": _STOPPED_CONTAINER,
    "POST /nodes/{node}/migrateall": {"maxworkers": 2},
    "POST /nodes/{node}/qemu/{vmid}/config": {"cores": 1},
    "POST /nodes/{node}/qemu/{vmid}/migrate": {**_STOPPED, "target": "pve1"},
    "POST /nodes/{node}/qemu/{vmid}/move_disk": {"storage": "local"},
    "POST /nodes/{node}/qemu/{vmid}/template": _STOPPED,
    "POST /nodes/{node}/storage/{storage}/content": {"filename": "vm-100-disk-7.raw"},
    "POST /nodes/{node}/vzdump": {"vmid": "101", "storage": "local"},
    "POST /storage": {"type": "dir", "path": "/srv/fresh"},
    "PUT /access/acl": {"users": "op@pve"},
    "PUT /cluster/ha/rules/{rule}": {"type": "resource-affinity"},
    "PUT /nodes/{node}/lxc/{vmid}/config": {"onboot": 1},
    "PUT /nodes/{node}/lxc/{vmid}/resize": {"disk": "rootfs", "size": "+1G"},
    "PUT /nodes/{node}/qemu/{vmid}/config": {"onboot": 1},
    "PUT /nodes/{node}/qemu/{vmid}/resize": {"size": "+1G"},
    "PUT /nodes/{node}/qemu/{vmid}/unlink": {"idlist": "scsi0"},
}

HOSTILE: tuple[str, ...] = (
    "../../../etc/shadow",
    "local:iso/../../../etc/passwd.iso",
    "local:100/../../vm-100-disk-9.raw",
    "share:100/vm-101-disk-0.qcow2",
    "file=/dev/sda,size=1G",
    "$(reboot);`id`|rm -rf /",
    "one\nlock: backup",
    "nul\x00byte",
    "üñî😀\u202e\u200b",
    "%2e%2e%2f%00%0d%0aSet-Cookie: x",
    "'\"<script>alert(1)</script>",
    "9" * 5000,
    f"thin:{'9' * 400}",
    f"thin:vm-100-disk-0,size={'9' * 400}G",
    "-1",
    "",
    ",,=,=",
    "A" * 2**20,
)
_TOO_BIG = "9" * 400


@dataclass(frozen=True)
class Case:
    """A request with one bad parameter. `field` is what PVE must name in its 400, None where it may do as it likes."""

    label: str
    verb: str
    path: str
    params: Mapping[str, Any]
    field: str | None = None

    @property
    def chance(self) -> int:
        """A number from 0 to 99 that says whether a small run has it."""
        return crc32(f"{self.verb} {self.path} {self.label}".encode()) % 100


def writes() -> list[Method]:
    """Every method that changes something and is modelled."""
    Simulator(cluster(2).world)  # makes the areas known
    contract = Contract.load()
    return [contract.method(verb, path) for verb, path in sorted(modelled()) if verb != "GET"]


@cache
def furnished() -> Simulator:
    """A cluster that has something under every name that `PLAUSIBLE` gives."""
    sim = cluster(3)
    for scope in ("/cluster", "/nodes/pve1/qemu/100", "/nodes/pve1/lxc/200"):
        sim.request("POST", f"{scope}/firewall/aliases", {"name": "web", "cidr": "10.0.0.1"})
        sim.request("POST", f"{scope}/firewall/ipset", {"name": "web"})
        sim.request("POST", f"{scope}/firewall/ipset", {"name": "empty"})
        sim.request("POST", f"{scope}/firewall/ipset/web", {"cidr": "10.0.0.2"})
    sim.request("POST", "/cluster/firewall/groups", {"group": "crew"})
    for scope in ("/cluster", "/nodes/pve1", "/nodes/pve1/qemu/100", "/nodes/pve1/lxc/200"):
        sim.request("POST", f"{scope}/firewall/rules", {"action": "ACCEPT", "type": "in"})
    sim.request("POST", "/cluster/firewall/groups/crew", {"action": "ACCEPT", "type": "in"})
    sim.request("POST", "/access/groups", {"groupid": "staff"})
    sim.request("POST", "/access/roles", {"roleid": "looker", "privs": "VM.Audit"})
    realm = {"realm": "office", "type": "ldap", "server1": "ldap", "base_dn": "dc=x", "user_attr": "uid"}
    sim.request("POST", "/access/domains", realm)
    sim.request("POST", "/cluster/ha/resources", {"sid": "vm:102", "state": "stopped"})
    about = {"type": "resource-affinity", "resources": "vm:101,vm:102", "affinity": "positive"}
    rule = {"rule": "together", "disable": 1, **about}  # else HA would move 102 to the other
    sim.request("POST", "/cluster/ha/rules", rule)
    sim.request("POST", "/cluster/sdn/zones", {"zone": "zone1", "type": "simple"})
    sim.request("POST", "/cluster/sdn/vnets", {"vnet": "vnet1", "zone": "zone1"})
    sim.request("POST", "/cluster/sdn/vnets/vnet1/subnets", {"subnet": "10.9.0.0/24", "type": "subnet"})
    sim.request("POST", "/cluster/backup", {"id": "thing", "schedule": "daily", "vmid": "100"})
    sim.request("POST", "/cluster/mapping/dir", {"id": "thing", "map": ["node=pve1,path=/srv"]})
    endpoint = {"name": "web", "server": "https://example.org", "token": "secret"}
    sim.request("POST", "/cluster/notifications/endpoints/gotify", endpoint)
    for guest in ("qemu/100", "lxc/200"):
        sim.request("POST", f"/nodes/pve1/{guest}/snapshot", {"snapname": "s1"})
    sim.clock.advance(60)
    return sim


def sound(method: Method) -> Case:
    """A request that the method may well do."""
    return _case(method, "sound", {}, None)


def _case(method: Method, label: str, changed: Mapping[str, Any], field: str | None, without: str = "") -> Case:
    places, given = places_of(method), {**plausible(method), **changed}
    path = method.path.format_map({name: str(given[name]) for name in places})
    params = {key: each for key, each in given.items() if key not in places and key != without}
    return Case(label, method.verb, path, params, field)


def cases(method: Method) -> Iterator[Case]:
    """All requests that are made of one method with one parameter spoilt."""
    places = places_of(method)
    case = partial(_case, method)
    if not method.parameters.additional:
        yield case("unknown", {"no-such-parameter": "1"}, "no-such-parameter")
    for name in method.parameters.required:
        if name not in places:
            yield case(f"{name} missing", {}, name, without=name)
    for shown, schema in method.parameters.entries():
        name = shown.replace("[n]", "0")
        if name in places:
            # The path's own values are spoilt with what can stand in a path at all.
            yield from (
                case(f"{name} is {short(text)}", {name: text}, None) for text in HOSTILE if _stands_in_path(text)
            )
            continue
        if shown.endswith("[n]"):
            yield case(f"{name}99", {f"{shown[:-3]}999": "1"}, f"{shown[:-3]}999")
        yield from (case(f"{name} is {short(bad)}", {name: bad}, name) for bad in wrong(schema))
        if schema.type in ("string", "any"):
            yield from (case(f"{name} is {short(text)}", {name: text}, None) for text in HOSTILE)
        elif schema.type in ("integer", "number") and schema.maximum is None:
            yield case(f"{name} is huge", {name: _TOO_BIG}, None)
            yield case(f"{name} is large", {name: 2**63}, None)


def short(value: Any) -> str:
    """How a value is named in a label."""
    return repr(value[:40] if isinstance(value, str) else value)


def _stands_in_path(text: str) -> bool:
    return bool(text) and len(text) < 100 and "/" not in text


def wrong(schema: Schema) -> Iterator[Any]:
    """Values that are of the wrong type or out of bounds whatever the rest of the request says."""
    if schema.one_of:
        return
    if schema.type in ("integer", "number", "boolean", "string"):
        yield {"a": 1}
    if schema.type in ("integer", "number", "boolean") or (schema.type == "string" and not schema.joins):
        yield ["1", "1"]  # a parameter that is given twice
    if schema.type in ("integer", "number", "boolean"):
        yield from ("x", "1 ", "one\n1", "")
    if schema.type == "integer":
        yield from ("1.5", "0x10", _TOO_BIG) if schema.maximum is not None else ("1.5", "0x10")
    if schema.minimum is not None:
        yield schema.minimum - 1
    if schema.maximum is not None:
        yield schema.maximum + 1
    if schema.enum is not None:
        yield "no such choice"
    if schema.max_length is not None:
        yield "a" * (schema.max_length + 1)
    if schema.min_length:
        yield "a" * (schema.min_length - 1)
    if schema.pattern is not None:
        yield from [text for text in ("\n", "\x00\n") if not matches(schema.pattern, text)][:1]
    if schema.type == "array":
        yield {"a": 1}


@cache
def places_of(method: Method) -> frozenset[str]:
    """The parameters that stand in the path."""
    return frozenset(re.findall(r"{([^}]+)}", method.path))


@cache
def plausible(method: Method) -> Mapping[str, Any]:
    """A request that may well be done: what the path and the method cannot do without, and what makes sense beside."""
    schemas, places = method.parameters.schemas, places_of(method)
    names = [*method.parameters.required, *places]
    given = {name: value(method, name, schemas[name], fresh=name not in places) for name in names}
    return {**given, **SPECIAL.get(f"{method.verb} {method.path}", {})}


def value(method: Method, name: str, schema: Schema, *, fresh: bool) -> Any:
    """Something that the parameter may well be."""
    makes = method.verb == "POST" and ("/nodes/" not in method.path or "/firewall/" in method.path)
    if fresh and makes and name in FRESH and not schema.enum:
        return FRESH[name]
    if name == "vmid":
        new = {"/nodes/{node}/qemu": 103, "/nodes/{node}/lxc": 203}
        return new.get(method.path, 200 if "/lxc/" in method.path else 100)
    if name == "upid":
        return "UPID:pve1:000003E9:0007A121:69B52F2D:qmstart:100:root@pam:"
    if name == "service" and schema.enum and "pvedaemon" not in schema.enum:
        return schema.enum[0]
    if schema.enum:
        return PLAUSIBLE[name] if PLAUSIBLE.get(name) in schema.enum else schema.enum[0]
    if name in PLAUSIBLE:
        return PLAUSIBLE[name]
    if schema.type in ("integer", "number"):
        return schema.minimum or 1
    return "1" if schema.type != "array" else ["1"]
