"""What the builders of a world share: the scenario, the world that grows, the contract, and the problems found."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from pvesim.contract import Contract, verify
from pvesim.core.errors import ParameterErrors
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.scenario.model import Scenario
from pvesim.scenario.reading import Location


class Context:
    """One world under construction. Builders note problems and go on, so that all are told at once."""

    def __init__(self, scenario: Scenario, world: World) -> None:
        self.scenario = scenario
        self.world = world
        self.places = scenario.places.fresh()
        self.contract = Contract.load()
        self.pids: dict[str, int] = {}

    def problem(self, location: Iterable[Hashable], text: str) -> None:
        """Note that something is wrong with the field at `location`."""
        self.places.add(tuple(location), text)

    def verified(
        self, verb: str, path: str, location: Location, given: Mapping[str, Any], **fixed: Any
    ) -> dict[str, Any]:
        """Options as PVE's method types them, booleans as 0 and 1, without those in `fixed`.

        What PVE would refuse is noted under `location`; the answer is then empty.
        """
        forced = sorted(name for name in fixed if name in given)
        for name in forced:
            self.problem((*location, name), f"'{name}' is not written here")
        if forced:
            return {}
        try:
            values = verify(self.contract.method(verb, path), {**given, **fixed})
        except ParameterErrors as error:
            for field, text in (error.errors or {}).items():
                name = field.partition(".")[0]
                known = name in given
                self.problem((*location, name) if known else location, self._refusal(field, name, text, known))
            return {}
        return {
            name: int(value) if isinstance(value, bool) else value
            for name, value in values.items()
            if name not in fixed
        }

    @staticmethod
    def _refusal(field: str, name: str, text: str, known: bool) -> str:
        words = " ".join(text.split())
        return f"PVE refuses it: {words}" if known and field == name else f"PVE refuses it: {field}: {words}"

    def node(self, name: str | None, location: Location) -> str | None:
        """The node of that name, or the only one; a problem otherwise."""
        nodes = self.world.rows(Node)
        if name is None:
            if len(nodes) == 1:
                return str(next(iter(nodes)))
            self.problem(location, f"which node? {known_names(nodes)}")
        elif name in nodes:
            return name
        else:
            self.problem(location, f"no node '{name}': {known_names(nodes)}")
        return None

    def next_pid(self, node: str) -> int:
        """A process id on a node, growing."""
        self.pids[node] = self.pids.get(node, 1000) + 7
        return self.pids[node]

    def ago(self, seconds: float) -> float:
        """The moment so many seconds before the world begins."""
        return self.world.now - seconds


def known_names(names: Iterable[Any]) -> str:
    """What there is, for the end of an error's text."""
    listed = [str(name) for name in names]
    if not listed:
        return "there is none"
    return "there are " + ", ".join(listed[:20]) + (f" and {len(listed) - 20} more" if len(listed) > 20 else "")


def stable_bytes(seed: int, length: int, *purpose: object) -> bytes:
    """Bytes that depend on the seed and the purpose only: adding a guest changes nothing about the others."""
    text = ":".join(str(part) for part in (seed, *purpose))
    return hashlib.blake2b(text.encode(), digest_size=length).digest()


def stable_uuid(seed: int, *purpose: object) -> str:
    """A UUID (version 4) of the same kind."""
    raw = bytearray(stable_bytes(seed, 16, *purpose))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def stable_mac(seed: int, prefix: str, vmid: int, interface: int) -> str:
    """A MAC address below the cluster's prefix, another one for every guest."""
    parts = prefix.upper().split(":")
    missing = 6 - len(parts)
    # An odd factor permutes the numbers below a power of two, so different ids never meet on their first interface.
    number = (vmid * 0x9E3779B1 + interface * 0x85EBCA6B + seed * 0x27D4EB2F) % (1 << 8 * missing)
    return ":".join([*parts, *(f"{byte:02X}" for byte in number.to_bytes(missing, "big"))])
