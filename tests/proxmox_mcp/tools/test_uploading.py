"""Uploads: of files in the one folder that the operator allows, and of nothing else."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator
from pvesim.serve import inprocess
from tests.proxmox_mcp.redteam.conftest import YES

pytestmark = pytest.mark.anyio

IMAGE = b"an image" * 1000
CHECKSUM = hashlib.sha256(IMAGE).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "uploads"
    made.mkdir()
    (made / "rescue.iso").write_bytes(IMAGE)
    return made


async def upload(simulator: Simulator, folder: Path | None, filename: str, **given: Any) -> CallToolResult:
    settings = Settings(access="admin", toolsets=("library",), upload_folder=folder, retries=0)
    server = build_server(settings, Pve(settings, simulator.connect))
    async with Client(server, elicitation_callback=YES) as client:
        return await client.call_tool("upload_file", {"filename": filename, "content": "iso", **given})


def text(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def uploads(simulator: Simulator) -> list[Any]:
    return [task for task in simulator.request("GET", "/cluster/tasks") if task["type"] == "imgcopy"]


@pytest.mark.parametrize("checksum", [None, CHECKSUM, CHECKSUM.upper()])
async def test_a_file_is_uploaded_with_its_checksum(simulator: Simulator, folder: Path, checksum: str | None) -> None:
    given = {"checksum": checksum} if checksum else {}
    result = await upload(simulator, folder, "rescue.iso", node="pve1", storage="local", wait_seconds=60, **given)
    assert not result.is_error, text(result)
    assert result.structured_content is not None
    shown = {key: result.structured_content[key] for key in ("state", "volid", "size", "checksum")}
    assert shown == {"state": "ok", "volid": "local:iso/rescue.iso", "size": len(IMAGE), "checksum": CHECKSUM}
    stored = simulator.request("GET", "/nodes/pve1/storage/local/content", {"content": "iso"})
    assert {"local:iso/rescue.iso": len(IMAGE)}.items() <= {row["volid"]: row["size"] for row in stored}.items()


async def test_another_checksum_than_the_given_one_is_refused(simulator: Simulator, folder: Path) -> None:
    before = uploads(simulator)
    result = await upload(simulator, folder, "rescue.iso", checksum="0" * 64)
    assert result.is_error
    assert CHECKSUM in text(result)
    assert uploads(simulator) == before


async def test_without_a_folder_nothing_can_be_uploaded(simulator: Simulator) -> None:
    result = await upload(simulator, None, "rescue.iso")
    assert result.is_error
    assert "PROXMOX_UPLOAD_FOLDER" in text(result)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.iso", "sub/inner.iso", "/etc/passwd", "..", ".", "", "link.iso", "hard.iso", "pipe.iso", "dir.iso",
        "empty.iso",
        "none.iso", "rescue.iso\n", "rescue.iso\x00", "..\\secret.iso", ".hidden.iso", "a b.iso", "%2e%2e%2fsecret.iso",
        "~/secret.iso", "@/etc/passwd",
    ],
)  # fmt: skip
async def test_nothing_else_is_reached(simulator: Simulator, folder: Path, name: str) -> None:
    secret = folder.parent / "secret.iso"
    secret.write_bytes(b"a secret")
    (folder / "sub").mkdir()
    (folder / "dir.iso").mkdir()
    (folder / "sub" / "inner.iso").write_bytes(b"inner")
    (folder / "link.iso").symlink_to(secret)
    (folder / "empty.iso").touch()
    (folder / ".hidden.iso").write_bytes(b"hidden")
    (folder / "a b.iso").write_bytes(b"blank")
    os.mkfifo(folder / "pipe.iso")
    os.link(secret, folder / "hard.iso")
    before = uploads(simulator)
    result = await upload(simulator, folder, name, node="pve1", storage="local")
    assert result.is_error
    assert "secret" not in text(result).replace(name, "").replace(repr(name), "")
    assert uploads(simulator) == before


async def test_a_large_file_is_never_whole_in_memory(
    simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def received(body: Any) -> bytes:
        if body is not None and not isinstance(body, str):
            sent.append(body)
        return into_bytes(body)

    into_bytes = inprocess._body
    monkeypatch.setattr(inprocess, "_body", received)
    size = 11 * 1024**2
    with (folder / "large.iso").open("wb") as file:
        file.truncate(size)
    result = await upload(simulator, folder, "large.iso", node="pve1", storage="local", wait_seconds=60)
    assert not result.is_error, text(result)
    assert result.structured_content is not None
    assert result.structured_content["size"] == size
    [body] = sent
    assert not isinstance(body, bytes)
    assert callable(body.read)


async def test_a_file_that_the_storage_does_not_take_is_told(simulator: Simulator, folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"notes")
    result = await upload(simulator, folder, "notes.txt", node="pve1", storage="local")
    assert result.is_error
    assert "wrong file extension" in text(result)
