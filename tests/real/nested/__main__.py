"""`python -m tests.real.nested`: a node in a virtual machine, made with no hands, and the contracts on it."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from proxmoxer import ResourceException

from proxmox_mcp.errors import ProxmoxError
from tests.contract.runner import contracts
from tests.real.__main__ import report
from tests.real.nested.checks import check_port, check_room, check_screen, check_tools, kvm_problem
from tests.real.nested.debian import Debian
from tests.real.nested.harness import Source, Wishes, run
from tests.real.nested.installer import Installer
from tests.real.nested.machine import Machine
from tests.real.node import NodeUnfit, SetupFailed

app = typer.Typer(add_completion=False)
_OVERLAY_GIBIBYTES = 2.0


def chosen(iso: Path | None, sha256: str | None, debian: bool, folder: Path) -> Source:
    """What the machine is made from.

    Raises:
        NodeUnfit: neither or both were asked for.
    """
    if debian == (iso is not None):
        raise NodeUnfit(
            "Give the installer (--iso proxmox-ve_9.x.iso, from https://www.proxmox.com/en/downloads), or --debian "
            "for a small Debian machine in which the simulator takes the node's place."
        )
    return Debian(folder) if iso is None else Installer(iso, sha256)


@app.command()
def main(
    iso: Annotated[Path | None, typer.Option(help="The official installer, proxmox-ve_9.x.iso.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Its checksum, as published.")] = None,
    debian: Annotated[bool, typer.Option("--debian", help="A Debian machine with pvesim instead of PVE.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where the disk is kept [default: .nested/pve, …/debian].")
    ] = None,
    port: Annotated[int, typer.Option(help="On loopback, for the node's API.")] = 18006,
    memory: Annotated[int, typer.Option(help="MiB.")] = 4096,
    wait: Annotated[float | None, typer.Option(help="Seconds that the API may take to answer after the start.")] = None,
    keep: Annotated[bool, typer.Option(help="Leave the machine running afterwards.")] = False,
    console: Annotated[bool, typer.Option(help="Show the machine's screen.")] = False,
    token: Annotated[
        bool, typer.Option(help="Run as an API token made for the run, not with root's password.")
    ] = False,
    scenario: Annotated[list[str] | None, typer.Option(help="Only scenarios with this in their name.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write what passed and what was left out here (JSON).")] = None,
) -> None:
    """Make a node in a virtual machine, once, and run every contract on a fresh overlay of it."""
    # A stop by the service manager or a CI runner ends the machine as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = (folder or Path(".nested") / ("debian" if debian else "pve")).resolve()
    try:
        source = chosen(iso, sha256, debian, place)
        source.check()
        check_tools()
        check_port(port)
        check_room(place, _OVERLAY_GIBIBYTES if (place / "base.qcow2").exists() else source.gibibytes)
        if console:
            check_screen()
        problem = kvm_problem()
        if problem is not None:
            typer.echo(f"No KVM: {problem}. QEMU emulates the processor, which takes ten times as long or more.")
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        machine = Machine(place, port, memory=memory, kvm=problem is None, console=console, boot=source.boot)
        known = contracts()
        only = {name: known[name] for name in known if not scenario or any(part in name for part in scenario)}
        made = run(machine, source, typer.echo, Wishes(keep, token, wait, only))
    except (NodeUnfit, SetupFailed, ProxmoxError) as error:
        sys.exit(str(error))
    except ResourceException as error:
        sys.exit(f"PVE refuses: {error}")
    except OSError as error:
        sys.exit(f"{error.filename or place}: {error.strerror or error}. What was made is below {place}.")
    except KeyboardInterrupt:
        sys.exit("Stopped; the machine was ended.")
    report(made)
    if record is not None:
        made.write(record)
    if made.counts()["broken"]:
        sys.exit(1)


if __name__ == "__main__":
    app()
