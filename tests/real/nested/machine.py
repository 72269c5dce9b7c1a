"""The virtual machine that a nested node runs in: QEMU with a disk that is kept, and an overlay for each run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """How QEMU is started, and where the machine's files lie.

    Attributes:
        port: on loopback; it leads to the machine's 8006.
        memory: MiB.
        boot: how it starts, where its disk does not say that itself.
    """

    folder: Path
    port: int
    memory: int = 4096
    cpus: int = 2
    kvm: bool = True
    console: bool = False
    qemu: str = "qemu-system-x86_64"
    forwards: Sequence[tuple[int, int]] = field(default=())
    boot: Sequence[str] = field(default=())

    @property
    def base(self) -> Path:
        """The disk as it was installed; nothing writes to it once there is an overlay."""
        return self.folder / "base.qcow2"

    @property
    def overlay(self) -> Path:
        return self.folder / "run.qcow2"

    @property
    def stamp(self) -> Path:
        """What the disk was made from; it is there when the disk is whole."""
        return self.folder / "installed"

    @property
    def password(self) -> Path:
        """That of root@pam."""
        return self.folder / "password"

    @property
    def log(self) -> Path:
        """What the machine writes to its serial console."""
        return self.folder / "console.log"

    @property
    def complaints(self) -> Path:
        """What QEMU itself says."""
        return self.folder / "qemu.log"

    @property
    def screen(self) -> Path:
        """The machine's screen when something failed."""
        return self.folder / "screen.png"

    def is_made_from(self, mark: str) -> bool:
        """Whether the kept disk was made from just this."""
        whole = self.base.is_file() and self.password.is_file() and self.stamp.is_file()
        return whole and self.stamp.read_text() == mark

    def command(self, disk: Path, iso: Path | None = None) -> list[str]:
        """QEMU's command line; with `iso` it boots that once and ends when the machine wants to restart."""
        pairs = [(self.port, 8006), *self.forwards]
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in pairs)
        # Nested guests take the processor's own virtualisation, where there is one to give on.
        processor = ["-accel", "kvm", "-cpu", "host"] if self.kvm else ["-accel", "tcg,thread=multi", "-cpu", "max"]
        start = ["-cdrom", str(iso), "-boot", "once=d", "-no-reboot"] if iso else list(self.boot)
        return [
            *(self.qemu, "-name", "pvemcp-nested", "-machine", "q35", *processor),
            *("-m", str(self.memory), "-smp", str(self.cpus)),
            # The addresses are given: the installed system knows its network card by its place. Nothing boots from it.
            *("-drive", f"file={_escaped(disk)},if=none,id=disk0,format=qcow2,cache=unsafe"),
            *("-device", "virtio-blk-pci,drive=disk0,addr=0x3"),
            *("-netdev", f"user,id=net0,{forwards}", "-device", "virtio-net-pci,netdev=net0,addr=0x4,romfile="),
            *("-serial", f"file:{_escaped(self.log)}", "-monitor", "stdio"),
            *("-display", "gtk" if self.console else "none", *start),
        ]

    def new_disk(self, gibibytes: int = 32) -> list[str]:
        """Makes the disk to install on."""
        return ["qemu-img", "create", "-q", "-f", "qcow2", str(self.base), f"{gibibytes}G"]

    def new_overlay(self) -> list[str]:
        """Makes an overlay, which takes what a run writes."""
        return ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(self.base), str(self.overlay)]


def _escaped(path: Path) -> str:
    """A path in an option that commas divide."""
    return str(path).replace(",", ",,")
