"""The virtual machine that a nested node runs in: QEMU with a disk that is kept, and an overlay for each run."""

import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.node import NodeUnfit

_END_SECONDS = 60


@dataclass(frozen=True)
class Machine:
    """How QEMU is started. `port` on loopback leads to the machine's 8006."""

    folder: Path
    port: int
    memory: int = 4096
    cpus: int = 2
    kvm: bool = True
    console: bool = False
    qemu: str = "qemu-system-x86_64"
    forwards: Sequence[tuple[int, int]] = field(default=())

    @property
    def base(self) -> Path:
        """The disk as it was installed; nothing writes to it once there is an overlay."""
        return self.folder / "base.qcow2"

    @property
    def overlay(self) -> Path:
        return self.folder / "run.qcow2"

    @property
    def log(self) -> Path:
        """What the machine writes to its serial console."""
        return self.folder / "console.log"

    def command(self, disk: Path, iso: Path | None = None) -> list[str]:
        """QEMU's command line; with `iso` it boots that once and ends when the machine wants to restart."""
        pairs = [(self.port, 8006), *self.forwards]
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in pairs)
        # Nested guests take the processor's own virtualisation, where there is one to give on.
        processor = ["-enable-kvm", "-cpu", "host"] if self.kvm else ["-accel", "tcg,thread=multi", "-cpu", "max"]
        install = ["-cdrom", str(iso), "-boot", "once=d", "-no-reboot"] if iso else []
        return [
            *(self.qemu, "-name", "pvemcp-nested", "-machine", "q35", *processor),
            *("-m", str(self.memory), "-smp", str(self.cpus)),
            *("-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"),
            *("-netdev", f"user,id=net0,{forwards}", "-device", "virtio-net-pci,netdev=net0"),
            *("-serial", f"file:{self.log}", "-display", "gtk" if self.console else "none", *install),
        ]

    def disk_commands(self, gibibytes: int = 32) -> tuple[list[str], list[str]]:
        """What makes the disk to install on, and what makes an overlay on it."""
        overlay = ["-f", "qcow2", "-F", "qcow2", "-b", str(self.base), str(self.overlay)]
        return (
            ["qemu-img", "create", "-q", "-f", "qcow2", str(self.base), f"{gibibytes}G"],
            ["qemu-img", "create", "-q", *overlay],
        )


def kvm_works(device: Path = Path("/dev/kvm")) -> bool:
    """Whether this user may use the processor's virtualisation."""
    try:
        with device.open("r+b"):
            return True
    except OSError:
        return False


def check_tools() -> None:
    """Raises `NodeUnfit` when QEMU is not there."""
    for tool in ("qemu-system-x86_64", "qemu-img"):
        if shutil.which(tool) is None:
            raise NodeUnfit(f"{tool} is not installed (apt install qemu-system-x86 qemu-utils).")


def check_port(port: int) -> None:
    """Raises `NodeUnfit` when something listens there."""
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            raise NodeUnfit(f"Port {port} of this machine is taken: give another with --port.") from None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a machine, and see that it has ended."""
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
