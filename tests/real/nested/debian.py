"""A small Debian machine whose port 8006 the simulator serves: the whole harness with no installer at hand.

It is started, reached, used and shut down just as a machine with PVE is; only what lies on its disk differs.
"""

import hashlib
import importlib.util
import io
import shlex
import shutil
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.real.nested.machine import Machine
from tests.real.nested.programs import need, run_tool
from tests.real.node import NodeUnfit

PROJECT: Final = Path(__file__).resolve().parents[3]
SUITE, PYTHON, PLATFORM = "bookworm", "3.11", "x86_64-manylinux_2_36"
"""Debian 12, its Python, and what of compiled packages runs there."""
PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "python3")
_MODULES = ("virtio_pci", "virtio_blk", "ext2", "ext4", "crc32c")
_WHERE, _SECRET = "opt/pvesim", "etc/pvesim.env"
_SERVICE = f"""\
[Unit]
Description=Simulated Proxmox VE node
After=network.target

[Service]
Environment=PYTHONPATH=/{_WHERE}
EnvironmentFile=/{_SECRET}
ExecStart=/usr/bin/python3 -m pvesim serve single-node --host 0.0.0.0 --port 8006 --time-scale 0.1
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
"""
_NETWORK = """\
[Match]
Name=en* eth*

[Network]
DHCP=ipv4
"""
_ENABLED = ("systemd-networkd.service", "pvesim.service")


def files(password: str) -> dict[str, str]:
    """The machine's own files, by path."""
    return {
        "etc/hostname": "nested\n",
        "etc/fstab": "/dev/vda / auto defaults 0 0\n",
        _SECRET: f"PVESIM_ROOT_PASSWORD={password}\n",
        "etc/systemd/network/10-only.network": _NETWORK,
        "etc/systemd/system/pvesim.service": _SERVICE,
    }


@dataclass
class Debian:
    """Makes the machine's disk from Debian's packages and this project's wheel.

    Attributes:
        folder: where the wheel, and what it needs, is gathered.
    """

    folder: Path
    boot_seconds: float = 60.0
    gibibytes: float = 3.0
    called: str = "pvesim in a Debian virtual machine"

    @property
    def _built(self) -> Path:
        return self.folder / "wheel"

    @property
    def _requirements(self) -> Path:
        return self.folder / "requirements.txt"

    @property
    def boot(self) -> list[str]:
        """Without a boot loader on the disk: QEMU starts the kernel that was taken from it."""
        loads = ["-kernel", str(self.folder / "vmlinuz"), "-initrd", str(self.folder / "initrd.img")]
        return [*loads, "-append", "root=/dev/vda rw console=tty0 console=ttyS0"]

    def check(self) -> None:
        """Raises `NodeUnfit` when something that makes the disk is not here."""
        need({"mmdebstrap": "mmdebstrap", "genext2fs": "genext2fs"})
        if importlib.util.find_spec("uv") is None:
            raise NodeUnfit("uv, which builds the wheel, is not in this environment: run `nox -s nested -- --debian`.")

    def mark(self) -> str:
        """What the disk is made from: the wheel as it is now, what it needs, and how Debian is set up."""
        shutil.rmtree(self._built, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        project = ["--project", str(PROJECT)]
        run_tool([*uv, "build", "--quiet", "--wheel", "--out-dir", str(self._built), str(PROJECT)], "wheel")
        export = ["export", "--quiet", "--locked", "--no-default-groups", "--no-emit-project", "--no-header"]
        run_tool([*uv, *export, *project, "--output-file", str(self._requirements)], "list of requirements")
        digest = hashlib.sha256("\0".join([SUITE, PYTHON, *PACKAGES, *_MODULES, *files("").values()]).encode())
        for path in (self._wheel(), self._requirements):
            digest.update(path.read_bytes())
        return f"debian {digest.hexdigest()}"

    def _wheel(self) -> Path:
        return next(self._built.glob("*.whl"))

    def make(self, machine: Machine, password: str, patience: float) -> None:
        """Make the disk, and take its kernel out of it.

        Raises:
            NodeUnfit: something cannot be had or made.
        """
        site, own, taken, image = (self.folder / name for name in ("site", "own.tar", "taken", "rootfs.ext2"))
        for old in (site, taken):
            shutil.rmtree(old, ignore_errors=True)
        try:
            self._install(site)
            own.touch(mode=0o600)
            pack(site, files(password), own)
            taken.mkdir()
            run_tool(bootstrap(own, taken, image), "Debian image")
            for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd.img", "initrd.img-*")):
                shutil.copyfile(next(taken.glob(pattern)), self.folder / name)
            run_tool(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(image), str(machine.base)], "disk")
        finally:
            for file in (image, own):
                file.unlink(missing_ok=True)
            for made in (site, taken):
                shutil.rmtree(made, ignore_errors=True)

    def _install(self, target: Path) -> None:
        """Everything that runs in the machine, from wheels alone: the machine needs no network for it."""
        there = ["--target", str(target), "--python-version", PYTHON, "--python-platform", PLATFORM]
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        run_tool([*install, *there, "--requirements", str(self._requirements)], "set of packages")
        run_tool([*install, *there, str(self._wheel())], "installed wheel")


def pack(site: Path, texts: Mapping[str, str], archive: Path) -> None:
    """Put the installed packages and the machine's own files into an archive; all of it is root's, whoever packs it."""

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    with tarfile.open(archive, "w") as packed:
        packed.add(site, _WHERE, filter=owned)
        for name, text in texts.items():
            entry = owned(tarfile.TarInfo(name))
            entry.size, entry.mode = len(text.encode()), 0o600 if name == _SECRET else 0o644
            packed.addfile(entry, io.BytesIO(text.encode()))


def bootstrap(own: Path, taken: Path, image: Path) -> list[str]:
    """Makes a file system with Debian and the files of an archive; its kernel is copied to `taken`."""
    modules = "\\n".join(_MODULES)
    hooks = [
        # Only what this machine's disk needs: a small initial RAM disk is unpacked sooner.
        f"--essential-hook=mkdir -p \"$1/etc/initramfs-tools/conf.d\" && printf '{modules}\\n' "
        '> "$1/etc/initramfs-tools/modules" && echo MODULES=list > "$1/etc/initramfs-tools/conf.d/modules"',
        f"--customize-hook=tar-in {shlex.quote(str(own))} /",
        f'--customize-hook=chroot "$1" python3 -m compileall -q /{_WHERE}',
        f'--customize-hook=chroot "$1" systemctl --quiet enable {" ".join(_ENABLED)}',
        f"--customize-hook=sync-out /boot {shlex.quote(str(taken))}",
    ]
    return ["mmdebstrap", "--variant=essential", f"--include={','.join(PACKAGES)}", *hooks, SUITE, str(image)]
