"""Files that are the owner's alone: nobody else may read what is kept there, and nobody else may have written it."""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_PATIENCE, _PAUSE = 3.0, 0.005  # seconds; a line is written in less than the pause
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Unsafe(OSError):
    """A file or folder that others may have written, or that is no plain file."""


def default_folder() -> Path:
    """Where state is kept when nothing else is set: `$XDG_STATE_HOME/proxmox-mcp`."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "proxmox-mcp"


def own_folder(path: Path) -> Path:
    """Make sure that there is such a folder, and that only its owner can write there.

    Raises:
        OSError: it cannot be made; `Unsafe`: others may write there, or it is someone else's.
    """
    path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    _require_own(path.stat(), path)
    for above in path.absolute().parents:
        _require_unmovable(above.stat(), above)
    return path


def open_own(path: Path, flags: int) -> int:
    """Open a file of the owner's, made with owner-only rights when `O_CREAT` is among the flags.

    Raises:
        OSError: as usual; `Unsafe`: others may write it, it is someone else's, or no plain file.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), _FILE_MODE)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Unsafe(f"{path} is no plain file")
        _require_own(found, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_own(found: os.stat_result, path: Path) -> None:
    if sys.platform == "win32":
        return  # where rights are lists of their own, which the user's profile folder has right
    if found.st_uid != os.geteuid():
        raise Unsafe(f"{path} belongs to another user")
    if found.st_mode & _OTHERS_WRITE:
        raise Unsafe(f"{path} can be written by others (chmod go-w it)")


def require_trusted(path: Path) -> None:
    """Refuse a file of the operator's that somebody else wrote, or could have.

    Raises:
        OSError: it cannot be looked at; `Unsafe`: it is someone else's, or everyone may write it.
    """
    found = path.stat()
    if sys.platform == "win32":
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise Unsafe(f"{path} belongs to another user")
    if found.st_mode & stat.S_IWOTH:
        raise Unsafe(f"{path} can be written by everyone (chmod o-w it)")


def _require_unmovable(found: os.stat_result, above: Path) -> None:
    """Whoever may write in a folder above can put another one in the place of what lies there."""
    if sys.platform == "win32":
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise Unsafe(f"{above} belongs to another user")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise Unsafe(f"{above} can be written by everyone (chmod o-w it)")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes for as long as the block runs; `path` is a file for that alone.

    Raises:
        OSError: the file cannot be made, or another process has held the lock for seconds.
    """
    descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"another process has held {path} for {_PATIENCE:g} seconds") from None
                    time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back


def replace_file(path: Path, content: bytes) -> None:
    """Put a whole new file in the place of another at once: whoever reads sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = open_own(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_own(path: Path) -> bytes | None:
    """The content of a file of the owner's; `None` when there is none.

    Raises:
        OSError: it cannot be read; `Unsafe`: someone else may have written it.
    """
    try:
        descriptor = open_own(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
