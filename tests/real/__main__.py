"""`python -m tests.real`: the contracts on a real node."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from proxmoxer import ResourceException
from pydantic import ValidationError

from proxmox_mcp.errors import ProxmoxError
from proxmox_mcp.settings import Connection
from tests.contract.runner import contracts
from tests.real.node import NodeUnfit, RealNode, SetupFailed
from tests.real.record import Record
from tests.real.run import FIRST, LAST, POOL, run_all
from tests.real.sweep import sweep

app = typer.Typer(add_completion=False)


def connection(
    url: str, user: str, password: str, token: str, ca: Path | None, fingerprint: str, insecure: bool
) -> Connection:
    """How the node is reached.

    Raises:
        NodeUnfit: what was given does not say it.
    """
    parts = urlsplit(url if "//" in url else f"https://{url}")
    if not parts.hostname or parts.scheme != "https":
        raise NodeUnfit(f"{url!r} is no address of a node; give one such as https://192.0.2.10:8006.")
    login: dict[str, Any] = {"user": user, "password": password or None}
    if token:
        name, _, secret = token.partition("=")
        login = {"user": name.partition("!")[0], "token_name": name.partition("!")[2], "token_value": secret}
    try:
        made = Connection(
            host=parts.hostname, port=parts.port or 8006, ca_file=ca, fingerprint=fingerprint or None,
            verify_tls=not insecure, **login,
        )  # fmt: skip
        made.require_connection()
    except ValidationError as error:
        raise NodeUnfit("; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())) from None
    return made


def id_range(text: str) -> tuple[int, int]:
    """`9000-9099` as numbers.

    Raises:
        NodeUnfit: it is none.
    """
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 100 <= int(first) <= int(last)):
        raise NodeUnfit(f"{text!r} is no range of ids; give one such as {FIRST}-{LAST}.")
    return int(first), int(last)


@app.command()
def main(
    url: Annotated[str, typer.Option(envvar="PVE_TEST_URL", help="Address of the node.")] = "",
    user: Annotated[str, typer.Option(envvar="PVE_TEST_USER", help="With its realm.")] = "root@pam",
    password: Annotated[str, typer.Option(envvar="PVE_TEST_PASSWORD")] = "",
    token: Annotated[str, typer.Option(envvar="PVE_TEST_TOKEN", help="user@realm!name=secret")] = "",
    ca: Annotated[Path | None, typer.Option(envvar="PVE_TEST_CA", help="The cluster's pve-root-ca.pem.")] = None,
    fingerprint: Annotated[str, typer.Option(envvar="PVE_TEST_FINGERPRINT", help="SHA-256 of the certificate.")] = "",
    insecure: Annotated[bool, typer.Option(help="Trust any certificate.")] = False,
    range: Annotated[str | None, typer.Option(help="Ids that are the run's own, such as 9000-9099.")] = None,
    pool: Annotated[str | None, typer.Option(help="Pool that is the run's own.")] = None,
    only_sweep: Annotated[bool, typer.Option("--sweep", help="Remove what a run that was broken off left.")] = False,
    throwaway: Annotated[bool, typer.Option(help="Change the node's network and services, too, for good.")] = False,
    scenario: Annotated[list[str] | None, typer.Option(help="Only scenarios with this in their name.")] = None,
    called: Annotated[str, typer.Option(help="What the record calls the node.")] = "a PVE node",
    record: Annotated[Path | None, typer.Option(help="Write what passed and what was left out here (JSON).")] = None,
) -> None:
    """Run every scenario's contract on a real node, which is afterwards as it was."""
    # A stop by the service manager or a CI runner clears away as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        first, last = id_range(range or f"{FIRST}-{LAST}")
        if not url:
            raise NodeUnfit("Give the node's address: --url, or PVE_TEST_URL.")
        node = RealNode(connection(url, user, password, token, ca, fingerprint, insecure))
        if only_sweep:
            for line in sweep(node, pool or POOL, first, last):
                typer.echo(f"removed {line}")
            return
        known = contracts()
        chosen = {name: known[name] for name in known if not scenario or any(part in name for part in scenario)}
        told = range is not None and pool is not None
        own: Any = {"pool": pool or POOL, "first": first, "last": last}
        made = run_all(node, typer.echo, **own, told=told, throwaway=throwaway, only=chosen)
        node.close()
    except (NodeUnfit, SetupFailed, ProxmoxError) as error:
        sys.exit(str(error))
    except ResourceException as error:
        sys.exit(f"PVE refuses: {error}")
    except KeyboardInterrupt:
        sys.exit("Stopped; what the run made was removed.")
    report(made)
    if record is not None:
        made.called = called
        made.write(record)
    if made.counts()["broken"]:
        sys.exit(1)


def report(record: Record) -> None:
    """The figures, what was left out and why, and what took longest."""
    counts = record.counts()
    typer.echo(", ".join(f"{number} {state}" for state, number in counts.items()))
    for why, steps in record.reasons().items():
        typer.echo(f"left out, because {why}:")
        for step in steps:
            typer.echo(f"    {step}")
    typer.echo("slowest:")
    for scenario, run in record.slowest():
        typer.echo(f"    {run.seconds:6.1f} s  {scenario}: {run.step}")


if __name__ == "__main__":
    app()
