"""PVE's own installer as what a nested machine is made from."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.real.nested.answer import Answers
from tests.real.nested.machine import Machine
from tests.real.nested.media import build, check_installer, check_iso, checksum
from tests.real.nested.programs import need, run_tool
from tests.real.nested.running import Running
from tests.real.node import NodeUnfit


@dataclass
class Installer:
    """Installs PVE from its ISO image with no hands.

    Attributes:
        sha256: its checksum as published, where it is known.
        boot: none: the installed disk boots by itself.
    """

    iso: Path
    sha256: str | None = None
    seconds: float = 1800.0
    boot_seconds: float = 600.0
    gibibytes: float = 12.0
    boot: list[str] = field(default_factory=list)

    @property
    def called(self) -> str:
        return f"nested, installed from {self.iso.name}"

    @cached_property
    def _digest(self) -> str:
        """Read once: it takes seconds."""
        return checksum(self.iso)

    def check(self) -> None:
        """Raises `NodeUnfit` when it is not the installer that was meant, or cannot be made to install by itself."""
        check_iso(self.iso)
        if self.sha256 is not None and self._digest != self.sha256.lower():
            raise NodeUnfit(f"The checksum of {self.iso} is {self._digest}, not {self.sha256}: fetch it again.")
        need({"xorriso": "xorriso"})
        check_installer(self.iso)

    def mark(self) -> str:
        return self._digest

    def make(self, machine: Machine, password: str, patience: float) -> None:
        """Install on a new disk.

        Raises:
            NodeUnfit: the installer did not finish in time, or QEMU failed.
        """
        medium = build(self.iso, Answers(password), machine.folder)
        try:
            run_tool(machine.new_disk(), "disk")
            running = Running(machine, machine.command(machine.base, medium))
            try:
                # The installer restarts the machine when it is done, and QEMU ends instead.
                running.wait_for_end(self.seconds * patience)
            except BaseException:
                running.picture()
                raise
            finally:
                running.end()
        finally:
            medium.unlink()
