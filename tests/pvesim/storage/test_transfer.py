"""Uploads and downloads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from pvesim.storage.transfer import clean_name
from pvesim.wire import WireRequest, WireResponse
from tests.pvesim.storage.world import storage_simulator


@pytest.fixture
def simulator() -> Simulator:
    simulator = storage_simulator()
    params = {"privsep": 0}
    secret = simulator.request("POST", "/access/users/root@pam/token/test", params)["value"]
    TOKEN["authorization"] = f"PVEAPIToken=root@pam!test={secret}"
    return simulator


TOKEN: dict[str, str] = {}


def upload(
    simulator: Simulator, *fields: tuple[str, str], filename: str | None = "up.iso", content: bytes = b"x" * 10,
    storage: str = "local", node: str = "pve1",
) -> WireResponse:  # fmt: skip
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields
    ]
    if filename is not None:
        head = f'--b\r\nContent-Disposition: form-data; name="filename"; filename="{filename}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    headers = {**TOKEN, "content-type": "multipart/form-data; boundary=b"}
    path = f"/api2/json/nodes/{node}/storage/{storage}/upload"
    return simulator.handle(WireRequest("POST", path, headers=headers, body=b"".join(parts) + b"--b--\r\n"))


def finish(simulator: Simulator, response: WireResponse) -> Task:
    upid = json.loads(response.body)["data"]
    simulator.clock.run_until_done(upid)
    task = simulator.world.get(Task, upid)
    assert task is not None
    return task


def test_an_upload_puts_the_file_in_its_folder(simulator: Simulator) -> None:
    task = finish(simulator, upload(simulator, ("content", "iso"), content=b"x" * 1000))
    assert (task.type, task.id, task.exitstatus) == ("imgcopy", "", "OK")
    assert task.log[1:4] == ("target node: pve1", "target file: /var/lib/vz/template/iso/up.iso", "file size is: 1000")
    rows = simulator.request("GET", "/nodes/pve1/storage/local/content", {"content": "iso"})
    assert {row["volid"]: row["size"] for row in rows}["local:iso/up.iso"] == 1000
    finish(simulator, upload(simulator, ("content", "iso"), content=b"y" * 20))
    rows = simulator.request("GET", "/nodes/pve1/storage/local/content", {"content": "iso"})
    assert {row["volid"]: row["size"] for row in rows}["local:iso/up.iso"] == 20


def test_a_path_in_the_name_is_cut_off(simulator: Simulator) -> None:
    finish(simulator, upload(simulator, ("content", "iso"), filename="../../evil.iso"))
    rows = simulator.request("GET", "/nodes/pve1/storage/local/content", {"content": "iso"})
    assert "local:iso/evil.iso" in [row["volid"] for row in rows]
    assert clean_name("C:\\a b\\ü;rm.iso") == "__rm.iso"


@pytest.mark.parametrize(
    ("content", "filename", "storage", "status", "errors", "message"),
    [
        ("iso", "up.txt", "local", 400, {"filename": "wrong file extension"}, None),
        ("images", "up.iso", "local", 400,
         {"content": "value 'images' does not have a value in the enumeration 'iso, vztmpl, import'"}, None),
        ("vztmpl", "up.tar.gz", "share", 500, None, "storage 'share' does not support 'vztmpl' content\n"),
        ("iso", "up.iso", "nosuch", 500, None, "storage 'nosuch' does not exist\n"),
        ("iso", "up.iso", "thin", 500, None, "cannot upload to storage type 'lvmthin', not a file based storage!\n"),
    ],
)  # fmt: skip
def test_what_may_not_be_uploaded(
    simulator: Simulator, content: str, filename: str, storage: str, status: int, errors: Any, message: str | None
) -> None:
    response = upload(simulator, ("content", content), filename=filename, storage=storage)
    body = json.loads(response.body)
    assert (response.status, body.get("errors")) == (status, errors)
    assert message is None or body["message"] == message


def test_a_file_for_another_node_is_handed_on_by_the_one_that_has_it(simulator: Simulator) -> None:
    task = finish(simulator, upload(simulator, ("content", "iso"), node="pve2"))
    assert (task.node, task.log[1], task.exitstatus) == ("pve1", "target node: pve2", "OK")
    rows = simulator.request("GET", "/nodes/pve2/storage/local/content", {"content": "iso"})
    assert "local:iso/up.iso" in {row["volid"] for row in rows}
    simulator.world.put(
        replace(simulator.world.rows(Node)["pve1"], name="pve3")
    )  # so that there is quorum without pve2
    simulator.faults.cause(node_offline="pve2")
    response = upload(simulator, ("content", "iso"), node="pve2")
    assert response.status == 500
    assert json.loads(response.body)["message"].startswith("mkdir failed: command '/usr/bin/ssh ")
    response = upload(simulator, ("content", "iso"), node="pve9")
    assert json.loads(response.body)["message"].startswith("hostname lookup 'pve9' failed")


def test_checksums(simulator: Simulator) -> None:
    good = hashlib.sha256(b"x" * 10).hexdigest()
    fields = (("content", "iso"), ("checksum-algorithm", "sha256"))
    assert finish(simulator, upload(simulator, *fields, ("checksum", good.upper()))).exitstatus == "OK"
    bad = finish(simulator, upload(simulator, *fields, ("checksum", "0" * 64), filename="bad.iso"))
    assert bad.exitstatus == f"checksum mismatch: got '{good}' != expect '{'0' * 64}'"
    rows = simulator.request("GET", "/nodes/pve1/storage/local/content", {"content": "iso"})
    assert "local:iso/bad.iso" not in [row["volid"] for row in rows]


def test_the_daemon_reads_the_parts_in_one_order(simulator: Simulator) -> None:
    wrong = upload(simulator, ("content", "iso"), ("checksum", "0"), ("checksum-algorithm", "sha256"))
    assert (wrong.status, wrong.reason, wrong.body) == (400, "Bad Request", b"")
    none = upload(simulator, ("content", "iso"), filename=None)
    assert (none.status, none.body) == (500, b"upload failed\n")


def test_an_upload_needs_a_file(simulator: Simulator) -> None:
    with pytest.raises(ApiError, match=r"^upload failed$"):
        simulator.request("POST", "/nodes/pve1/storage/local/upload", {"content": "iso", "filename": "a.iso"})


def test_a_download_finds_no_route(simulator: Simulator) -> None:
    params = {"content": "iso", "filename": "dl.iso", "url": "http://10.10.10.99:1/a.iso"}
    upid = simulator.request("POST", "/nodes/pve1/storage/local/download-url", params)
    simulator.clock.run_until_done(upid)
    task = simulator.world.get(Task, upid)
    assert task is not None
    assert (task.type, task.id) == ("download", "dl.iso")
    assert task.exitstatus == "download failed: Connecting to 10.10.10.99:1... failed: No route to host."


IMAGE = "https://images.example.test/debian.iso"


@pytest.fixture
def outside() -> Simulator:
    """A node that can download one file."""
    known = {"size": "300M", "checksums": {"sha256": "ab" * 32}, "mimetype": "application/x-iso9660-image"}
    return Simulator({"nodes": {"pve1": {}}, "downloads": {IMAGE: known}})


def fetch(simulator: Simulator, **more: str) -> Task:
    params = {"content": "iso", "filename": "debian.iso", "url": IMAGE, **more}
    upid = simulator.request("POST", "/nodes/pve1/storage/local/download-url", params)
    simulator.clock.run_until_done(upid)
    return simulator.world.rows(Task)[upid]


def test_a_known_file_is_downloaded(outside: Simulator) -> None:
    asked = outside.request("GET", "/nodes/pve1/query-url-metadata", {"url": IMAGE})
    assert asked == {"filename": "debian.iso", "mimetype": "application/x-iso9660-image", "size": 300 * 1024**2}
    task = fetch(outside, checksum="AB" * 32, **{"checksum-algorithm": "sha256"})
    assert (task.exitstatus, task.log[-2]) == (
        "OK",
        f"download of '{IMAGE}' to '/var/lib/vz/template/iso/debian.iso' finished",
    )
    rows = outside.request("GET", "/nodes/pve1/storage/local/content", {"content": "iso"})
    assert [(row["volid"], row["size"]) for row in rows] == [("local:iso/debian.iso", 300 * 1024**2)]
    again = fetch(outside, checksum="ab" * 32, **{"checksum-algorithm": "sha256"})
    assert "no need to download" in again.log[0]


def test_a_wrong_checksum_leaves_no_file(outside: Simulator) -> None:
    task = fetch(outside, checksum="cd" * 32, **{"checksum-algorithm": "sha256"})
    assert task.exitstatus == f"checksum mismatch: got '{'ab' * 32}' != expect '{'cd' * 32}'"
    assert outside.request("GET", "/nodes/pve1/storage/local/content", {"content": "iso"}) == []
    fetch(outside)
    task = fetch(outside, checksum="cd" * 32, **{"checksum-algorithm": "sha256"})
    assert task.exitstatus == f"mismatch (got '{'ab' * 32}' != expect '{'cd' * 32}'), aborting"


def test_nothing_else_can_be_asked(outside: Simulator) -> None:
    with pytest.raises(ApiError) as caught:
        outside.request("GET", "/nodes/pve1/query-url-metadata", {"url": "https://other.test/x.iso"})
    assert caught.value.message == ("invalid server response: '500 Can't connect to other.test:443 (No route to host)'")
