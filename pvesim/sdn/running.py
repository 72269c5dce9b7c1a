"""What is configured, what runs, and the difference between the two; the lock on all of it.

Sources: `GET /cluster/sdn/*` with `pending` and `running`, `PUT /cluster/sdn`, `/cluster/sdn/{lock,rollback}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.sections import Section, SectionFile, nested
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.sdn import files
from pvesim.sdn.records import Fabric, FabricNode, SdnState, Subnet

Row = dict[str, Any]
_DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that is applied: its file, and what answers call its id. `top` stays beside `pending`."""

    file: SectionFile[Any]
    id: str
    top: tuple[str, ...] = ("type",)


KINDS: Mapping[str, Kind] = {
    "zones": Kind(files.ZONES, "zone"),
    "vnets": Kind(files.VNETS, "vnet"),
    "subnets": Kind(files.SUBNETS, "subnet", ("type", "vnet", "zone", "cidr", "network", "mask", "id")),
    "controllers": Kind(files.CONTROLLERS, "controller"),
    "fabrics": Kind(files.FABRICS, "id", ("protocol",)),
    "fabric_nodes": Kind(files.FABRIC_NODES, "node_id", ("protocol", "fabric_id")),
}


def state_of(world: World) -> SdnState:
    """The one record of what runs."""
    return world.get(SdnState, "sdn") or SdnState()


# -- rows --------------------------------------------------------------------------------------------------------------


def _row(kind: Kind, section: Section) -> Row:
    """An object as answers show it, without the digest."""
    if isinstance(section, Fabric):
        return {**section.options, "id": section.id, "protocol": section.type}
    if isinstance(section, FabricNode):
        fabric, _, node = section.id.partition("_")
        return {**section.options, "fabric_id": fabric, "node_id": node, "protocol": section.type}
    row = {**section.options, kind.id: section.id, "type": section.type}
    if isinstance(section, Subnet):
        row |= subnet_parts(section.id)
        # A list even where there is none: clients rely on it.
        ranges = row.get("dhcp-range", ())
        row["dhcp-range"] = [dict(pair.split("=", 1) for pair in text.split(",")) for text in ranges]
    return row


def subnet_parts(id: str) -> dict[str, str]:
    """What the id of a subnet says: `z1-10.0.0.0-24` is 10.0.0.0/24 in zone `z1`."""
    zone, network, mask = id.split("-")
    return {"id": id, "zone": zone, "network": network, "mask": mask, "cidr": f"{network}/{mask}"}


def _configured(world: World, kind: Kind) -> dict[str, Row]:
    rows: Mapping[str, Section] = world.rows(kind.file.record)
    return {id: _row(kind, rows[id]) for id in sorted(rows)}


def rows_of(world: World, name: str, *, pending: bool = False, running: bool = False) -> dict[str, Row]:
    """The objects of a kind by id: as configured, with what an apply would change, or as they run."""
    kind = KINDS[name]
    runs = state_of(world).running.get(name, {})
    if pending:
        return _with_pending(kind, runs, _configured(world, kind))
    if running:
        return {id: dict(row) for id, row in runs.items()}
    digest = kind.file.digest(world)
    return {id: {**row, "digest": digest} for id, row in _configured(world, kind).items()}


def _with_pending(kind: Kind, runs: Mapping[str, Mapping[str, Any]], configured: Mapping[str, Row]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for id in sorted({**runs, **configured}):
        before, after = runs.get(id), configured.get(id)
        if before is None:
            new = after or {}
            kept = {name: new[name] for name in (kind.id, *kind.top) if name in new}
            rows[id] = {**kept, "state": "new", "pending": new}
        elif after is None:
            rows[id] = {**before, "state": _DELETED}
        else:
            changed = {
                name: after.get(name, _DELETED) for name in {**before, **after} if before.get(name) != after.get(name)
            }
            rows[id] = {**before, **({"state": "changed", "pending": changed} if changed else {})}
    return rows


def find_row(world: World, name: str, id: str, *, pending: bool = False, running: bool = False) -> Row:
    """One object of a kind. Raises `Failure` for an unknown one."""
    row = rows_of(world, name, pending=pending, running=running).get(id)
    if row is None:
        raise files.unknown(KINDS[name].file.record, id)
    return row


# -- lock --------------------------------------------------------------------------------------------------------------


@contextmanager
def editing(world: World, token: str | None, prefix: str = "") -> Iterator[None]:
    """Around a change: errors become text after `prefix`, and a lock that somebody holds asks for its token."""
    with nested(prefix):
        check_lock(world, token)
        yield


def check_lock(world: World, token: str | None) -> None:
    """Raise `Failure` if the configuration is locked and `token` is not the lock's."""
    lock = state_of(world).lock
    if lock and token != lock:
        raise Failure("invalid lock token provided!")


def lock(world: World, allow_pending: bool) -> str:
    """Lock the configuration; the token. Raises `Failure` if it is locked, or has changes that are not applied."""
    with editing(world, None, "could not acquire lock for SDN config"):
        if not allow_pending and has_pending(world):
            raise Failure("configuration has pending changes")
        token = world.uuid()
        world.put(replace(state_of(world), lock=token))
    return token


def unlock(world: World, token: str | None, force: bool) -> None:
    """Give the lock back. Raises `Failure` for a wrong token, unless forced."""
    with nested("could not release lock"):
        if not force:
            check_lock(world, token)
        world.put(replace(state_of(world), lock=""))


def has_pending(world: World) -> bool:
    """Whether an apply would change anything."""
    return any("state" in row for name in KINDS for row in rows_of(world, name, pending=True).values())


# -- applying and going back -------------------------------------------------------------------------------------------


def commit(world: World, token: str | None, release: bool) -> int:
    """Make what is configured what runs; the new version, which nodes apply next. Raises `Failure` if locked."""
    with editing(world, token, "could not commit SDN config"):
        state = state_of(world)
        running = {name: _configured(world, kind) for name, kind in KINDS.items()}
        version = state.version + 1
        world.put(replace(state, version=version, running=running, lock="" if release else state.lock))
    return version


def rollback(world: World, token: str | None, release: bool) -> None:
    """Make what runs what is configured. Raises `Failure` if locked."""
    with editing(world, token, "could not rollback SDN config"):
        state = state_of(world)
        for name, kind in KINDS.items():
            _restore(world, kind, state.running.get(name, {}))
        if release:
            world.put(replace(state, lock=""))


def _restore(world: World, kind: Kind, runs: Mapping[str, Mapping[str, Any]]) -> None:
    table: Mapping[str, Section] = world.rows(kind.file.record)
    for id in [id for id in table if id not in runs]:
        world.remove(kind.file.record, id)
    for id, row in runs.items():
        type = str(row.get("type") or row["protocol"])
        known = kind.file.types[type].options
        options = {name: value for name, value in row.items() if name in known and value != []}
        if "dhcp-range" in options:
            options["dhcp-range"] = [",".join(f"{key}={part[key]}" for key in part) for part in options["dhcp-range"]]
        if dict(table[id].options if id in table else {}) != options:
            world.put(kind.file.record(id, type, options))


def node_steps(node: str) -> list[Step]:
    """What a reload of a node's network does for these networks."""
    return [Step(effect="sdn.applied", arguments=(node,))]


@effect("sdn.applied")
def applied(world: World, task: Task | None, node: str) -> None:
    """The node has built what runs now."""
    state = state_of(world)
    if state.versions.get(node) != state.version:
        world.put(replace(state, versions={**state.versions, node: state.version}))
