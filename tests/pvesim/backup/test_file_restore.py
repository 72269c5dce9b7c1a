"""Single files out of backups on a backup server."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError, NotModelled
from pvesim.engine import Simulator
from pvesim.guests.records import Behaviour, Guest
from pvesim.wire import WireRequest
from tests.pvesim.backup.world import backup_simulator

PLACE = "/nodes/pve1/storage/pbs/file-restore"
FILES = {"/etc/hostname": "web1\n", "/etc/ssh/key": "secret", "/root/notes": "remember"}


@pytest.fixture(scope="module")
def kept() -> Simulator:
    simulator = backup_simulator()
    for vmid in (100, 200):
        guest = simulator.world.rows(Guest)[vmid]
        simulator.world.put(replace(guest, behaviour=Behaviour(files=FILES)))
    upid = simulator.request("POST", "/nodes/pve1/vzdump", {"vmid": "100,200", "storage": "pbs"})
    simulator.clock.run_until_done(upid)
    return simulator


def volume(simulator: Simulator, vmid: int) -> str:
    rows = simulator.request("GET", "/nodes/pve1/storage/pbs/content", {"vmid": vmid})
    name: str = rows[0]["volid"]
    return name


def encoded(path: str) -> str:
    return base64.b64encode(path.encode()).decode()


def listed(simulator: Simulator, vmid: int, path: str) -> list[dict[str, Any]]:
    params = {"volume": volume(simulator, vmid), "filepath": "/" if path == "/" else encoded(path)}
    rows: list[dict[str, Any]] = simulator.request("GET", f"{PLACE}/list", params)
    return rows


def test_a_tree_is_walked_down_by_the_paths_it_gives(kept: Simulator) -> None:
    (archive,) = listed(kept, 200, "/")
    assert (archive["text"], archive["type"], archive["leaf"]) == ("root.pxar.didx", "v", 0)
    assert [row["text"] for row in listed(kept, 200, "/root.pxar.didx")] == ["etc", "root"]
    rows = listed(kept, 200, "/root.pxar.didx/etc")
    assert [(row["text"], row["type"], row["leaf"]) for row in rows] == [("hostname", "f", 1), ("ssh", "d", 0)]
    assert (rows[0]["size"], rows[0]["filepath"]) == (5, encoded("/root.pxar.didx/etc/hostname"))


def test_the_drives_of_a_machine_have_partitions(kept: Simulator) -> None:
    assert [row["text"] for row in listed(kept, 100, "/")] == ["drive-scsi0.img.fidx"]
    assert [row["text"] for row in listed(kept, 100, "/drive-scsi0.img.fidx")] == ["part"]
    assert [row["text"] for row in listed(kept, 100, "/drive-scsi0.img.fidx/part")] == ["1"]
    assert [row["text"] for row in listed(kept, 100, "/drive-scsi0.img.fidx/part/1/etc")] == ["hostname", "ssh"]


def fetched(simulator: Simulator, path: str, extra: str = "") -> bytes:
    from urllib.parse import urlencode

    from pvesim.access.login import make_ticket

    query = urlencode({"volume": volume(simulator, 200), "filepath": encoded(path)}) + extra
    headers = {"cookie": f"PVEAuthCookie={make_ticket(simulator.world, 'root@pam')}"}
    answer = simulator.handle(WireRequest("GET", f"/api2/json{PLACE}/download", query, headers))
    assert answer.status == 200
    return answer.body


def test_files_are_fetched_alone_and_directories_packed(kept: Simulator) -> None:
    assert fetched(kept, "/root.pxar.didx/etc/hostname") == b"web1\n"
    with zipfile.ZipFile(io.BytesIO(fetched(kept, "/root.pxar.didx/etc"))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "hostname": b"web1\n",
            "ssh/key": b"secret",
        }


@pytest.mark.parametrize(
    ("storage", "params", "status", "message"),
    [
        ("pbs", {"filepath": encoded("/none")}, 500,
         "proxmox-file-restore failed: Error: no such file or directory: /none"),
        ("pbs", {"filepath": "?"}, 500, "proxmox-file-restore failed: Error: Failed to decode base64-encoded path"),
        ("pbs", {"volume": "vm/100/2020-01-01T00:00:00Z"}, 500,
         "proxmox-file-restore failed: Error: unable to open snapshot 'vm/100/2020-01-01T00:00:00Z'"),
        ("local", {"volume": "backup/vzdump-qemu-100-2027_01_15-08_00_03.vma"}, 400, "Parameter verification failed."),
        ("pbs", {"volume": "local:backup/vzdump-qemu-100-2027_01_15-08_00_03.vma"}, 400,
         "Parameter verification failed."),
    ],
)  # fmt: skip
def test_what_is_not_there(kept: Simulator, storage: str, params: dict[str, Any], status: int, message: str) -> None:
    path = f"/nodes/pve1/storage/{storage}/file-restore/list"
    with pytest.raises(ApiError) as refused:
        kept.request("GET", path, {"volume": volume(kept, 200), "filepath": "/", **params})
    assert (refused.value.status, refused.value.message) == (status, message)


def test_who_may_not_use_a_backup_sees_nothing_in_it(kept: Simulator) -> None:
    params = {"volume": volume(kept, 100), "filepath": "/"}
    with pytest.raises(ApiError) as refused:
        kept.request("GET", f"{PLACE}/list", params, user="alice@pve")
    assert refused.value.status == 403


def test_tar_archives_are_not_modelled(kept: Simulator) -> None:
    params = {"volume": volume(kept, 200), "filepath": encoded("/root.pxar.didx/etc"), "tar": 1}
    with pytest.raises(NotModelled):
        kept.request("GET", f"{PLACE}/download", params)
