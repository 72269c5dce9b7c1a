"""Mappings of PCI devices, USB devices and directories, and whether they hold on a node.

Sources: `/cluster/mapping/{pci,usb,dir}`, the recorded exchange `cluster/027`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.sections import Section, SectionFile, SectionType, plain_file, under
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.mapping.records import DirectoryMapping, PciMapping, UsbMapping
from pvesim.nodes.hardware import pci_devices, usb_devices

SEEN_BY = ("Mapping.Modify", "Mapping.Use", "Mapping.Audit")


@dataclass(frozen=True, slots=True)
class MappingKind:
    """One of the three: its name in paths and files, and what the texts of errors call it."""

    name: str
    noun: str
    file: SectionFile[Any]


PCI = MappingKind(
    "pci",
    "hardware",
    plain_file(PciMapping, {"pci": SectionType.of(required="map", optional="description mdev live-migration-capable")}),
)
USB = MappingKind(
    "usb", "hardware", plain_file(UsbMapping, {"usb": SectionType.of(required="map", optional="description")})
)
DIRECTORY = MappingKind(
    "dir", "directory", plain_file(DirectoryMapping, {"dir": SectionType.of(required="map", optional="description")})
)
KINDS = (PCI, USB, DIRECTORY)


def find(world: World, kind: MappingKind, id: str) -> Section:
    """The mapping. Raises `Failure` for an unknown one."""
    found: Section | None = world.get(kind.file.record, id)
    if found is None:
        raise Failure(f"mapping '{id}' not found")
    return found


def show(world: World, kind: MappingKind, mapping: Section) -> dict[str, Any]:
    """A mapping as its file has it."""
    about = {"id": mapping.id, "type": kind.name, "digest": kind.file.digest(world)}
    return {**mapping.options, **about}


def listed(world: World, kind: MappingKind, mapping: Section, node: str | None) -> dict[str, Any]:
    """A mapping as lists show it; with a node, what is wrong with it there."""
    row = show(world, kind, mapping)
    if node is None:
        return row
    problems = [{"severity": severity, "message": text} for severity, text in _problems(kind, mapping, node)]
    return {**row, "error" if kind is USB else "checks": problems}


def create(world: World, kind: MappingKind, id: str, options: Mapping[str, Any]) -> None:
    """`POST` of a mapping. Raises `Failure`."""
    kind.file.types[kind.name].check_new(options)
    with under(f"create {kind.noun} mapping failed"):
        if world.get(kind.file.record, id) is not None:
            raise Failure(f"{kind.name} ID '{id}' already defined")
        kind.file.create(world, kind.name, id, _tidy(kind, options))


def update(
    world: World, kind: MappingKind, id: str, options: Mapping[str, Any], delete: Sequence[str], digest: str | None
) -> None:
    """`PUT` of a mapping. Raises `Failure`."""
    with under(f"update {kind.noun} mapping failed"):
        kind.file.check_digest(world, digest)
        mapping = world.get(kind.file.record, id)
        if mapping is None:
            raise Failure(f"{kind.name} ID '{id}' does not exist")
        kind.file.update(world, mapping, _tidy(kind, options), delete)


def delete(world: World, kind: MappingKind, id: str) -> None:
    """`DELETE` of a mapping; nothing happens if there is none."""
    world.remove(kind.file.record, id)


def _tidy(kind: MappingKind, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with each place once. Raises `Failure` for a node with two directories."""
    if "map" not in options:
        return dict(options)
    places = list(dict.fromkeys(options["map"]))
    if kind is DIRECTORY:
        for node, count in Counter(read_options(place, "node").get("node", "") for place in places).items():
            if count > 1:
                raise Failure(f"Node '{node}' is specified {count} times.")
    return {**options, "map": places}


# -- what is wrong on a node -------------------------------------------------------------------------------------------


def _problems(kind: MappingKind, mapping: Section, node: str) -> Iterator[tuple[str, str]]:
    places = [place for text in mapping.options["map"] if (place := read_options(text, "node")).get("node") == node]
    if not places:
        yield "warning", f"No mapping for node {node}."
    check = {"pci": _pci_problem, "usb": _usb_problem}.get(kind.name)
    for place in places if check else ():
        problem = check(place) if check else None
        if problem is not None:
            yield "error", f"Invalid configuration: {problem}"


def _pci_problem(place: Mapping[str, str]) -> str | None:
    devices = {device["id"].partition(".")[0]: device for device in pci_devices("none")}
    for path in place.get("path", "").split(";"):
        device = devices.get(path.partition(".")[0])
        if device is None:
            return f"pci device '{path}' not found"
        actual = f"{device['vendor'][2:]}:{device['device'][2:]}"
        if actual != place.get("id", actual).lower():
            return f"'id' does not match for '{path}' ({actual} != {place['id']})"
    return None


def _usb_problem(place: Mapping[str, str]) -> str | None:
    known = {f"{device['vendid']}:{device['prodid']}" for device in usb_devices()}
    return None if place.get("id", "").lower() in known else f"USB device '{place.get('id')}' not found"
