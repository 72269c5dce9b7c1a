"""The options of a guest's configuration: which there are, and how PVE writes their values.

The facts are the parameters of `PUT /nodes/{node}/qemu/{vmid}/config` and its twin for containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pvesim.cluster.records import Cluster
from pvesim.contract import Contract, Schema, format_property_string, parse_property_string, split_list
from pvesim.contract.schema import Fields
from pvesim.core.world import World
from pvesim.guests.records import Kind

# Parameters of an update that say how to do it, and are no options of the guest.
UPDATE_ONLY = frozenset(
    ("node", "vmid", "delete", "revert", "force", "digest", "skiplock", "background_delay", "import-working-storage")
)
# Options that PVE itself writes and a client may only remove.
_WRITTEN_BY_PVE = frozenset(("meta", "vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu"))
_DEFAULT_MAC_PREFIX = "BC:24:11"


@cache
def _fields(kind: Kind) -> Fields:
    found = Contract.load().find("PUT", ["nodes", "node", kind, "100", "config"])
    assert found is not None
    return found[0].parameters


def option_schema(kind: Kind, key: str) -> Schema | None:
    """The schema of an option, or None for what is none."""
    return None if key in UPDATE_ONLY else _fields(kind).get(key)


def option_exists(kind: Kind, key: str) -> bool:
    """Whether a configuration may hold the option."""
    return option_schema(kind, key) is not None or (kind == "qemu" and key in _WRITTEN_BY_PVE)


def parse_option(kind: Kind, key: str, text: str) -> dict[str, Any]:
    """The fields of an option that is a property string."""
    schema = option_schema(kind, key)
    assert schema is not None
    return parse_property_string(schema, text)


def print_option(kind: Kind, key: str, fields: Mapping[str, Any]) -> str:
    """The text of an option that is a property string, as PVE writes it."""
    schema = option_schema(kind, key)
    assert schema is not None
    return format_property_string(schema, fields)


def stored(value: Any) -> Any:
    """A verified value as a configuration holds it: switches as 0 and 1."""
    return int(value) if isinstance(value, bool) else value


def new_mac(world: World) -> str:
    """A random hardware address with the cluster's prefix."""
    cluster = world.get(Cluster, "cluster")
    prefix = str((cluster.options if cluster else {}).get("mac_prefix") or _DEFAULT_MAC_PREFIX).upper()
    missing = 6 - len(prefix.split(":"))
    return ":".join([prefix, *(f"{byte:02X}" for byte in world.random_bytes(missing, "mac"))])


def with_mac(world: World, kind: Kind, key: str, text: str) -> str:
    """A network interface as PVE writes it, with a hardware address where none was given."""
    fields = parse_option(kind, key, text)
    if kind == "qemu":
        fields.setdefault("macaddr", new_mac(world))
        fields["macaddr"] = fields["macaddr"].upper()
    else:
        fields.setdefault("hwaddr", new_mac(world))
        fields["hwaddr"] = fields["hwaddr"].upper()
        fields.setdefault("type", "veth")
    return print_option(kind, key, fields)


def unique_tags(text: str) -> str:
    """Tags as PVE writes them: in lower case and sorted, each once."""
    return ";".join(sorted({tag.lower() for tag in split_list(text)}))
