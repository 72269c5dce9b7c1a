"""What this computer must have for a virtual machine, looked at before anything is made."""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.real.nested.programs import need
from tests.real.node import NodeUnfit

_GIBIBYTE = 1 << 30
_PROBE_SECONDS = 60


def check_tools() -> None:
    """Raises `NodeUnfit` when QEMU is not there."""
    need({"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"})


def check_port(port: int) -> None:
    """Raises `NodeUnfit` when something listens there."""
    with socket.socket() as listener:
        # As QEMU does: connections of an earlier run that are still being closed are in nobody's way.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise NodeUnfit(
                f"Port {port} of this computer cannot be had ({error.strerror}): give another with --port. A machine "
                "that an earlier run kept may be what listens there."
            ) from None


def check_room(folder: Path, gibibytes: float) -> None:
    """Raises `NodeUnfit` when the disk under the folder, which need not exist yet, is too full."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / _GIBIBYTE
    if free < gibibytes:
        raise NodeUnfit(
            f"There are {free:.1f} GiB free below {there}, and the machine takes up to {gibibytes:g} GiB. "
            "Name another place with --folder."
        )


def check_screen(environment: Mapping[str, str] = os.environ) -> None:
    """Raises `NodeUnfit` when there is no desktop to show the machine's screen on."""
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        raise NodeUnfit(
            "There is no desktop here to show the machine's screen on: leave --console out. When something fails, "
            "the end of the serial console is shown and the screen is kept as a picture."
        )


def kvm_problem(qemu: str = "qemu-system-x86_64", device: Path = Path("/dev/kvm")) -> str | None:
    """Why QEMU cannot use the processor's virtualisation here; None if it can.

    That the device can be opened does not say it: inside a virtual machine QEMU may fail later. So it is tried.
    """
    if not device.exists():
        return f"there is no {device}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"this user may not open {device} (sudo adduser $USER kvm)"
    # The processors are set up, and not one instruction is run.
    command = [qemu, "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "64", "-nodefaults"]
    quiet = ["-S", "-display", "none", "-monitor", "stdio"]
    try:
        tried = subprocess.run(
            [*command, *quiet], input="quit\n", capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"QEMU with KVM did not start within {_PROBE_SECONDS} s"
    if tried.returncode == 0:
        return None
    return next(iter(tried.stderr.splitlines()), f"QEMU with KVM ended with status {tried.returncode}")
