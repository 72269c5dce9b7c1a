"""Files and folders that are the owner's alone."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from proxmox_mcp.safety import files
from proxmox_mcp.safety.files import Unsafe, locked, own_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has rights of another kind")


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = own_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_could_put_aside_is_not_trusted(tmp_path: Path) -> None:
    above = tmp_path / "open"
    above.mkdir()
    above.chmod(0o777)
    with pytest.raises(Unsafe, match=r"open can be written by everyone"):
        own_folder(above / "state")
    above.chmod(0o1777)  # as /tmp is: what lies there can be renamed by its owner only
    own_folder(above / "state")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_in_someone_elses_is_not_trusted(tmp_path: Path) -> None:
    above = tmp_path / "theirs"
    above.mkdir()
    os.chown(above, 12345, 12345)
    with pytest.raises(Unsafe, match="theirs belongs to another user"):
        own_folder(above / "state")


def _try(path: Path) -> str:
    files._PATIENCE = 0.05
    try:
        with locked(path):
            return "held"
    except TimeoutError as error:
        return str(error)


def test_a_lock_that_is_never_given_back_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with locked(path):
            assert "has held" in pool.submit(_try, path).result()
        assert pool.submit(_try, path).result() == "held"
