"""Controllers, address managers and name servers: `/cluster/sdn/{controllers,ipams,dns}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.sections import Section, SectionFile
from pvesim.core.world import World
from pvesim.sdn import files
from pvesim.sdn.files import check_free, described, find
from pvesim.sdn.records import Controller, Fabric, Ipam, Zone
from pvesim.sdn.running import editing

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """One of the three: its file, what errors call it, and the options of zones that name one."""

    name: str
    file: SectionFile[Any]
    used_by: tuple[str, ...]


CONTROLLER = ObjectKind("controller", files.CONTROLLERS, ("controller",))
IPAM = ObjectKind("ipam", files.IPAMS, ("ipam",))
DNS = ObjectKind("dns", files.DNS_SERVERS, ("dns", "reversedns"))


def create(world: World, kind: ObjectKind, type: str, id: str, options: Options, token: str | None) -> None:
    """`POST` of one of them. Raises `Failure`."""
    kind.file.types[type].check_new(options)
    with editing(world, token, f"create sdn {kind.name} object failed"):
        check_free(world, kind.file.record, kind.name, id)
        if kind is IPAM and id == files.BUILT_IN_IPAM.id:
            raise Failure(f"sdn {kind.name} object ID '{id}' already defined")
        _check(world, kind.file.create(world, type, id, options))


def update(
    world: World,
    kind: ObjectKind,
    id: str,
    options: Options,
    delete: Sequence[str],
    digest: str | None,
    token: str | None,
) -> None:
    """`PUT` of one of them. Raises `Failure`."""
    with editing(world, token, f"update sdn {kind.name} object failed"):
        kind.file.check_digest(world, digest)
        _check(world, kind.file.update(world, find_object(world, kind, id), options, delete))


def delete(world: World, kind: ObjectKind, id: str, token: str | None) -> None:
    """`DELETE` of one of them; PVE's own address manager is there again at once. Raises `Failure`."""
    with editing(world, token, f"delete sdn {kind.name} object failed"):
        found = find_object(world, kind, id)
        for name in sorted(world.rows(Zone)):
            if any(world.rows(Zone)[name].options.get(option) == id for option in kind.used_by):
                raise Failure(f"{kind.name} {id} is used by zone {name}")
        kind.file.delete(world, found)


def find_object(world: World, kind: ObjectKind, id: str) -> Section:
    """One of them. Raises `Failure` for an unknown one."""
    if kind is IPAM and id == files.BUILT_IN_IPAM.id:
        return world.get(Ipam, id) or files.BUILT_IN_IPAM
    found: Section = find(world, kind.file.record, id)
    return found


def show(world: World, kind: ObjectKind, section: Section) -> dict[str, Any]:
    """One of them as its file has it."""
    return described(kind.file, world, section, kind.name)


def listed(world: World, kind: ObjectKind) -> list[dict[str, Any]]:
    """All of them, by id."""
    rows: Mapping[str, Section] = world.rows(kind.file.record)
    ids = {*rows, files.BUILT_IN_IPAM.id} if kind is IPAM else {*rows}
    return [show(world, kind, find_object(world, kind, id)) for id in sorted(ids)]


def ipam_exists(world: World, id: str) -> bool:
    """Whether there is an address manager of that name; PVE's own always is."""
    return id == files.BUILT_IN_IPAM.id or world.get(Ipam, id) is not None


def check_own_ipam(id: str) -> None:
    """Raise `Failure` for an address manager whose addresses PVE does not keep itself."""
    if id != files.BUILT_IN_IPAM.id:
        raise Failure("Currently only PVE IPAM is supported!")


def _check(world: World, section: Section) -> None:
    if not isinstance(section, Controller):
        return
    fabric = section.options.get("fabric")
    if fabric and world.get(Fabric, fabric) is None:
        raise Failure(f"fabric '{fabric}' does not exist in configuration")
    if section.type == "evpn":
        _check_only(world, section, "evpn", "only 1 global evpn controller can be defined")
    if section.type == "bgp":
        node = section.options["node"]
        _check_only(world, section, "bgp", f"only 1 bgp controller can be defined for node {node}", node)


def _check_only(world: World, section: Controller, type: str, text: str, node: str | None = None) -> None:
    for other in world.rows(Controller).values():
        if other.id != section.id and other.type == type and other.options.get("node") == node:
            raise Failure(text)
