"""The command `pvesim fault`: make things go wrong in a server that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from pvesim.core.errors import SimError

if TYPE_CHECKING:
    from pvesim.control_client import ControlClient

app = typer.Typer(
    help=(
        "Make things go wrong in a server that runs.\n\n"
        "Fields are written NAME=VALUE as in a scenario, with a dot for what is inside: "
        "pvesim fault add flaky path=/version probability=0.2 error.status=596"
    ),
    no_args_is_help=True,
)

Url = Annotated[str, typer.Option(envvar="PVESIM_URL", help="Where the server is.")]
Authority = Annotated[Path | None, typer.Option("--ca", help="PEM file of the authority to trust (serve --ca-out).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Fields = Annotated[list[str] | None, typer.Argument(help="NAME=VALUE, as in a scenario.")]
HERE = "https://127.0.0.1:8006"


@app.command("list")
def list_faults(url: Url = HERE, ca: Authority = None, as_json: AsJson = False) -> None:
    """Show the faults, and how often they struck."""
    answer = _client(url, ca).ask("GET", "/faults")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for fault in answer["faults"]:
        live = "" if fault["live"] else ", not now"
        what, does = _pairs(fault["matches"]) or "everything", _pairs(fault["effects"])
        typer.echo(f"{fault['name']}: {what} -> {does} (struck {fault['hits']} of {fault['seen']}{live})")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    fields: Fields = None,
    url: Url = HERE,
    ca: Authority = None,
) -> None:
    """Add a fault.

    Example: pvesim fault add slow-start path=/**/start delay=2s
    """
    fault = _client(url, ca).ask("POST", "/faults", {**read_fields(fields or []), "name": name})
    typer.echo(f"{fault['name']}: {_pairs(fault['effects'])}")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="Which one.")], url: Url = HERE, ca: Authority = None) -> None:
    """Take a fault away."""
    _client(url, ca).ask("DELETE", f"/faults/{quote(name, safe='')}")
    typer.echo(f"{name} is gone")


@app.command()
def clear(url: Url = HERE, ca: Authority = None) -> None:
    """Take all faults away, and empty the timeline."""
    _client(url, ca).ask("DELETE", "/faults")
    typer.echo("no faults, and nothing on the timeline")


@app.command()
def cause(fields: Fields = None, url: Url = HERE, ca: Authority = None) -> None:
    """Let something happen now.

    Example: pvesim fault cause node_offline=pve2
    """
    event = _client(url, ca).ask("POST", "/incidents", read_fields(fields or []))
    typer.echo(_pairs(event["incident"]))


@app.command()
def plan(fields: Fields = None, url: Url = HERE, ca: Authority = None) -> None:
    """Let something happen later.

    Example: pvesim fault plan when.task=qmigrate after=5s node_offline=pve2
    """
    entry = _client(url, ca).ask("POST", "/timeline", read_fields(fields or []))
    typer.echo(_line(entry))


@app.command()
def timeline(url: Url = HERE, ca: Authority = None, as_json: AsJson = False) -> None:
    """Show what is still to happen."""
    answer = _client(url, ca).ask("GET", "/timeline")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for entry in answer["timeline"]:
        typer.echo(_line(entry))


@app.command()
def cancel(name: Annotated[str, typer.Argument(help="Which entry.")], url: Url = HERE, ca: Authority = None) -> None:
    """Take an entry out of the timeline."""
    _client(url, ca).ask("DELETE", f"/timeline/{quote(name, safe='')}")
    typer.echo(f"{name} is cancelled")


def read_fields(pairs: list[str], *, nested: bool = True) -> dict[str, Any]:
    """`NAME=VALUE` pairs as fields, by a dot `nested` in others; a value is read as YAML. Raises `SimError`."""
    from pvesim.scenario.reading import read_yaml

    fields: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise SimError(f"'{pair}' is no NAME=VALUE")
        *outer, last = name.split(".") if nested else [name]
        inner = fields
        for part in outer:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise SimError(f"'{name}': {part} has a value already")
        # A message may hold what YAML gives a meaning to.
        plain = ": " in text and not text.startswith(("{", "["))
        inner[last] = text if plain or text.startswith(tuple("*&!%@`")) else read_yaml(text, name)[0]
    return fields


def _client(url: str, ca: Path | None) -> ControlClient:
    from pvesim.control_client import ControlClient

    return ControlClient(url, ca)


def _pairs(values: dict[str, Any]) -> str:
    texts = {
        name: json.dumps(value) if isinstance(value, dict | bool) else str(value) for name, value in values.items()
    }
    return ", ".join(f"{name}={text}" for name, text in texts.items())


def _line(entry: dict[str, Any]) -> str:
    moment = f"at {entry['due']:.0f}" if entry["kind"] == "at" else f"when {_pairs(entry['when'])}"
    return f"{entry['name']}: {moment}: {_pairs(entry['incident'])}"
