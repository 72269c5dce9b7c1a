"""`/cluster/notifications`: the same handlers for each type of target, and for matchers."""

from __future__ import annotations

from typing import Any

from pvesim.core.log import log_event
from pvesim.core.sections import SectionFile, split_changes
from pvesim.notifications import rules
from pvesim.notifications.rules import ENDPOINTS, MATCHERS
from pvesim.routing import Call, route

_PLACE = "/cluster/notifications"


def _register(place: str, file: SectionFile[Any], type: str) -> None:
    one = place + "/{name}"

    @route("GET", place)
    def list_sections(call: Call) -> list[dict[str, Any]]:
        return rules.listed(call.world, file, type)

    @route("POST", place)
    def create_section(call: Call) -> None:
        options, _, _ = split_changes(call.params, "name")
        rules.create(call.world, file, type, call.params["name"], options)

    @route("GET", one)
    def read_section(call: Call) -> dict[str, Any]:
        section = rules.find(call.world, file, type, call.params["name"])
        return {**rules.show(section), "digest": file.digest(call.world)}

    @route("PUT", one)
    def update_section(call: Call) -> None:
        rules.update(call.world, file, type, call.params["name"], *split_changes(call.params, "name"))

    @route("DELETE", one)
    def delete_section(call: Call) -> None:
        rules.remove(call.world, file, type, call.params["name"])


for _type in ENDPOINTS.types:
    _register(f"{_PLACE}/endpoints/{_type}", ENDPOINTS, _type)
_register(f"{_PLACE}/matchers", MATCHERS, "matcher")


@route("GET", f"{_PLACE}/targets")
def list_targets(call: Call) -> list[dict[str, Any]]:
    return rules.targets(call.world)


@route("POST", f"{_PLACE}/targets/{{name}}/test")
def test_target(call: Call) -> None:
    name = call.params["name"]
    rules.check_target(call.world, name)
    # No simulated mail leaves the process: what a node writes to its log is all that there is to see.
    log_event(call.world, call.node, call.identity.name, "pvedaemon", f"notified via target `{name}`")


@route("GET", f"{_PLACE}/matcher-fields")
def list_matcher_fields(call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in ("type", "hostname", "job-id")]


@route("GET", f"{_PLACE}/matcher-field-values")
def list_matcher_values(call: Call) -> list[dict[str, str]]:
    return rules.matcher_values(call.world)
