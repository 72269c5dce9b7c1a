"""Files of the folder that the operator allows uploads from."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import anyio

from proxmox_mcp.errors import InvalidArgument

UPLOAD_SECONDS = 3600.0
"""How long an upload may take."""

# What PVE leaves as it is; every other character it would replace, and the volume would have another name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@contextmanager
def opened(folder: Path | None, name: str) -> Iterator[BufferedReader]:
    """A file that lies in the folder itself; links are not followed, so nothing outside of it can be reached.

    Raises:
        InvalidArgument: there is no such folder or file, it is no plain file, it is empty, or it has another name, too,
            by which it may lie where the operator allows nothing.
    """
    if folder is None:
        raise InvalidArgument(
            "Files cannot be uploaded: the operator allows no folder.",
            "PROXMOX_UPLOAD_FOLDER names it; download_from_url takes files from the network.",
        )
    if _NAME.fullmatch(name) is None:
        raise InvalidArgument(
            f"{name!r} is no name of a file.", "Give its name alone: letters, digits, '-', '_' and '.', and no folders."
        )
    try:
        file = _open(folder, name)
    except OSError as error:
        raise InvalidArgument(
            f"{name} cannot be read in the folder for uploads: {error.strerror}.",
            "It must be a file of that folder itself, and no link.",
        ) from None
    with file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InvalidArgument(f"{name} is no plain file.")
        if found.st_nlink != 1:
            raise InvalidArgument(
                f"{name} is a hard link: the same file lies elsewhere, too.", "Copy it there instead."
            )
        if found.st_size == 0:
            raise InvalidArgument(f"{name} is empty.")
        yield file


def _open(folder: Path, name: str) -> BufferedReader:
    where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Without blocking: a pipe of that name would never answer.
        return open(
            name,
            "rb",
            opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=where),
        )
    finally:
        os.close(where)


async def measured(file: BufferedReader) -> tuple[int, str]:
    """Size and SHA-256 of a file, which is then back at its beginning."""

    def read() -> tuple[int, str]:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        file.seek(0)
        return size, digest

    return await anyio.to_thread.run_sync(read)
