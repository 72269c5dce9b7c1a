"""`/nodes/{node}/storage/{storage}/file-restore`."""

from __future__ import annotations

from typing import Any

from pvesim.backup import file_restore
from pvesim.routing import Answer, Call, route

_PLACE = "/nodes/{node}/storage/{storage}/file-restore"


@route("GET", f"{_PLACE}/list")
def list_files(call: Call) -> list[dict[str, Any]]:
    return file_restore.listing(call.world, file_restore.find_snapshot(call), call.params["filepath"])


@route("GET", f"{_PLACE}/download")
def download(call: Call) -> Answer:
    volume, as_tar = file_restore.find_snapshot(call), bool(call.params.get("tar"))
    content = file_restore.download(call.world, volume, call.params["filepath"], as_tar)
    return Answer(raw=(content, "application/octet-stream"))
