"""Volumes: names and sizes of new ones, what lists and details show, changing and removing them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.core.errors import ApiError, Failure, Forbidden
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.storage.records import Space, Storage, Volume
from pvesim.storage.rules import space_of
from pvesim.storage.volumes import allocate, free, path_of, requested_size, volume_of
from tests.pvesim.small_world import GIB, NOW, give
from tests.pvesim.storage.world import backup, storage_simulator

CONTENT = "/nodes/pve1/storage/local/content"


@pytest.fixture
def simulator() -> Simulator:
    return storage_simulator()


def finish(simulator: Simulator, upid: str) -> Task:
    simulator.clock.run_until_done(upid)
    task = simulator.world.get(Task, upid)
    assert task is not None
    return task


# -- making ------------------------------------------------------------------------------------------------------------


def test_a_folder_takes_no_limit(simulator: Simulator) -> None:
    with pytest.raises(Failure, match=r"^storage does not support subvol quotas$"):
        allocate(simulator.world, "local", "pve1", 101, GIB, "subvol")


@pytest.mark.parametrize(
    ("storage", "format", "names"),
    [
        ("local", None, ("101/vm-101-disk-0.raw", "101/vm-101-disk-1.raw")),
        ("local", "qcow2", ("101/vm-101-disk-0.qcow2", "101/vm-101-disk-1.qcow2")),
        ("local", "subvol", ("101/subvol-101-disk-0.subvol", "101/subvol-101-disk-1.subvol")),
        ("thin", None, ("vm-101-disk-0", "vm-101-disk-1")),
        ("tank", "subvol", ("subvol-101-disk-0", "subvol-101-disk-1")),
        ("share", "raw", ("101/vm-101-disk-0.raw", "101/vm-101-disk-1.raw")),
    ],
)
def test_new_volumes_take_the_lowest_free_number(
    simulator: Simulator, storage: str, format: str | None, names: tuple[str, str]
) -> None:
    world = simulator.world
    size = 0 if (storage, format) == ("local", "subvol") else GIB  # a folder has no limit
    first = allocate(world, storage, "pve1", 101, size, format)
    second = allocate(world, storage, "pve1", 101, size, format)
    assert (first.name, second.name) == names
    assert volume_of(world, "pve1", first.volid) == first
    free(world, first)
    assert volume_of(world, "pve1", first.volid) is None
    assert allocate(world, storage, "pve1", 101, size, format).name == names[0]
    assert allocate(world, storage, "pve1", 102, size, format).name.endswith(names[0].replace("101", "102"))


def test_numbers_are_shared_by_all_formats(simulator: Simulator) -> None:
    allocate(simulator.world, "local", "pve1", 101, GIB, "raw")
    assert allocate(simulator.world, "local", "pve1", 101, GIB, "qcow2").name == "101/vm-101-disk-1.qcow2"


def test_a_local_volume_is_on_its_node_and_a_shared_one_on_all(simulator: Simulator) -> None:
    world = simulator.world
    local, shared = allocate(world, "local", "pve1", 101, GIB), allocate(world, "share", "pve1", 101, GIB)
    assert volume_of(world, "pve2", local.volid) is None
    assert volume_of(world, "pve2", shared.volid) == shared
    assert path_of(world, shared) == "/mnt/pve/share/images/101/vm-101-disk-0.raw"


def test_a_linked_clone_is_named_after_its_base(simulator: Simulator) -> None:
    world = simulator.world
    base = allocate(world, "local", "pve1", 101, GIB, "qcow2", name="base-101-disk-0.qcow2")
    clone = allocate(world, "local", "pve1", 102, GIB, "qcow2", base=base)
    assert clone.name == "101/base-101-disk-0.qcow2/102/vm-102-disk-0.qcow2"
    row = next(row for row in simulator.request("GET", CONTENT) if row["volid"] == clone.volid)
    assert row["parent"] == "../101/base-101-disk-0.qcow2"
    with pytest.raises(Failure) as caught:
        free(world, base)
    assert caught.value.message == "base volume 'local:101/base-101-disk-0.qcow2' is still in use by linked cloned"
    free(world, clone)
    free(world, base)


@pytest.mark.parametrize(
    ("storage", "format", "size", "used"),
    [
        ("local", "raw", GIB, 4096),
        ("local", "qcow2", GIB, 331_776),
        ("local", "subvol", 0, 0),
        ("thick", "raw", GIB, GIB),
        ("thin", "raw", GIB, 0),
        ("tank", "raw", GIB, 0),
    ],
)
def test_space_used_by_a_new_volume(simulator: Simulator, storage: str, format: str, size: int, used: int) -> None:
    before = space_of(simulator.world, storage, "pve1")
    volume = allocate(simulator.world, storage, "pve1", 101, size, format)
    after = space_of(simulator.world, storage, "pve1")
    assert volume.used == used == after.used - before.used == before.avail - after.avail
    assert after.total == before.total


@pytest.mark.parametrize(
    ("storage", "arguments", "text"),
    [
        ("nosuch", {}, "storage 'nosuch' does not exist"),
        ("other", {}, "storage 'other' is not available on node 'pve1'"),
        ("thick", {"size": 21 * GIB}, f"not enough free space ({20 * GIB} < {21 * GIB})"),
        ("thin", {"format": "qcow2"}, "unsupported format 'qcow2'"),
        ("thin", {"name": "disk"}, "illegal name 'disk' - should be 'vm-101-*'"),
        ("local", {"name": "disk"}, "unable to parse volume filename 'disk'"),
        ("local", {"name": "a.raw", "format": "qcow2"},
         "illegal name 'a.raw' - wrong extension for format ('raw != 'qcow2')"),
    ],
)  # fmt: skip
def test_what_cannot_be_allocated(simulator: Simulator, storage: str, arguments: dict[str, Any], text: str) -> None:
    before = simulator.world.fork()
    with pytest.raises(Failure) as caught:
        allocate(simulator.world, storage, "pve1", 101, arguments.pop("size", GIB), **arguments)
    assert caught.value.message == text
    assert not before.diff(simulator.world)


def test_a_name_that_is_taken(simulator: Simulator) -> None:
    for storage, text in (
        ("local", "disk image '/var/lib/vz/images/101/vm-101-disk-0.raw' already exists"),
        ("tank", "zfs error: cannot create 'tank/vm/vm-101-disk-0': dataset already exists"),
        ("thin", "lvcreate 'pve/vm-101-disk-0' error:   Logical Volume \"vm-101-disk-0\" already exists in volume "
         'group "pve"'),
    ):  # fmt: skip
        volume = allocate(simulator.world, storage, "pve1", 101, GIB)
        with pytest.raises(Failure) as caught:
            allocate(simulator.world, storage, "pve1", 101, GIB, name=volume.name.rpartition("/")[2])
        assert caught.value.message == text


def test_a_storage_whose_medium_does_not_answer(simulator: Simulator) -> None:
    world = simulator.world
    world.put(Space("share", "", 200 * GIB, active=False))
    with pytest.raises(Failure, match=r"^storage 'share' is not online$"):
        allocate(world, "share", "pve1", 101, GIB)
    assert simulator.request("GET", "/nodes/pve1/storage/share/status")["active"] == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["local", "thick", "thin", "share"]), st.integers(1, 8), st.booleans())))
def test_space_is_the_sum_of_the_volumes(steps: list[tuple[str, int, bool]]) -> None:
    world = storage_simulator().world
    empty = {name: space_of(world, name, "pve1").used for name in ("local", "thick", "thin", "share")}
    made: list[Volume] = []
    for storage, size, keep in steps:
        try:
            volume = allocate(world, storage, "pve1", 101, size * GIB)
        except Failure:
            assert storage == "thick"
            assert size * GIB > space_of(world, storage, "pve1").avail
            continue
        if keep:
            made.append(volume)
        else:
            free(world, volume)
    for name, used in empty.items():
        figures = space_of(world, name, "pve1")
        assert figures.used - used == sum(volume.used for volume in made if volume.storage == name)
        assert 0 <= figures.avail == figures.total - figures.used
    assert len({volume.key for volume in made}) == len(made)


# -- over the API ------------------------------------------------------------------------------------------------------


def test_allocate_over_the_api(simulator: Simulator) -> None:
    params = {"filename": "vm-101-disk-0.raw", "size": "1G", "vmid": 101, "format": "raw"}
    assert simulator.request("POST", CONTENT, params) == "local:101/vm-101-disk-0.raw"
    with pytest.raises(Failure, match=r"^disk image '/var/lib/vz/images/101/vm-101-disk-0.raw' already exists$"):
        simulator.request("POST", CONTENT, params)
    assert simulator.request("POST", CONTENT, {**params, "filename": "foo.raw"}) == "local:101/foo.raw"
    with pytest.raises(ApiError) as caught:
        simulator.request("POST", CONTENT, {**params, "filename": "b.qcow2"})
    assert caught.value.errors == {"format": "different storage formats (raw != qcow2)"}


def test_sizes_are_kibibytes_unless_a_unit_is_given() -> None:
    assert (requested_size("4"), requested_size("3M"), requested_size("2G")) == (4096, 3 << 20, 2 << 30)


def test_the_content_list(simulator: Simulator) -> None:
    world = simulator.world
    allocate(world, "local", "pve1", 100, GIB, "qcow2")
    allocate(world, "local", "pve1", 200, GIB)
    world.put(replace(backup(100, "2026_11_23-04_41_50"), notes="mine"))
    rows = {row["volid"]: row for row in simulator.request("GET", CONTENT)}
    assert list(rows) == sorted(rows)
    assert rows["local:100/vm-100-disk-0.qcow2"] == {
        "content": "images", "ctime": int(NOW), "format": "qcow2", "parent": None, "size": GIB, "used": 331_776,
        "vmid": 100, "volid": "local:100/vm-100-disk-0.qcow2",
    }  # fmt: skip
    assert rows["local:200/vm-200-disk-0.raw"]["content"] == "rootdir"
    assert rows["local:iso/tiny.iso"] == {
        "content": "iso", "ctime": int(NOW), "format": "iso", "size": 409_600, "volid": "local:iso/tiny.iso",
    }  # fmt: skip
    saved = rows["local:backup/vzdump-qemu-100-2026_11_23-04_41_50.vma.zst"]
    assert (saved["subtype"], saved["notes"], saved["vmid"], "protected" in saved) == ("qemu", "mine", 100, False)


def test_filters_of_the_content_list(simulator: Simulator) -> None:
    allocate(simulator.world, "local", "pve1", 100, GIB)
    allocate(simulator.world, "local", "pve1", 200, GIB)

    def volids(**params: Any) -> list[str]:
        return [row["volid"] for row in simulator.request("GET", CONTENT, params)]

    assert volids(content="iso") == ["local:iso/tiny.iso"]
    assert volids(content="rootdir") == ["local:200/vm-200-disk-0.raw"]
    assert volids(vmid=100) == ["local:100/vm-100-disk-0.raw"]
    simulator.world.put(Storage("local", "dir", ("images",), options={"path": "/var/lib/vz"}))
    assert volids() == ["local:100/vm-100-disk-0.raw"]
    assert volids(content="iso") == []


def test_block_storages_show_no_use(simulator: Simulator) -> None:
    allocate(simulator.world, "thin", "pve1", 100, GIB)
    (row,) = simulator.request("GET", "/nodes/pve1/storage/thin/content")
    assert row == {
        "content": "images", "ctime": int(NOW), "format": "raw", "size": GIB, "vmid": 100,
        "volid": "thin:vm-100-disk-0",
    }  # fmt: skip


@pytest.mark.parametrize("volume", ["local:100/vm-100-disk-0.qcow2", "100/vm-100-disk-0.qcow2"])
def test_one_volume(simulator: Simulator, volume: str) -> None:
    allocate(simulator.world, "local", "pve1", 100, GIB, "qcow2")
    assert simulator.request("GET", f"{CONTENT}/{volume.replace('/', '%2F')}") == {
        "format": "qcow2", "path": "/var/lib/vz/images/100/vm-100-disk-0.qcow2", "size": GIB, "used": 331_776,
    }  # fmt: skip


def test_a_backup_is_measured_as_a_plain_file(simulator: Simulator) -> None:
    simulator.world.put(backup(100, "2026_11_23-04_41_50"))
    shown = simulator.request("GET", f"{CONTENT}/backup%2Fvzdump-qemu-100-2026_11_23-04_41_50.vma.zst")
    assert (shown["format"], shown["size"], shown["used"], shown["protected"]) == ("raw", 1024, 4096, 0)


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        ("garbage", "unable to parse directory volume name 'garbage'"),
        ("local:101%2Fvm-101-disk-7.raw", "volume_size_info on 'local:101/vm-101-disk-7.raw' failed - no format"),
    ],
)
def test_a_volume_that_is_not_there(simulator: Simulator, volume: str, text: str) -> None:
    with pytest.raises(Failure) as caught:
        simulator.request("GET", f"{CONTENT}/{volume}")
    assert caught.value.message == text


def test_a_volume_of_another_storage_is_a_bad_parameter(simulator: Simulator) -> None:
    with pytest.raises(ApiError) as caught:
        simulator.request("GET", f"{CONTENT}/share:iso%2Fa.iso")
    assert caught.value.status == 400
    assert list(caught.value.errors or ()) == ["volume"]


def test_notes_and_protection_are_for_backups(simulator: Simulator) -> None:
    simulator.world.put(backup(100, "2026_11_23-04_41_50"))
    path = f"{CONTENT}/backup%2Fvzdump-qemu-100-2026_11_23-04_41_50.vma.zst"
    simulator.request("PUT", path, {"notes": "keep", "protected": 1})
    assert simulator.request("GET", path)["notes"] == "keep"
    assert simulator.request("GET", CONTENT, {"content": "backup"})[0]["protected"] == 1
    task = finish(simulator, simulator.request("DELETE", path))
    assert task.exitstatus == (
        "cannot remove protected volume 'backup/vzdump-qemu-100-2026_11_23-04_41_50.vma.zst' on 'local'"
    )
    simulator.request("PUT", path, {"notes": "", "protected": 0})
    assert "notes" not in simulator.request("GET", path)
    for params, text in (
        ({"notes": "n"}, "only backups can have notes"),
        ({"protected": 1}, "only backups can be protected"),
    ):
        with pytest.raises(Failure, match=f"^{text}$"):
            simulator.request("PUT", f"{CONTENT}/iso%2Ftiny.iso", params)


def test_delete_is_a_task(simulator: Simulator) -> None:
    volume = allocate(simulator.world, "local", "pve1", 102, GIB)
    path = f"{CONTENT}/{volume.name.replace('/', '%2F')}"
    task = finish(simulator, simulator.request("DELETE", path))
    assert (task.type, task.id, task.exitstatus) == ("imgdel", "102@local", "OK")
    assert task.log == ("Removed volume 'local:102/vm-102-disk-0.raw'", "TASK OK")
    again = finish(simulator, simulator.request("DELETE", path))
    assert again.log[0] == "disk image '/var/lib/vz/images/102/vm-102-disk-0.raw' does not exist"
    assert again.exitstatus == "OK"
    iso = finish(simulator, simulator.request("DELETE", f"{CONTENT}/iso%2Ftiny.iso"))
    assert (iso.id, simulator.request("GET", CONTENT)) == ("local", [])


def test_delete_with_a_delay_waits(simulator: Simulator) -> None:
    volume = allocate(simulator.world, "local", "pve1", 102, GIB)
    path = f"{CONTENT}/{volume.name.replace('/', '%2F')}"
    assert simulator.request("DELETE", path, {"delay": 5}) is None
    assert volume_of(simulator.world, "pve1", volume.volid) is None


def test_deleting_a_logical_volume_logs_it(simulator: Simulator) -> None:
    allocate(simulator.world, "thin", "pve1", 102, GIB)
    task = finish(simulator, simulator.request("DELETE", "/nodes/pve1/storage/thin/content/vm-102-disk-0"))
    assert task.log[0] == '  Logical volume "vm-102-disk-0" successfully removed.'


# -- rights ------------------------------------------------------------------------------------------------------------


def test_who_may_see_volumes(simulator: Simulator) -> None:
    world = simulator.world
    allocate(world, "local", "pve1", 100, GIB)
    allocate(world, "local", "pve1", 101, GIB)
    world.put(backup(100, "2026_11_23-04_41_50"))
    give(world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    give(world, "alice@pve", "/vms/100", "PVEVMAdmin")
    seen = [row["volid"] for row in simulator.request("GET", CONTENT, user="alice@pve")]
    assert seen == [
        "local:100/vm-100-disk-0.raw",
        "local:backup/vzdump-qemu-100-2026_11_23-04_41_50.vma.zst",
        "local:iso/tiny.iso",
    ]
    with pytest.raises(Forbidden) as caught:
        simulator.request("GET", f"{CONTENT}/101%2Fvm-101-disk-0.raw", user="alice@pve")
    assert caught.value.message == "Permission check failed (/vms/101, VM.Config.Disk)"


def test_who_may_remove_volumes(simulator: Simulator) -> None:
    world = simulator.world
    world.put(backup(100, "2026_11_23-04_41_50"))
    give(world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    give(world, "alice@pve", "/vms/100", "PVEVMAdmin")
    with pytest.raises(Forbidden, match=r"\(/storage/local, Datastore.Allocate\)"):
        simulator.request("DELETE", f"{CONTENT}/iso%2Ftiny.iso", user="alice@pve")
    path = f"{CONTENT}/backup%2Fvzdump-qemu-100-2026_11_23-04_41_50.vma.zst"
    assert finish(simulator, simulator.request("DELETE", path, user="alice@pve")).exitstatus == "OK"
