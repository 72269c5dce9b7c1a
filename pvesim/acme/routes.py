"""`/cluster/acme` without accounts."""

from __future__ import annotations

from typing import Any

from pvesim.acme import rules
from pvesim.core.sections import split_changes
from pvesim.routing import Call, route

_PLUGINS = "/cluster/acme/plugins"
Rows = list[dict[str, Any]]


@route("GET", "/cluster/acme/directories")
def list_directories(call: Call) -> Rows:
    return [{"name": name, "url": url} for name, url in rules.DIRECTORIES.items()]


@route("GET", "/cluster/acme/challenge-schema")
def list_challenges(call: Call) -> Rows:
    return rules.challenges()


@route("GET", _PLUGINS)
def list_plugins(call: Call) -> Rows:
    wanted = call.params.get("type")
    found = rules.plugins(call.world).values()
    return [rules.show(call.world, plugin) for plugin in found if wanted in (None, plugin.type)]


@route("POST", _PLUGINS)
def create_plugin(call: Call) -> None:
    options, _, _ = split_changes(call.params, "id", "type")
    rules.create(call.world, call.params["type"], call.params["id"], options)


@route("GET", _PLUGINS + "/{id}")
def read_plugin(call: Call) -> dict[str, Any]:
    return rules.show(call.world, rules.find_plugin(call.world, call.params["id"]))


@route("PUT", _PLUGINS + "/{id}")
def update_plugin(call: Call) -> None:
    rules.update(call.world, call.params["id"], *split_changes(call.params, "id"))


@route("DELETE", _PLUGINS + "/{id}")
def delete_plugin(call: Call) -> None:
    rules.delete(call.world, call.params["id"])
