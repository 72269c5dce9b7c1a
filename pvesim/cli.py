"""The command `pvesim`: serve a scenario, check one, print the scenario schema.

What a command needs is imported when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvesim.core.errors import SimError
from pvesim.faults.cli import app as fault_app
from pvesim.faults.cli import read_fields

if TYPE_CHECKING:
    from pvesim.serve import Identity

app = typer.Typer(
    help="A simulated Proxmox VE cluster that answers as a real one does.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(fault_app, name="fault")


class ClockMode(StrEnum):
    """How virtual time passes."""

    scaled = "scaled"
    auto = "auto"
    manual = "manual"


def main() -> None:
    """The console script. Errors that a user can cause are one text each, with exit status 1."""
    # The first process of a container heeds no signal by itself; serving takes this one over.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
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
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            envvar="PVESIM_SCENARIOS",
            help="Names of scenarios that come along, or YAML files; each has a port of its own.",
            show_default="homelab",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(envvar="PVESIM_HOST", help="Address to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on, the next ones for further scenarios; 0 for free ones.")
    ] = 8006,
    clock: Annotated[
        ClockMode,
        typer.Option(
            envvar="PVESIM_CLOCK",
            help="scaled: as real time does; auto: when a task is polled; manual: by the control API.",
        ),
    ] = ClockMode.scaled,
    time_scale: Annotated[
        float,
        typer.Option(
            min=0,
            envvar="PVESIM_TIME_SCALE",
            help="Real seconds that a simulated second takes; 0 ends every task at once.",
        ),
    ] = 1.0,
    root_password: Annotated[
        str | None, typer.Option(envvar="PVESIM_ROOT_PASSWORD", help="Password of root@pam, instead of the scenario's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(envvar="PVESIM_SEED", help="Seed of all that is random, instead of the scenario's.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Keep the world in this file, and go on from it after a restart.")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for a variable of the scenarios; may be repeated.")
    ] = None,
    insecure_http: Annotated[bool, typer.Option("--insecure-http", help="Plain HTTP, no TLS.")] = False,
    cert: Annotated[Path | None, typer.Option(help="Your own certificate (PEM, with its chain).")] = None,
    key: Annotated[Path | None, typer.Option(help="The private key of --cert (PEM).")] = None,
    ca_out: Annotated[
        Path | None, typer.Option(help="Write the certificate authority here, for clients that verify.")
    ] = None,
    control_open: Annotated[
        bool,
        typer.Option(
            "--control-open",
            envvar="PVESIM_CONTROL_OPEN",
            help="Let other machines use the control API; it has no login.",
        ),
    ] = False,
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Write a line for each request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print how to reach it as one line of JSON.")] = False,
) -> None:
    """Serve scenarios as Proxmox VE clusters until Ctrl-C."""
    identity = _own_identity(cert, key, insecure_http=insecure_http, ca_out=ca_out)
    from pvesim.serve import command

    wanted = command.Wanted(
        host=host,
        port=port,
        clock=clock.value,
        time_scale=time_scale,
        root_password=root_password,
        seed=seed,
        tls=not insecure_http,
        identity=identity,
        ca_out=ca_out,
        control_open=control_open,
        log_requests=log_requests,
        state=state,
        variables=read_fields(variables or [], nested=False),
    )
    served = command.prepare(scenarios or ["homelab"], wanted)
    if log_requests:
        _log_to_terminal()
    introduce = command.introduction_json if as_json else command.introduction
    command.run(served, lambda: typer.echo(introduce(served, _version())))


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Scenario files, or names of scenarios that come along.")],
    variables: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for a variable of the files; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check scenario files; every problem is shown with its place. Ends with 1 if there are any."""
    import json

    from pvesim.core.errors import ScenarioError
    from pvesim.guests.records import Guest
    from pvesim.nodes.records import Node
    from pvesim.scenario import build_world, load

    given = read_fields(variables or [], nested=False)
    findings: list[dict[str, Any]] = []
    for file in files:
        try:
            scenario = load(file, variables=given)
            world = build_world(scenario)
        except ScenarioError as error:
            findings.append({"file": file, "problems": error.problems})
            if not as_json:
                typer.echo(str(error), err=True)
            continue
        holds = {
            "node": len(world.rows(Node)),
            "guest": len(world.rows(Guest)),
            "contract step": len(scenario.contract),
        }
        findings.append({"file": file, "problems": [], **{f"{what}s": count for what, count in holds.items()}})
        if not as_json:
            counts = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in holds.items())
            typer.echo(f"{file}: OK ({counts})")
    if as_json:
        typer.echo(json.dumps(findings, indent=1))
    if any(finding["problems"] for finding in findings):
        raise typer.Exit(1)


@app.command()
def dump(
    url: Annotated[str, typer.Argument(envvar="PVESIM_URL", help="Where the server is.")] = "https://127.0.0.1:8006",
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM file of the authority to trust.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
) -> None:
    """Write the world of a server that runs as a scenario file that loads to the same world."""
    from pvesim.control_client import ControlClient

    text = ControlClient(url, ca).text("/dump")
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SimError(f"cannot write {output}: {error.strerror}") from error


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from pvesim.scenario import schema_json

    typer.echo(schema_json().decode(), nl=False)


_Host = Annotated[str, typer.Option(help="Name or address of a node of the cluster.")]
_Port = Annotated[int, typer.Option(help="Port of its API.")]
_Token = Annotated[str, typer.Option(help="API token as user@realm!name; PVEAuditor on / is enough.")]
_Secret = Annotated[
    str, typer.Option(envvar="PVESIM_TOKEN_SECRET", help="The token's secret; better given by the environment.")
]
_Authority = Annotated[Path | None, typer.Option("--ca", help="Authority that signed the certificate (PEM).")]
_Fingerprint = Annotated[str | None, typer.Option(help="SHA-256 fingerprint of the certificate, as PVE shows it.")]
_Insecure = Annotated[bool, typer.Option("--insecure", help="Do not verify the certificate.")]


@app.command("import")
def read_in(
    host: _Host,
    token: _Token,
    secret: _Secret,
    port: _Port = 8006,
    ca: _Authority = None,
    fingerprint: _Fingerprint = None,
    insecure: _Insecure = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the scenario here, not to the terminal.")
    ] = None,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Replace names, addresses, comments and keys, always in the same way.")
    ] = False,
    tasks: Annotated[bool, typer.Option(help="Read what the cluster has done, too.")] = True,
) -> None:
    """Read a live cluster into a scenario file, by GET requests only."""
    import yaml

    from pvesim.live import LiveCluster, anonymised, read_cluster

    authority = None if ca is None else str(ca)
    live = LiveCluster(host, token, secret, port=port, ca=authority, fingerprint=fingerprint, insecure=insecure)
    reading = read_cluster(live, tasks=tasks)
    for note in reading.notes:
        typer.echo(note, err=True)
    scenario = anonymised(reading.scenario) if anonymise else reading.scenario
    text = yaml.safe_dump(scenario, sort_keys=False, width=120, allow_unicode=True)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text)
    except OSError as error:
        raise SimError(f"cannot write {out}: {error.strerror}") from error
    guests = len(scenario.get("vms", {})) + len(scenario.get("containers", {}))
    typer.echo(f"{out}: {len(scenario['nodes'])} nodes, {guests} guests")


@app.command()
def compare(
    host: _Host,
    token: _Token,
    secret: _Secret,
    scenario: Annotated[str, typer.Option(help="Scenario to compare it with: a name, or a YAML file.")],
    port: _Port = 8006,
    ca: _Authority = None,
    fingerprint: _Fingerprint = None,
    insecure: _Insecure = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> None:
    """Ask a live cluster and a scenario the same, by GET requests only. Ends with 3 if they answer differently."""
    import json

    from pvesim.engine import Simulator
    from pvesim.live import LiveCluster, SimulatedCluster
    from pvesim.live import compare as compared

    authority = None if ca is None else str(ca)
    live = LiveCluster(host, token, secret, port=port, ca=authority, fingerprint=fingerprint, insecure=insecure)
    found = compared(live, SimulatedCluster(Simulator(scenario, clock="manual")))
    if as_json:
        data = {"paths": found.paths, "findings": [finding.to_json() for finding in found.findings]}
        typer.echo(json.dumps(data, indent=1))
    else:
        for finding in found.findings:
            typer.echo(finding.words())
        typer.echo(f"{found.paths} paths read, {len(found.findings)} differences")
    if found.findings:
        raise typer.Exit(3)


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
