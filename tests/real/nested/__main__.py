"""`python -m tests.real.nested`: installs PVE in a virtual machine with no hands, and runs the contracts on it."""

import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from proxmoxer import ResourceException

from proxmox_mcp.errors import ProxmoxError
from proxmox_mcp.settings import Connection
from tests.real.__main__ import report
from tests.real.nested.answer import Answers
from tests.real.nested.machine import Machine, check_port, check_tools, end, kvm_works
from tests.real.nested.media import build, check_iso, checksum
from tests.real.node import NodeUnfit, RealNode, SetupFailed
from tests.real.run import run_all

app = typer.Typer(add_completion=False)
_LOG_LINES = 30


def wait_for_api(connection: Connection, process: subprocess.Popen[bytes], limit: float) -> RealNode:
    """A node whose API answers. Raises `NodeUnfit` when the machine ends, or the time is over, before it does."""
    until, pause = time.monotonic() + limit, 1.0
    node = RealNode(connection)
    while process.poll() is None and time.monotonic() < until:
        try:
            node.get("version")
        except (NodeUnfit, ProxmoxError, ResourceException):
            time.sleep(pause)
            pause = min(pause * 1.5, 10.0)
        else:
            return node
    node.close()
    raise NodeUnfit("The machine ended by itself." if process.poll() is not None else f"No API within {limit:g} s.")


def install(machine: Machine, iso: Path, password: str, limit: float) -> None:
    """Install on a new disk; it becomes the base only when the installer has finished.

    Raises:
        NodeUnfit: it did not finish in time.
    """
    medium = build(iso, Answers(password), machine.folder)
    subprocess.run(machine.disk_commands()[0], check=True)
    process = subprocess.Popen(machine.command(machine.base, medium))
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        raise NodeUnfit(f"The installer has not finished within {limit:g} s; --console shows what it does.") from None
    finally:
        end(process)
        medium.unlink()
    (machine.folder / "password").write_text(password)
    (machine.folder / "password").chmod(0o600)
    (machine.folder / "installed").write_text(checksum(iso))


def is_installed(machine: Machine, iso: Path) -> bool:
    """Whether the kept disk was installed from this very ISO."""
    stamp = machine.folder / "installed"
    return machine.base.is_file() and stamp.is_file() and stamp.read_text() == checksum(iso)


@app.command()
def main(
    iso: Annotated[Path, typer.Option(help="The official installer, proxmox-ve_9.x.iso.")],
    sha256: Annotated[str | None, typer.Option(help="Its checksum, as published.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the disk is kept.")] = Path(".nested"),
    port: Annotated[int, typer.Option(help="On loopback, for the node's API.")] = 18006,
    memory: Annotated[int, typer.Option(help="MiB.")] = 4096,
    keep: Annotated[bool, typer.Option(help="Leave the machine running afterwards.")] = False,
    console: Annotated[bool, typer.Option(help="Show the machine's screen.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write what passed and what was left out here (JSON).")] = None,
) -> None:
    """Install PVE in a virtual machine, once, and run every contract on a fresh overlay of it."""
    try:
        check_iso(iso, sha256)
        check_tools()
        check_port(port)
        folder.mkdir(parents=True, exist_ok=True)
        machine = Machine(folder.resolve(), port, memory=memory, kvm=kvm_works(), console=console)
        if not machine.kvm:
            typer.echo("There is no KVM here: QEMU emulates the processor, which takes ten times as long or more.")
        broken = _run(machine, iso, keep, record)
    except (NodeUnfit, SetupFailed, ProxmoxError, ResourceException, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
    sys.exit(1 if broken else 0)


def _run(machine: Machine, iso: Path, keep: bool, record: Path | None) -> int:
    """How many steps did not hold."""
    patience = 1.0 if machine.kvm else 10.0
    if not is_installed(machine, iso):
        install(machine, iso, secrets.token_urlsafe(18), 1800 * patience)
    machine.overlay.unlink(missing_ok=True)
    subprocess.run(machine.disk_commands()[1], check=True)
    began = time.monotonic()
    process = subprocess.Popen(machine.command(machine.overlay))
    password = (machine.folder / "password").read_text()
    # The certificate is made at the first start, and the way leads over this machine's own loopback.
    there = Connection(host="127.0.0.1", port=machine.port, user="root@pam", password=password, verify_tls=False)
    try:
        node = wait_for_api(there, process, 600 * patience)
        typer.echo(f"The API answers after {time.monotonic() - began:.0f} s.")
        made = run_all(node, typer.echo, throwaway=True)
        node.close()
    except BaseException:
        _show_log(machine.log)
        raise
    finally:
        if keep:
            typer.echo(f"The machine runs on as process {process.pid}; its API is https://127.0.0.1:{machine.port}.")
        else:
            end(process)
    report(made)
    if record is not None:
        made.called = f"nested, installed from {iso.name}"
        made.write(record)
    return made.counts()["broken"]


def _show_log(log: Path) -> None:
    if log.is_file():
        typer.echo(f"The end of {log}:")
        for line in log.read_text(errors="replace").splitlines()[-_LOG_LINES:]:
            typer.echo(f"    {line}")


if __name__ == "__main__":
    app()
