"""The installation medium: the official one, checked, with the answers on it.

Made as Proxmox's own assistant makes it (documented at pve.proxmox.com, "Automated Installation", prepared with
`--fetch-from iso`): a copy of the medium gets two files more, and its ways to boot are kept. Where the first of them
lies on the medium, the boot menu starts the automated installation by itself.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.real.nested.answer import ANSWER_FILE, MODE_FILE, Answers, mode_toml
from tests.real.nested.programs import run_tool
from tests.real.node import NodeUnfit

CAPABLE_FILE = "auto-installer-capable"
"""What lies on every medium that can install by itself (PVE 8.2 and later)."""
_CHUNK = 1 << 20


def check_iso(iso: Path) -> None:
    """Raises `NodeUnfit` when there is no such file, or it is no ISO 9660 image."""
    if not iso.is_file():
        raise NodeUnfit(f"There is no file {iso}. The installer is at https://www.proxmox.com/en/downloads.")
    with iso.open("rb") as file:
        file.seek(0x8001)
        if file.read(5) != b"CD001":
            raise NodeUnfit(f"{iso} is no ISO image.")


def check_installer(iso: Path) -> None:
    """Raises `NodeUnfit` when it is no installer of Proxmox's, or one that is too old to install by itself."""
    command = ["xorriso", "-indev", str(iso), "-find", f"/{CAPABLE_FILE}"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        raise NodeUnfit(
            f"{iso} is no installer that can install with no hands: there is no file {CAPABLE_FILE} on it. "
            "Take the Proxmox VE ISO Installer, 9.0 or later."
        )


def checksum(path: Path) -> str:
    """SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def additions(medium: Path, folder: Path) -> list[str]:
    """What adds both files of the folder to a medium, whose ways to boot stay as they are."""
    maps = [part for name in (MODE_FILE, ANSWER_FILE) for part in ("-map", str(folder / name), f"/{name}")]
    return ["xorriso", "-boot_image", "any", "keep", "-dev", str(medium), *maps, "-commit"]


def build(iso: Path, answers: Answers, folder: Path) -> Path:
    """Make the medium that installs with no hands. It holds root's password: remove it after use.

    Raises:
        NodeUnfit: xorriso does not make it.
    """
    medium = folder / "installer.iso"
    folder.mkdir(parents=True, exist_ok=True)
    added = [folder / MODE_FILE, folder / ANSWER_FILE]
    try:
        for path, text in zip(added, (mode_toml(), answers.toml()), strict=True):
            path.touch(mode=0o600)
            path.write_text(text)
        medium.unlink(missing_ok=True)
        medium.touch(mode=0o600)
        shutil.copyfile(iso, medium)
        run_tool(additions(medium, folder), "installation medium")
    except BaseException:
        medium.unlink(missing_ok=True)
        raise
    finally:
        for path in added:
            path.unlink(missing_ok=True)
    return medium
