"""Firewall options of a cluster, node or guest. Sources: recorded exchanges `firewall-*/003`, `firewall-*/022`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import ParameterErrors
from pvesim.core.world import World
from pvesim.firewall.files import Scope, check_entries, firewall_of, with_digest

_NO_OPTION = frozenset(("node", "vmid", "delete", "digest"))


def read_options(world: World, scope: Scope) -> dict[str, Any]:
    """The options that are set, with their digest."""
    return with_digest([firewall_of(world, scope).options])[0]


def update_options(world: World, scope: Scope, params: Mapping[str, Any], known: Iterable[str]) -> None:
    """Set and delete options. `known` names the parameters that the method takes."""
    firewall = firewall_of(world, scope)
    check_entries([firewall.options], params.get("digest"))
    options = dict(firewall.options)
    takes = frozenset(known) - _NO_OPTION
    for name in split_list(params.get("delete") or ""):
        if name not in takes:
            raise ParameterErrors({"delete": f"no such option '{name}'"})
        options.pop(name, None)
    given = stored_options(params)
    if scope.kind == "cluster" and given.get("enable", 0) > 1:
        given["enable"] = int(world.now)  # a time to go back to, should the rules lock their author out
    world.put(replace(firewall, options={**options, **given}))


def stored_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """The options among the parameters of a request, as their file keeps them."""
    given = {name: value for name, value in params.items() if name not in _NO_OPTION}
    return {name: int(value) if isinstance(value, bool) else value for name, value in given.items()}
