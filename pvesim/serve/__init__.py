"""How a world is reached: over HTTPS, or in the same process.

The names of the server are loaded when they are first used: a world in the same process needs no HTTP server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pvesim.serve.errors import ServeError
    from pvesim.serve.server import SimServer
    from pvesim.serve.tls import Identity, make_identity, read_identity

__all__ = ["Identity", "ServeError", "SimServer", "make_identity", "read_identity"]

_HOMES = {
    "Identity": "tls",
    "ServeError": "errors",
    "SimServer": "server",
    "make_identity": "tls",
    "read_identity": "tls",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
