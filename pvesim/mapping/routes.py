"""`/cluster/mapping`: the same handlers for each kind."""

from __future__ import annotations

from typing import Any

from pvesim.core.sections import split_changes
from pvesim.mapping import rules
from pvesim.mapping.rules import KINDS, SEEN_BY, MappingKind
from pvesim.routing import Call, route


def _register(kind: MappingKind) -> None:
    place = f"/cluster/mapping/{kind.name}"

    @route("GET", place)
    def list_mappings(call: Call) -> list[dict[str, Any]]:
        table, node = call.world.rows(kind.file.record), call.params.get("check-node")
        seen = [id for id in table if call.may(f"/mapping/{kind.name}/{id}", *SEEN_BY, any_of=True)]
        return [rules.listed(call.world, kind, table[id], node) for id in seen]

    @route("POST", place)
    def create_mapping(call: Call) -> None:
        options, _, _ = split_changes(call.params, "id")
        rules.create(call.world, kind, call.params["id"], options)

    @route("GET", place + "/{id}")
    def read_mapping(call: Call) -> dict[str, Any]:
        return rules.show(call.world, kind, rules.find(call.world, kind, call.params["id"]))

    @route("PUT", place + "/{id}")
    def update_mapping(call: Call) -> None:
        rules.update(call.world, kind, call.params["id"], *split_changes(call.params, "id"))

    @route("DELETE", place + "/{id}")
    def delete_mapping(call: Call) -> None:
        rules.delete(call.world, kind, call.params["id"])


for _kind in KINDS:
    _register(_kind)
