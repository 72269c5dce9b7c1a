"""A nested node from its disk to its record: made once, started on an overlay, put to the contracts, shut down."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from proxmox_mcp.settings import Connection
from pvesim.scenario import Scenario
from tests.real.nested.machine import Machine
from tests.real.nested.programs import run_tool
from tests.real.nested.running import Running
from tests.real.node import NodeUnfit, RealNode
from tests.real.record import Record
from tests.real.run import run_all

_LOG_LINES = 30
_DOWN_SECONDS = 120.0
_SLOW = 10.0
"""How much longer everything may take where QEMU emulates the processor."""
Say = Callable[[str], None]


class Source(Protocol):
    """What a machine's disk is made from.

    Attributes:
        called: what the record calls the node.
        boot: QEMU's arguments for starting it.
        boot_seconds: how long its API may take to answer.
        gibibytes: what its files take, at most.
    """

    boot_seconds: float
    gibibytes: float

    @property
    def called(self) -> str: ...

    @property
    def boot(self) -> list[str]: ...

    def check(self) -> None:
        """Raises `NodeUnfit` before anything is touched."""

    def mark(self) -> str:
        """What the disk is made from; another mark makes another disk."""

    def make(self, machine: Machine, password: str, patience: float) -> None:
        """Make the disk; `NodeUnfit` when it cannot be made."""


@dataclass(frozen=True)
class Wishes:
    """What is asked of a run.

    Attributes:
        keep: the machine runs on afterwards.
        token: the contracts are run as a token made for them, not with root's password.
        seconds: how long the API may take to answer, where that is not left to the source.
        only: the scenarios by name; all of them by default.
    """

    keep: bool = False
    token: bool = False
    seconds: float | None = None
    only: Mapping[str, Scenario] | None = None


def run(machine: Machine, source: Source, say: Say, wishes: Wishes) -> Record:
    """Run the contracts on a fresh overlay of the disk, which is made first where it is not there.

    Raises:
        NodeUnfit: the disk cannot be made, or the machine's API does not answer.
        SetupFailed, ResourceException: the node could not be cleared.
    """
    patience = 1.0 if machine.kvm else _SLOW
    for old in (machine.complaints, machine.log, machine.screen):
        old.unlink(missing_ok=True)
    new = _prepare(machine, source, say, patience)
    machine.overlay.unlink(missing_ok=True)
    run_tool(machine.new_overlay(), "overlay")
    began = time.monotonic()
    with _switched_on(machine, say, keep=wishes.keep, patience=patience) as running:
        try:
            node = running.wait_for_api(machine.password.read_text(), wishes.seconds or source.boot_seconds * patience)
        except NodeUnfit:
            if new:
                # Nobody has seen this disk work, so it is not taken again.
                machine.stamp.unlink()
            raise
        say(f"The API answers after {time.monotonic() - began:.1f} s.")
        if wishes.token:
            node = with_token(node)
        try:
            began = time.monotonic()
            made = run_all(node, say, throwaway=True, only=wishes.only)
        finally:
            node.close()
        say(f"The contracts took {time.monotonic() - began:.0f} s.")
    made.called = source.called
    return made


def _prepare(machine: Machine, source: Source, say: Say, patience: float) -> bool:
    """Make the disk, unless it is there; whether it was made."""
    mark = source.mark()
    if machine.is_made_from(mark):
        say(f"The disk {machine.base} is there already and is used again.")
        return False
    say(f"Making the disk {machine.base}. This takes some minutes, and PVE's installer an hour and more without KVM.")
    began = time.monotonic()
    machine.stamp.unlink(missing_ok=True)
    password = secrets.token_urlsafe(18)
    machine.password.touch(mode=0o600)
    machine.password.write_text(password)
    try:
        source.make(machine, password, patience)
    except NodeUnfit:
        _show(machine, say)
        raise
    machine.stamp.write_text(mark)
    say(f"The disk is made after {time.monotonic() - began:.0f} s.")
    return True


@contextmanager
def _switched_on(machine: Machine, say: Say, *, keep: bool, patience: float) -> Iterator[Running]:
    """The machine on its overlay. Afterwards it is off, unless it is to be kept and nobody interrupted the run."""
    running = Running(machine, machine.command(machine.overlay))
    kept = False
    try:
        say(f"The machine is on (process {running.process.pid}).")
        try:
            yield running
        except Exception:
            running.picture()
            _show(machine, say)
            kept = keep
            raise
        if not keep:
            _shut_down(running, say, _DOWN_SECONDS * patience)
        kept = keep
    finally:
        if not kept:
            running.end()
        elif running.process.poll() is None:
            say(
                f"The machine runs on: https://127.0.0.1:{machine.port}, root@pam with the password in "
                f"{machine.password}. To end it: kill {running.process.pid}"
            )


def _shut_down(running: Running, say: Say, seconds: float) -> None:
    began = time.monotonic()
    if running.shut_down(seconds):
        say(f"The machine has shut down after {time.monotonic() - began:.1f} s.")
    else:
        say(f"The machine has not shut down within {seconds:g} s and was switched off.")


def with_token(node: RealNode) -> RealNode:
    """The node as a token made for the run sees it; it has root's rights, and goes with the overlay."""
    known = node.connection
    there: dict[str, Any] = {
        "host": known.host,
        "port": known.port,
        "user": known.user,
        "fingerprint": known.fingerprint,
    }
    answer = node.post(f"access/users/{known.user}/token/pvemcp-run", privsep=0)
    node.close()
    return RealNode(Connection(**there, token_name="pvemcp-run", token_value=answer["value"]))


def _show(machine: Machine, say: Say) -> None:
    """What there is to look at when something went wrong."""
    for log in (machine.complaints, machine.log):
        lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.is_file() else []
        if any(line.strip() for line in lines):
            say(f"The end of {log}:")
            for line in lines:
                say(f"    {line}")
    if machine.screen.is_file():
        say(f"The machine's screen: {machine.screen}")
