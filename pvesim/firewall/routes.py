"""`…/firewall` of the cluster, of nodes and of guests: the same handlers, registered once for each place."""

from __future__ import annotations

from typing import Any

from pvesim.core.tasks import MISSING_LOG
from pvesim.firewall import names, options, rules
from pvesim.firewall.files import CLUSTER, Scope, group_scope
from pvesim.firewall.macros import macros
from pvesim.routing import Answer, Call, Handler, route

_CLUSTER = "/cluster/firewall"
_NODE = "/nodes/{node}/firewall"
_VM = "/nodes/{node}/qemu/{vmid}/firewall"
_CT = "/nodes/{node}/lxc/{vmid}/firewall"
_GROUP = "/cluster/firewall/groups/{group}"


def _scope(call: Call) -> Scope:
    path, params = call.method.path, call.params
    if path.startswith(_GROUP):
        return group_scope(params["group"])
    if path.startswith(_CLUSTER):
        return Scope(CLUSTER, "cluster")
    if path.startswith(_NODE):
        return Scope(f"node/{call.node}", "node")
    return Scope(f"guest/{params['vmid']}", "vm" if path.startswith(_VM) else "ct")


# -- rules ---------------------------------------------------------------------------------------------------------


def list_rules(call: Call) -> list[dict[str, Any]]:
    """All rules of the place, in order."""
    return rules.list_rules(call.world, _scope(call))


def create_rule(call: Call) -> None:
    """A new rule, before all others."""
    rules.create_rule(call.world, _scope(call), call.params)


def read_rule(call: Call) -> dict[str, Any]:
    """The rule at a position."""
    return rules.read_rule(call.world, _scope(call), call.params["pos"])


def update_rule(call: Call) -> None:
    """Change or move the rule at a position."""
    rules.update_rule(call.world, _scope(call), call.params["pos"], call.params)


def delete_rule(call: Call) -> None:
    """Remove the rule at a position."""
    rules.delete_rule(call.world, _scope(call), call.params["pos"], call.params.get("digest"))


# -- options and log -----------------------------------------------------------------------------------------------


def read_options(call: Call) -> dict[str, Any]:
    """The options that are set."""
    return options.read_options(call.world, _scope(call))


def update_options(call: Call) -> None:
    """Set and delete options."""
    options.update_options(call.world, _scope(call), call.params, call.method.parameters.schemas)


def read_log(call: Call) -> Answer:
    """The log, which no simulated packet ever writes to: the same answer as on a node that has logged nothing."""
    return Answer([{"n": 1, "t": MISSING_LOG}], {"total": 1})


# -- aliases, sets, references -------------------------------------------------------------------------------------


def list_aliases(call: Call) -> list[dict[str, Any]]:
    """All aliases of the place."""
    return names.list_aliases(call.world, _scope(call))


def create_alias(call: Call) -> None:
    """A new alias."""
    names.create_alias(call.world, _scope(call), call.params)


def read_alias(call: Call) -> dict[str, Any]:
    """One alias."""
    return names.read_alias(call.world, _scope(call), call.params["name"])


def update_alias(call: Call) -> None:
    """Change or rename an alias."""
    names.update_alias(call.world, _scope(call), call.params)


def delete_alias(call: Call) -> None:
    """Remove an alias."""
    names.delete_alias(call.world, _scope(call), call.params["name"], call.params.get("digest"))


def list_sets(call: Call) -> list[dict[str, Any]]:
    """All IP sets of the place."""
    return names.list_sets(call.world, _scope(call))


def create_set(call: Call) -> None:
    """A new IP set, or a new name for one."""
    names.create_set(call.world, _scope(call), call.params)


def list_entries(call: Call) -> list[dict[str, Any]]:
    """The entries of an IP set."""
    return names.list_entries(call.world, _scope(call), call.params["name"])


def create_entry(call: Call) -> None:
    """A new entry of an IP set."""
    names.create_entry(call.world, _scope(call), call.params)


def delete_set(call: Call) -> None:
    """Remove an IP set."""
    names.delete_set(call.world, _scope(call), call.params["name"], bool(call.params.get("force")))


def read_entry(call: Call) -> dict[str, Any]:
    """One entry of an IP set."""
    return names.read_entry(call.world, _scope(call), call.params["name"], call.params["cidr"])


def update_entry(call: Call) -> None:
    """Change an entry of an IP set."""
    names.update_entry(call.world, _scope(call), call.params)


def delete_entry(call: Call) -> None:
    """Remove an entry of an IP set."""
    params = call.params
    names.delete_entry(call.world, _scope(call), params["name"], params["cidr"], params.get("digest"))


def list_references(call: Call) -> list[dict[str, Any]]:
    """What rules of the place may refer to."""
    return names.list_references(call.world, _scope(call), call.params.get("type"))


_RULES: dict[tuple[str, str], Handler] = {
    ("GET", ""): list_rules,
    ("POST", ""): create_rule,
    ("GET", "/{pos}"): read_rule,
    ("PUT", "/{pos}"): update_rule,
    ("DELETE", "/{pos}"): delete_rule,
}
_NAMES: dict[tuple[str, str], Handler] = {
    ("GET", "/aliases"): list_aliases,
    ("POST", "/aliases"): create_alias,
    ("GET", "/aliases/{name}"): read_alias,
    ("PUT", "/aliases/{name}"): update_alias,
    ("DELETE", "/aliases/{name}"): delete_alias,
    ("GET", "/ipset"): list_sets,
    ("POST", "/ipset"): create_set,
    ("GET", "/ipset/{name}"): list_entries,
    ("POST", "/ipset/{name}"): create_entry,
    ("DELETE", "/ipset/{name}"): delete_set,
    ("GET", "/ipset/{name}/{cidr}"): read_entry,
    ("PUT", "/ipset/{name}/{cidr}"): update_entry,
    ("DELETE", "/ipset/{name}/{cidr}"): delete_entry,
    ("GET", "/refs"): list_references,
}
_OPTIONS: dict[tuple[str, str], Handler] = {("GET", "/options"): read_options, ("PUT", "/options"): update_options}
_LOG: dict[tuple[str, str], Handler] = {("GET", "/log"): read_log}


def _register(place: str, *tables: dict[tuple[str, str], Handler]) -> None:
    for table in tables:
        for (verb, path), handler in table.items():
            route(verb, place + path)(handler)


_register(_GROUP, _RULES)
_register(_CLUSTER, _NAMES, _OPTIONS)
_register(_NODE, _OPTIONS, _LOG)
_register(_VM, _NAMES, _OPTIONS, _LOG)
_register(_CT, _NAMES, _OPTIONS, _LOG)
for _place in (_CLUSTER, _NODE, _VM, _CT):
    _register(_place + "/rules", _RULES)


# -- what the cluster alone has ------------------------------------------------------------------------------------


@route("GET", _CLUSTER + "/groups")
def list_groups(call: Call) -> list[dict[str, Any]]:
    """All security groups."""
    return names.list_groups(call.world)


@route("POST", _CLUSTER + "/groups")
def create_group(call: Call) -> None:
    """A new security group, or a new name for one."""
    names.create_group(call.world, call.params)


@route("DELETE", _GROUP)
def delete_group(call: Call) -> None:
    """Remove a security group."""
    names.delete_group(call.world, call.params["group"])


@route("GET", _CLUSTER + "/macros")
def list_macros(call: Call) -> list[dict[str, str]]:
    """All macros with what they are for."""
    return [{"macro": macro.name, "descr": macro.description} for macro in macros().values()]
