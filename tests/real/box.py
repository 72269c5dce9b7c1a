"""The smallest container there can be: a template of a few hundred bytes, for nodes on which no other lies.

PVE wants to know a distribution before it takes an archive, and then writes host name, name servers, network and
terminals into its files; so the archive has those files, in the form that Alpine has them in. What runs is one
program that waits until it is told to end. It is x86-64, as PVE is.
"""

import io
import signal
import struct
import tarfile

FILENAME = "pvemcp-box.tar.gz"

_ADDRESS = 0x400000
_HEADERS = 64 + 56  # of the file, and of its one segment
# Halt and restart as Alpine, as others, and as systemd are told them (SIGRTMIN+3); the rest is for a terminal.
_ENDED_BY = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPWR),
    37,
)
_OS_RELEASE = 'NAME="Box"\nID=alpine\nVERSION_ID=3.22.0\nPRETTY_NAME="a box that waits"\n'
_FILES = {
    "etc/os-release": _OS_RELEASE,
    "etc/alpine-release": "3.22.0\n",
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/resolv.conf": "",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "etc/inittab": "::sysinit:/sbin/init\n",
    "etc/securetty": "console\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:0:0:99999:7:::\n",
}
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root", "mnt", "var", "etc/runlevels/boot", "etc/runlevels/shutdown")


def template() -> bytes:
    """A template as `POST /nodes/{node}/storage/{storage}/upload` takes it (`.tar.gz`); the same bytes every time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=9) as archive:
        for name in sorted({*_FOLDERS, *_parents()}):
            archive.addfile(_entry(name, 0o755, tarfile.DIRTYPE))
        for name, text in _FILES.items():
            _add(archive, name, text.encode(), 0o640 if name == "etc/shadow" else 0o644)
        _add(archive, "sbin/init", program(), 0o755)
        # PVE reads a container's architecture off its shell.
        _add(archive, "bin/sh", program(), 0o755)
    data = packed.getvalue()
    return data[:4] + bytes(4) + data[8:]  # when it was packed


def program() -> bytes:
    """A program for Linux on x86-64 that waits for a signal to end, as the first process of a container, too.

    The first process gets no signal that it does not handle; what it blocks is kept for it, and can be waited for.
    """
    size = len(_instructions(0))
    code = _instructions(_ADDRESS + _HEADERS + size)
    blocked = sum(1 << (number - 1) for number in _ENDED_BY)
    body = code + struct.pack("<Q", blocked)
    length = _HEADERS + len(body)
    kind, machine, version = 2, 0x3E, 1  # executable, x86-64
    file = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, kind, machine, version, _ADDRESS + _HEADERS, 64, 0, 0,
        64, 56, 1, 0, 0, 0,
    )  # fmt: skip
    loaded, readable_and_executable, page = 1, 5, 0x1000
    segment = struct.pack("<IIQQQQQQ", loaded, readable_and_executable, 0, _ADDRESS, _ADDRESS, length, length, page)
    return file + segment + body


def _instructions(signals: int) -> bytes:
    """`rt_sigprocmask`, `rt_sigtimedwait` until it gives a signal, `exit_group(0)`; `signals` is where the set lies."""
    at = struct.pack("<I", signals)
    block = bytes.fromhex("b80e000000 31ff be") + at + bytes.fromhex("31d2 41ba08000000 0f05")
    wait = bytes.fromhex("b880000000 bf") + at + bytes.fromhex("31f6 31d2 41ba08000000 0f05 85c0 7e")
    again = struct.pack("b", -(len(wait) + 1))
    return block + wait + again + bytes.fromhex("b8e7000000 31ff 0f05")


def _parents() -> set[str]:
    found = set()
    for name in (*_FILES, *_FOLDERS, "sbin/init", "bin/sh"):
        parts = name.split("/")[:-1]
        found |= {"/".join(parts[: count + 1]) for count in range(len(parts))}
    return found


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"./{name}")
    entry.mode, entry.type = mode, kind
    return entry


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = _entry(name, mode)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
