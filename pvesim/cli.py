"""The command `pvesim`: serve a scenario, check one, print the scenario schema.

What a command needs is imported when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvesim.core.errors import SimError

if TYPE_CHECKING:
    from pvesim.serve import Identity, SimServer

app = typer.Typer(
    help="A simulated Proxmox VE cluster that answers as a real one does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ClockMode(StrEnum):
    """How virtual time passes."""

    scaled = "scaled"
    auto = "auto"
    manual = "manual"


def main() -> None:
    """The console script. Errors that a user can cause are one text each, with exit status 1."""
    try:
        app()
    except SimError as error:
        typer.echo(f"pvesim: {error}", err=True)
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pvesim {_version()}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What is common to all commands."""


@app.command()
def serve(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario that comes along, or a YAML file.")] = "homelab",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.")] = 8006,
    clock: Annotated[
        ClockMode,
        typer.Option(help="scaled: as real time does; auto: when a task is polled; manual: by the control API."),
    ] = ClockMode.scaled,
    time_scale: Annotated[
        float, typer.Option(min=0, help="Real seconds that a simulated second takes; 0 ends every task at once.")
    ] = 1.0,
    root_password: Annotated[
        str | None, typer.Option(envvar="PVESIM_ROOT_PASSWORD", help="Password of root@pam, instead of the scenario's.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all that is random, instead of the scenario's.")] = None,
    insecure_http: Annotated[bool, typer.Option("--insecure-http", help="Plain HTTP, no TLS.")] = False,
    cert: Annotated[Path | None, typer.Option(help="Your own certificate (PEM, with its chain).")] = None,
    key: Annotated[Path | None, typer.Option(help="The private key of --cert (PEM).")] = None,
    ca_out: Annotated[
        Path | None, typer.Option(help="Write the certificate authority here, for clients that verify.")
    ] = None,
    control_open: Annotated[
        bool, typer.Option("--control-open", help="Let other machines use the control API; it has no login.")
    ] = False,
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Write a line for each request.")] = False,
) -> None:
    """Serve a scenario as a Proxmox VE cluster until Ctrl-C."""
    identity = _own_identity(cert, key, insecure_http=insecure_http, ca_out=ca_out)
    from pvesim.engine import Simulator
    from pvesim.nodes.records import Node
    from pvesim.scenario import load
    from pvesim.scenario.base import DEFAULT_PASSWORD
    from pvesim.serve import SimServer

    loaded = load(scenario)
    # A clock that goes with real time begins now, unless the scenario says when it plays.
    begins_now = clock is ClockMode.scaled and "start" not in loaded.model_fields_set
    simulator = Simulator(
        loaded,
        seed=seed,
        clock=clock.value,
        time_scale=time_scale,
        root_password=root_password,
        now=time.time() if begins_now else None,
    )
    server = SimServer(
        simulator,
        host=host,
        port=port,
        tls=not insecure_http,
        identity=identity,
        names=simulator.world.rows(Node),
        control_open=control_open,
        log_requests=log_requests,
    )
    if log_requests:
        _log_to_terminal()
    if ca_out is not None:
        _write_authority(server, ca_out)
    password = root_password or loaded.root_password or DEFAULT_PASSWORD
    _run(server, _introduction(server, scenario, password))


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Scenario files, or names of scenarios that come along.")],
) -> None:
    """Check scenario files; every problem is shown with its place."""
    from pvesim.core.errors import ScenarioError
    from pvesim.guests.records import Guest
    from pvesim.nodes.records import Node
    from pvesim.scenario import build_world, load

    failed = False
    for file in files:
        try:
            scenario = load(file)
            world = build_world(scenario)
        except ScenarioError as error:
            failed = True
            typer.echo(str(error), err=True)
        else:
            holds = [("node", len(world.rows(Node))), ("guest", len(world.rows(Guest)))]
            holds.append(("contract step", len(scenario.contract)))
            counts = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in holds)
            typer.echo(f"{file}: OK ({counts})")
    if failed:
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from pvesim.scenario import schema_json

    typer.echo(schema_json().decode(), nl=False)


def _own_identity(cert: Path | None, key: Path | None, *, insecure_http: bool, ca_out: Path | None) -> Identity | None:
    if insecure_http and (cert or key or ca_out):
        raise SimError("--insecure-http has no certificate: leave out --cert, --key and --ca-out")
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise SimError("--cert and --key belong together: give both")
    if ca_out is not None:
        raise SimError("--ca-out is for the certificate that pvesim makes: leave it out with --cert")
    from pvesim.serve import read_identity

    return read_identity(cert, key)


def _write_authority(server: SimServer, path: Path) -> None:
    try:
        path.write_bytes(Path(server.ca_file).read_bytes())
    except OSError as error:
        server.stop()
        raise SimError(f"cannot write {path}: {error.strerror}") from error


def _introduction(server: SimServer, scenario: str, password: str) -> str:
    lines = [
        f"pvesim {_version()} serves {scenario}",
        f"  URL          {server.url}",
        "  User         root@pam",
        f"  Password     {password}",
    ]
    if server.identity is not None:
        lines.append(f"  Fingerprint  {server.fingerprint}")
    lines += [f"  Control API  {server.url}/_sim/docs", "Stop it with Ctrl-C."]
    return "\n".join(lines)


def _run(server: SimServer, introduction: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    import signal
    import threading

    asked_to_end = threading.Event()

    def end(_signal: int, _frame: Any) -> None:
        asked_to_end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        server.start()
        typer.echo(introduction)
        asked_to_end.wait()
    finally:
        server.stop()


def _log_to_terminal() -> None:
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("pvesim.requests")
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("proxmoxapi-mcp")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
