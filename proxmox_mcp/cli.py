"""The command line: `proxmox-mcp serve`; the operator's other commands are in `safety.cli`.

Standard output belongs to the protocol while serving, so whatever is said to a person goes to standard error. The MCP
SDK is imported when it is needed: `--help` answers without it.
"""

import gc
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from proxmox_mcp import __version__
from proxmox_mcp.errors import ProxmoxError, SettingsError
from proxmox_mcp.safety import cli as safety

app = typer.Typer(
    name="proxmox-mcp",
    help="An MCP server that runs a Proxmox VE cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# A wrong use of the command line ends with 2, as it does for the options themselves.
_BAD_SETTINGS = 2


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"proxmox-mcp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """An MCP server that runs a Proxmox VE cluster."""


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings; PROXMOX_CONFIG does the same.", show_default=False)
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(
            help="File of variables; PROXMOX_ENV_FILE does the same. If not given, what .env says of the connection."
        ),
    ] = None,
    simulate: Annotated[
        str | None,
        typer.Option(metavar="SCENARIO", help="Serve a simulated cluster instead: a scenario's name, or its file."),
    ] = None,
    time_scale: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="With --simulate: the real seconds that a simulated one takes; if not given, simulated tasks go on "
            "whenever they are looked at.",
        ),
    ] = None,
    access: Annotated[str | None, typer.Option(help="read (default), operate or admin.")] = None,
    toolsets: Annotated[str | None, typer.Option(help="Which toolsets: names with commas, default or all.")] = None,
    tools: Annotated[str | None, typer.Option(help="Which tools, by name; with --toolsets, these besides.")] = None,
    policy: Annotated[Path | None, typer.Option(help="TOML file of what is allowed, asked about and denied.")] = None,
    approval: Annotated[str | None, typer.Option(help="ask (default), client, command or model.")] = None,
    approval_minutes: Annotated[float | None, typer.Option(help="How long a request for approval counts.")] = None,
    audit: Annotated[str | None, typer.Option(help="What is recorded: writes (default), or all.")] = None,
    upload_folder: Annotated[Path | None, typer.Option(help="Folder whose files may be uploaded to storages.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Folder of the audit and of approvals.")] = None,
    host: Annotated[str | None, typer.Option(help="A node of the cluster.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of its API; 8006 if not given.")] = None,
    user: Annotated[str | None, typer.Option(help="User with realm, such as root@pam; or user!token.")] = None,
    token_name: Annotated[str | None, typer.Option(help="Name of the API token.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="PEM file of the certificate authority to trust.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="SHA-256 fingerprint of the certificate to accept.")] = None,
    verify_tls: Annotated[
        bool | None, typer.Option("--verify-tls/--no-verify-tls", help="Check the certificate; on if not given.")
    ] = None,
    connect_timeout: Annotated[float | None, typer.Option(help="Seconds to wait for a connection.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one call to PVE may take.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="How many requests at once.")] = None,
    retries: Annotated[int | None, typer.Option(help="How often a read is repeated.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR; to standard error.")] = None,
) -> None:
    """Serve MCP over standard input and output.

    Every option is also an environment variable (PROXMOX_HOST, PROXMOX_ACCESS, …) and a key of the TOML file. Secrets
    are given there alone: PROXMOX_TOKEN_VALUE or PROXMOX_PASSWORD.
    """
    beside = {"config", "env_file", "simulate", "time_scale"}
    options = {name: value for name, value in locals().items() if name not in {*beside, "beside"} and value is not None}
    try:
        if time_scale is not None and simulate is None:
            raise SettingsError("--time-scale is for a simulated cluster.", "Give --simulate too, or leave it out.")
        _serve(options, (config, env_file), simulate, time_scale)
    except ProxmoxError as error:
        print(f"proxmox-mcp: {error}", file=sys.stderr)
        raise typer.Exit(_BAD_SETTINGS) from None


def _serve(
    options: dict[str, Any], files: tuple[Path | None, Path | None], simulate: str | None, time_scale: float | None
) -> None:
    # Thousands of objects are made while the SDK is imported, and none is garbage: looking for it takes a tenth of the
    # time. `serve_stdio` starts the collector again.
    gc.disable()
    from proxmox_mcp.settings import load_settings

    config, env_file = files
    settings = load_settings(options, config=config, env_file=env_file)
    if simulate is None:
        settings.require_connection()

    from proxmox_mcp.server import build_server, configure_logging, serve_stdio

    configure_logging(settings)
    pve = None
    if simulate is not None:
        from proxmox_mcp.simulated import simulated

        pve = simulated(settings, simulate, time_scale, options.get("user", "root@pam"))
    serve_stdio(build_server(settings, pve))


safety.add_to(app)


def main() -> None:
    """Run the command line."""
    # The first process of a container heeds no signal by itself; serving takes this one over.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    app()
