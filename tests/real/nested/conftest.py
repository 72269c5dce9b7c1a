"""Programs that take QEMU's place: they understand its command line, and a simulated node answers in the machine."""

import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.nested.machine import Machine
from tests.real.nested.media import checksum

TOUCH = shutil.which("touch") or "touch"
# A shell that becomes Python: the kernel takes no interpreter whose path holds a space.
QEMU = f"""#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
'''
import os, pathlib, re, signal, sys

arguments = sys.argv[1:]
mode = os.environ.get("FAKE_QEMU", "")
if "-S" in arguments:
    sys.exit("no such processor" if "kvm" not in mode else 0)
if "dies" in mode:
    sys.exit("qemu: it cannot be")
serial = pathlib.Path(next(a for a in arguments if a.startswith("file:"))[5:].replace(",,", ","))
serial.write_text("the kernel panics\\n" if "silent" in mode else "welcome\\n")
(serial.parent / "qemu.pid").write_text(str(os.getpid()))
if "-cdrom" in arguments and "hangs" not in mode:
    sys.exit(0)
if not {{"silent", "hangs"}} & set(mode.split()):
    from pvesim import Simulator
    from pvesim.serve import SimServer

    port = int(re.search(r"hostfwd=tcp:127[.]0[.]0[.]1:(\\d+)-:8006", " ".join(arguments))[1])
    password = (serial.parent / "password").read_text()
    SimServer(Simulator("single-node", clock="scaled", time_scale=0, root_password=password), port=port).start()
for line in sys.stdin:
    word, *rest = line.split()
    if word == "screendump":
        pathlib.Path(rest[0]).write_bytes(b"a picture IEND\\xaeB`\\x82")
    if word == "system_powerdown" and "deaf" not in mode:
        os._exit(0)
signal.pause()
"""
IMG = """#!/bin/sh
# create … PATH [SIZE]: the last path is made.
for argument; do case $argument in *.qcow2) made=$argument;; esac; done
touch "$made"
"""
XORRISO = """#!/bin/sh
[ "$FAKE_XORRISO" = fails ] && echo "xorriso : no room" && exit 5
exit 0
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts programs of these names into a folder that is all there is on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    texts = {"qemu-system-x86_64": QEMU, "qemu-img": IMG, "xorriso": XORRISO}

    def put(*names: str) -> Path:
        (folder / "touch").symlink_to(TOUCH)
        for name in names:
            (folder / name).write_text(texts.get(name, "#!/bin/sh\n"))
            (folder / name).chmod(0o755)
        return folder

    return put


@pytest.fixture
def qemu(programs: Callable[..., Path]) -> Path:
    """Everything that a run from the installer takes."""
    return programs("qemu-system-x86_64", "qemu-img", "xorriso")


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    """As much of an installer as is looked at without xorriso."""
    path = tmp_path / "small.iso"
    path.write_bytes(bytes(0x8001) + b"CD001" + bytes(2048))
    return path


def installed(machine: Machine, iso: Path, password: str = "of-an-earlier-run") -> Machine:
    """A machine whose disk an earlier run has made from that ISO."""
    machine.folder.mkdir(parents=True, exist_ok=True)
    machine.base.touch()
    machine.password.write_text(password)
    machine.stamp.write_text(checksum(iso))
    return machine


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
