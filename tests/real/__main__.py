"""`python -m tests.real`: the contracts on a real node."""

import logging
import re
import signal
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
import urllib3
from proxmoxer import ResourceException
from pydantic import ValidationError
from urllib3.exceptions import InsecureRequestWarning

from proxmox_mcp import transport
from proxmox_mcp.errors import SettingsError
from proxmox_mcp.settings import Connection
from pvesim.scenario import Scenario
from tests.contract.runner import contracts
from tests.real.node import NodeUnfit, RealNode, SetupFailed, in_our_words
from tests.real.record import Record
from tests.real.run import FIRST, LAST, POOL, run_all
from tests.real.sweep import sweep

ANSWERED_WITHIN = 60.0
app = typer.Typer(add_completion=False)


def connection(
    url: str,
    user: str,
    password: str,
    token: str,
    *,
    ca: Path | None = None,
    fingerprint: str = "",
    insecure: bool = False,
    timeout: float = ANSWERED_WITHIN,
) -> Connection:
    """How the node is reached.

    Raises:
        NodeUnfit: what was given does not say it.
    """
    if not url:
        raise NodeUnfit("Give the node's address: --url, or PVE_TEST_URL.")
    parts = urlsplit(url if "//" in url else f"https://{url}")
    if not parts.hostname or parts.scheme != "https":
        raise NodeUnfit(f"{url!r} is no address of a node; give one such as https://192.0.2.10:8006.")
    login: dict[str, Any] = {"user": user, "password": password or None}
    if token:
        parts_of_token = re.fullmatch(r"(?P<user>[^!=]+)!(?P<token_name>[^!=]+)=(?P<token_value>.+)", token)
        if parts_of_token is None:
            raise NodeUnfit("The token is none; give it as user@realm!name=secret.")
        login = parts_of_token.groupdict()
    try:
        made = Connection(
            host=parts.hostname, port=parts.port or 8006, ca_file=ca, fingerprint=fingerprint or None,
            verify_tls=not insecure, timeout=timeout, **login,
        )  # fmt: skip
        made.require_connection()
    except ValidationError as error:
        raise NodeUnfit("; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())) from None
    except SettingsError as error:
        raise NodeUnfit(in_our_words(error)) from None
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


def picked(parts: list[str]) -> dict[str, Scenario]:
    """The scenarios with one of the texts in their names.

    Raises:
        NodeUnfit: there is none.
    """
    known = contracts()
    chosen = {name: known[name] for name in known if any(part in name for part in parts)}
    if not chosen:
        raise NodeUnfit(f"No scenario has {' or '.join(parts)} in its name; there are: {', '.join(known)}.")
    return chosen


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
    timeout: Annotated[float, typer.Option(help="Seconds that an answer may take.")] = ANSWERED_WITHIN,
    only_sweep: Annotated[bool, typer.Option("--sweep", help="Remove what a run that was broken off left.")] = False,
    throwaway: Annotated[bool, typer.Option(help="Change the node's network and services, too, for good.")] = False,
    scenario: Annotated[list[str] | None, typer.Option(help="Only scenarios with this in their name.")] = None,
    called: Annotated[str, typer.Option(help="What the record calls the node.")] = "a PVE node",
    record: Annotated[Path | None, typer.Option(help="Write what passed and what was left out here (JSON).")] = None,
) -> None:
    """Run every scenario's contract on a real node, which is afterwards as it was."""
    # A stop by the service manager or a CI runner clears away as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if insecure:
        # Who says so need not be told again with every connection.
        urllib3.disable_warnings(InsecureRequestWarning)
        logging.getLogger(transport.__name__).setLevel(logging.ERROR)
    try:
        first, last = id_range(range or f"{FIRST}-{LAST}")
        way: Any = {"ca": ca, "fingerprint": fingerprint, "insecure": insecure, "timeout": timeout}
        node = RealNode(connection(url, user, password, token, **way))
        if only_sweep:
            for line in sweep(node, pool):
                typer.echo(f"removed {line}")
            return
        chosen = picked(scenario or [""])
        told = range is not None and pool is not None
        own: Any = {"pool": pool or POOL, "first": first, "last": last}
        made = run_all(node, typer.echo, **own, told=told, throwaway=throwaway, only=chosen)
        node.close()
    except (NodeUnfit, SetupFailed) as error:
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
    """The figures, what is different, what was left out and why, and what took longest."""
    counts = record.counts()
    figures = ", ".join(f"{number} {state}" for state, number in counts.items())
    share = counts["passed"] / max(1, sum(counts.values()))
    typer.echo(f"{figures}: {share:.0%} of all steps, in {record.seconds:.0f} s")
    for step, why in record.differences().items():
        typer.echo(f"different: {step}: {why}")
    for why, steps in record.reasons().items():
        typer.echo(f"left out, because {why}:")
        for step in steps:
            typer.echo(f"    {step}")
    typer.echo("slowest:")
    for scenario, run in record.slowest():
        typer.echo(f"    {run.seconds:6.1f} s  {scenario}: {run.step}")


if __name__ == "__main__":
    app()
