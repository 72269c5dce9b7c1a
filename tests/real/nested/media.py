"""The installation medium: the official one, checked, with the answers on it."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.real.nested.answer import ANSWER_FILE, MODE_FILE, Answers, mode_toml
from tests.real.node import NodeUnfit

_CHUNK = 1 << 20


def check_iso(iso: Path, sha256: str | None) -> None:
    """Raises `NodeUnfit` when there is no such file, it is no ISO 9660 image, or it is another than was meant."""
    if not iso.is_file():
        raise NodeUnfit(f"There is no file {iso}. The installer is at https://www.proxmox.com/en/downloads.")
    with iso.open("rb") as file:
        file.seek(0x8001)
        if file.read(5) != b"CD001":
            raise NodeUnfit(f"{iso} is no ISO image.")
        if sha256 is not None and (found := checksum(iso)) != sha256.lower():
            raise NodeUnfit(f"The checksum of {iso} is {found}, not {sha256}: fetch it again.")


def checksum(path: Path) -> str:
    """SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def remaster_command(xorriso: str, iso: Path, folder: Path, target: Path) -> list[str]:
    """Copies the medium with two files more; its ways to boot stay as they are."""
    maps = [part for name in (MODE_FILE, ANSWER_FILE) for part in ("-map", str(folder / name), f"/{name}")]
    return [xorriso, "-indev", str(iso), "-outdev", str(target), "-boot_image", "any", "replay", *maps, "-commit"]


def build(iso: Path, answers: Answers, folder: Path) -> Path:
    """Make the medium that installs with no hands; it is kept until the ISO or the answers change.

    Raises:
        NodeUnfit: xorriso is not there, or does not make it.
    """
    xorriso = shutil.which("xorriso")
    if xorriso is None:
        raise NodeUnfit("xorriso, which writes the installation medium, is not installed (apt install xorriso).")
    target = folder / "installer.iso"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODE_FILE).write_text(mode_toml())
    (folder / ANSWER_FILE).write_text(answers.toml())
    (folder / ANSWER_FILE).chmod(0o600)
    target.unlink(missing_ok=True)
    done = subprocess.run(remaster_command(xorriso, iso, folder, target), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NodeUnfit(f"xorriso cannot make the medium: {done.stderr.strip().splitlines()[-1:]}")
    return target
