"""All areas of the API: importing their routes is what makes them known."""

from __future__ import annotations

from importlib import import_module

_ROUTES = (
    "pvesim.access.routes",
    "pvesim.cluster.routes",
    "pvesim.nodes.routes",
    "pvesim.nodes.task_routes",
)


def load() -> None:
    """Import the routes of every area. Does nothing the second time."""
    for module in _ROUTES:
        import_module(module)
