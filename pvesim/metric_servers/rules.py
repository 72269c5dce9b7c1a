"""Metric servers, the sections of `status.cfg`. Nothing is sent to them: no simulated byte leaves the process.

Sources: `/cluster/metrics/server`, the recorded exchanges `cluster/023` to `cluster/026`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.sections import Section, SectionType, plain_file
from pvesim.core.world import World


class MetricServer(Section):
    """A server that wants the cluster's metrics."""

    __slots__ = ()


_SECRETS = ("token",)  # goes to a file of its own that no answer shows
_COMMON = "disable mtu timeout"
_OTEL = (
    "otel-compression otel-headers otel-max-body-size otel-path otel-protocol otel-resource-attributes otel-timeout "
    "otel-verify-ssl"
)
_INFLUX = "influxdbproto max-body-size api-path-prefix bucket organization verify-certificate token"
SERVERS = plain_file(
    MetricServer,
    {
        "graphite": SectionType.of(required="server port", optional=f"{_COMMON} path proto"),
        "influxdb": SectionType.of(required="server port", optional=f"{_COMMON} {_INFLUX}"),
        "opentelemetry": SectionType.of(required="server port", optional=f"{_COMMON} {_OTEL}"),
    },
)


def listed(world: World) -> list[dict[str, Any]]:
    """`GET /cluster/metrics/server`."""
    return [
        {
            "disable": int(bool(server.options.get("disable"))),
            "id": server.id,
            "port": server.options["port"],
            "server": server.options["server"],
            "type": server.type,
        }
        for server in world.rows(MetricServer).values()
    ]


def show(world: World, id: str) -> dict[str, Any]:
    """`GET /cluster/metrics/server/{id}`. Raises `Failure`."""
    server = world.get(MetricServer, id)
    if server is None:
        raise Failure(f"status server entry '{id}' does not exist")
    shown = {name: value for name, value in server.options.items() if name not in _SECRETS}
    return {**shown, "id": id, "type": server.type}


def create(world: World, type: str, id: str, options: Mapping[str, Any]) -> None:
    """`POST /cluster/metrics/server/{id}`. Raises `Failure`."""
    if world.get(MetricServer, id) is not None:
        raise Failure(f"Metric server '{id}' already exists")
    SERVERS.create(world, type, id, options)


def update(world: World, id: str, options: Mapping[str, Any], delete: Sequence[str], digest: str | None) -> None:
    """`PUT /cluster/metrics/server/{id}`. Raises `Failure`."""
    SERVERS.check_digest(world, digest)
    server = world.get(MetricServer, id)
    if server is None:
        raise Failure(f"no such server '{id}'")
    SERVERS.update(world, server, options, delete)


def delete(world: World, id: str) -> None:
    """`DELETE /cluster/metrics/server/{id}`. Raises `Failure`."""
    server = world.get(MetricServer, id)
    if server is None:
        raise Failure("cannot lookup undefined type!")
    SERVERS.delete(world, server)
