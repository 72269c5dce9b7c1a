"""A world written down as a scenario that loads to the same world.

What the sections of a scenario can say stands there, for people to read and change; what they cannot (tasks, counters,
the log, passwords, what an area keeps that has no section) is carried under `state`. A section that would not load
again, because it is in a way that no scenario describes, is left to `state` altogether: the round trip always holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from pvesim.core.errors import ScenarioError
from pvesim.core.world import World
from pvesim.scenario import written, written_access
from pvesim.scenario.build import build_world
from pvesim.scenario.carried import carried
from pvesim.scenario.layers import escaped
from pvesim.scenario.reading import yaml_1_2_resolvers

_SECTIONS: dict[str, Callable[[World], Any]] = {
    "release": written.release,
    "cluster": written.cluster,
    "nodes": written.nodes,
    "storages": written.storages,
    "vms": written.machines,
    "containers": written.containers,
    "pools": written.pools,
    "realms": written_access.realms,
    "roles": written_access.roles,
    "groups": written_access.groups,
    "users": written_access.users,
    "acl": written_access.acl,
    "firewall": written_access.firewall,
    "ha": written_access.high_availability,
}
_HEAD = """\
# A simulated cluster as it was at {moment}, written by pvesim.
# The sections below may be changed by hand. What no section can say (tasks and timers that run, counters, the log,
# passwords, …) is carried under `state` at the end: take that away for a fresh world of the same cluster.
"""


def dump_world(world: World) -> dict[str, Any]:
    """The scenario of a world, as data that `load` takes."""
    data: dict[str, Any] = {"seed": world.seed, "start": world.now}
    for name, write in _SECTIONS.items():
        section = write(world)
        if section:
            data[name] = section
    data = escaped(data)
    built = _build(data)
    state = carried(built, world)
    if state:
        data["state"] = escaped(state)
    return data


def dump(world: World) -> str:
    """The same as YAML with a head that explains it."""
    moment = datetime.fromtimestamp(world.now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    body = yaml.dump(
        dump_world(world), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )
    return _HEAD.format(moment=moment) + body


def _build(data: dict[str, Any]) -> World:
    """The world that the sections make; what would not load is taken out of `data`."""
    while True:
        try:
            return build_world(data)
        except ScenarioError as error:
            left_out = [problem for problem in error.problems if _leave_out(data, problem)]
            if not left_out:
                # Nobody knows which one it is.
                for name in list(data):
                    if name not in ("seed", "start"):
                        del data[name]


def _leave_out(data: dict[str, Any], problem: str) -> bool:
    """Take out the entry that a problem is about: a section's entry by its key, or the whole section."""
    for path, section, key in _entries(data):
        if problem.startswith((f"{path}.", f"{path}:")):
            if key is None or section not in data:
                data.pop(section, None)
            else:
                data[section].pop(key, None)
            return True
    return False


def _entries(data: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for section, content in data.items():
        if isinstance(content, Mapping) and section not in ("release", "cluster", "firewall", "ha"):
            yield from ((f"{section}.{key}", section, key) for key in list(content))
        yield section, section, None


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes what either version of YAML would read as something else than a text, and makes no aliases."""

    yaml_implicit_resolvers = yaml_1_2_resolvers()

    def ignore_aliases(self, data: Any) -> bool:
        return True
