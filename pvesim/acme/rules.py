"""Plugins that prove to an ACME service that a name is one's own, and the services that are known.

Source: `/cluster/acme`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from pvesim.contract import Contract
from pvesim.core.errors import Failure
from pvesim.core.sections import Section, SectionType, plain_file
from pvesim.core.world import World


class AcmePlugin(Section):
    """A plugin."""

    __slots__ = ()


PLUGINS = plain_file(
    AcmePlugin,
    {
        "dns": SectionType.of(required="api", optional="data disable nodes validation-delay"),
        "standalone": SectionType.of(optional="disable nodes"),
    },
)
STANDALONE = AcmePlugin("standalone", "standalone", {})  # every cluster has it
DIRECTORIES = {
    "Let's Encrypt V2": "https://acme-v02.api.letsencrypt.org/directory",
    "Let's Encrypt V2 Staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}


def plugins(world: World) -> dict[str, AcmePlugin]:
    """All plugins by id."""
    return {STANDALONE.id: STANDALONE, **world.rows(AcmePlugin)}


def find_plugin(world: World, id: str) -> AcmePlugin:
    """The plugin. Raises `Failure`."""
    found = plugins(world).get(id)
    if found is None:
        raise Failure(f"ACME plugin '{id}' not defined")
    return found


def show(world: World, plugin: AcmePlugin) -> dict[str, Any]:
    """A plugin as its file has it."""
    return {**plugin.options, "digest": PLUGINS.digest(world), "plugin": plugin.id, "type": plugin.type}


def create(world: World, type: str, id: str, options: Mapping[str, Any]) -> None:
    """`POST /cluster/acme/plugins`. Raises `Failure`."""
    if id in plugins(world):
        raise Failure(f"ACME plugin ID '{id}' already exists")
    PLUGINS.create(world, type, id, _decoded(options))


def update(world: World, id: str, options: Mapping[str, Any], delete: Sequence[str], digest: str | None) -> None:
    """`PUT /cluster/acme/plugins/{id}`. Raises `Failure`."""
    PLUGINS.check_digest(world, digest)
    PLUGINS.update(world, find_plugin(world, id), _decoded(options), delete)


def delete(world: World, id: str) -> None:
    """`DELETE /cluster/acme/plugins/{id}`. Raises `Failure`."""
    PLUGINS.delete(world, find_plugin(world, id))


def _decoded(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the plugin's data as the lines that clients send in Base64."""
    if "data" not in options:
        return dict(options)
    try:
        text = base64.b64decode(options["data"], validate=True).decode()
    except ValueError:  # no Base64, or no text in it
        text = options["data"]
    return {**options, "data": text}


def challenges() -> list[dict[str, Any]]:
    """`GET /cluster/acme/challenge-schema`: the services that a DNS plugin can talk to."""
    found = Contract.load().find("POST", ["cluster", "acme", "plugins"])
    schema = found[0].parameters.get("api") if found else None
    return [{"id": name, "name": name, "schema": {}, "type": "dns"} for name in (schema.enum if schema else None) or ()]
