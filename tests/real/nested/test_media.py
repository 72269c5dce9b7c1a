"""The installation medium, and the answers on it."""

import hashlib
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.nested.answer import Answers, mode_toml
from tests.real.nested.installer import Installer
from tests.real.nested.media import CAPABLE_FILE, additions, build, check_installer
from tests.real.node import NodeUnfit

# The keys that the installer's documentation has, by section, as far as they are used.
DOCUMENTED = {
    "global": {"keyboard", "country", "fqdn", "mailto", "timezone", "root-password"},
    "network": {"source"},
    "disk-setup": {"filesystem", "disk-list"},
}
needs_xorriso = pytest.mark.skipif(shutil.which("xorriso") is None, reason="xorriso is not installed here")


def made_iso(path: Path, *names: str) -> Path:
    """A genuine ISO image with these files."""
    maps = [part for name in names for part in ("-map", str(Path(__file__)), f"/{name}")]
    subprocess.run(["xorriso", "-outdev", str(path), *maps, "-commit"], check=True, capture_output=True)
    return path


def read(iso: Path, name: str, target: Path) -> str:
    command = ["xorriso", "-osirrox", "on", "-indev", str(iso), "-extract", f"/{name}", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target.read_text()


def test_the_answers_are_toml_with_documented_keys() -> None:
    password = 'a"b\\c'
    read = tomllib.loads(Answers(password).toml())
    assert {section: set(values) for section, values in read.items()} == DOCUMENTED
    assert read["global"]["root-password"] == password
    assert read["disk-setup"] == {"filesystem": "ext4", "disk-list": ["vda"]}
    assert tomllib.loads(mode_toml()) == {"mode": "iso"}


def test_an_answer_of_two_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="no control characters"):
        Answers("one\ntwo").toml()


def test_an_iso_is_looked_at_before_anything_is_made(qemu: Path, iso: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(iso.read_bytes()).hexdigest()
    Installer(iso, digest.upper()).check()
    with pytest.raises(NodeUnfit, match=f"is {digest}, not 00: fetch it again"):
        Installer(iso, "00").check()
    with pytest.raises(NodeUnfit, match="There is no file"):
        Installer(tmp_path / "none.iso").check()
    iso.write_bytes(b"text")
    with pytest.raises(NodeUnfit, match="is no ISO image"):
        Installer(iso).check()


def test_without_xorriso_it_is_said_what_to_install(programs: Callable[..., Path], iso: Path) -> None:
    programs("qemu-img")
    with pytest.raises(NodeUnfit, match="apt install xorriso"):
        Installer(iso).check()


def test_the_medium_gets_both_files_and_boots_as_before(tmp_path: Path) -> None:
    command = additions(tmp_path / "medium.iso", tmp_path)
    assert command[:6] == ["xorriso", "-boot_image", "any", "keep", "-dev", str(tmp_path / "medium.iso")]
    assert [command[i + 2] for i, part in enumerate(command) if part == "-map"] == [
        "/auto-installer-mode.toml",
        "/answer.toml",
    ]


@needs_xorriso
def test_a_medium_is_made_and_the_installer_stays_as_it_is(tmp_path: Path) -> None:
    iso = made_iso(tmp_path / "plain.iso", CAPABLE_FILE)
    before = iso.read_bytes()
    check_installer(iso)
    medium = build(iso, Answers("of-this-run"), tmp_path / "made")
    assert iso.read_bytes() == before
    assert medium.stat().st_mode & 0o077 == 0
    assert [path.name for path in medium.parent.iterdir()] == [medium.name]
    assert read(medium, "answer.toml", tmp_path / "answer") == Answers("of-this-run").toml()
    assert read(medium, "auto-installer-mode.toml", tmp_path / "mode") == mode_toml()
    assert read(medium, CAPABLE_FILE, tmp_path / "file") == Path(__file__).read_text()


@needs_xorriso
def test_an_iso_that_is_no_installer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NodeUnfit, match="no installer that can install with no hands"):
        check_installer(made_iso(tmp_path / "other.iso", "README"))


def test_a_medium_that_cannot_be_made_leaves_nothing(qemu: Path, iso: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_XORRISO", "fails")
    folder = iso.parent / "made"
    with pytest.raises(NodeUnfit, match=r"there is no installation medium\. It said:\n    xorriso : no room"):
        build(iso, Answers("secret"), folder)
    assert list(folder.iterdir()) == []
