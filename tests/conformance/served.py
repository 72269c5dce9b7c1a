"""The MCP server over HTTP on a simulated cluster, for the conformance suite: `python -m tests.conformance.served`.

Prints its address as soon as it listens, and serves until it is ended. With `--fixtures` it has what the suite calls by
name, too; without, it is the product as it is.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import warnings
from pathlib import Path

import mcp
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

from proxmox_mcp.server import build_server, configure_logging
from proxmox_mcp.settings import load_settings
from proxmox_mcp.simulated import simulated
from tests.conformance.fixtures import add_fixtures


def main(with_fixtures: bool) -> None:
    """Serve on a free port of this machine alone."""
    # The suite still tests what the newer era has done away with.
    warnings.simplefilter("ignore", mcp.MCPDeprecationWarning)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        settings = load_settings({"access": "admin", "toolsets": "all", "state_dir": Path(folder)})
        configure_logging(settings)
        server = build_server(settings, simulated(settings, "homelab"))
        if with_fixtures:
            add_fixtures(server)
        security = TransportSecuritySettings(
            enable_dns_rebinding_protection=True, allowed_hosts=[host], allowed_origins=[f"http://{host}"]
        )
        app = server.streamable_http_app(transport_security=security)
        # What comes before uvicorn's own `listen` waits in the socket's queue: the address is good from here on.
        listening.listen()
        sys.stdout.write(f"http://{host}/mcp\n")
        sys.stdout.flush()
        # httptools, which uvicorn would take, leaves the blanks after a header's value that HTTP wants cut off.
        uvicorn.Server(uvicorn.Config(app, http="h11", log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main("--fixtures" in sys.argv[1:])
