"""Storage definitions: what may be written, in PVE's texts, and what the lists show of it."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError, Failure, Forbidden
from pvesim.engine import Simulator
from pvesim.storage.types import TYPES
from pvesim.wire import to_json
from tests.pvesim.small_world import give
from tests.pvesim.storage.world import storage_simulator


@pytest.fixture
def simulator() -> Simulator:
    return storage_simulator()


def create(simulator: Simulator, **params: Any) -> Any:
    return simulator.request("POST", "/storage", params)


def test_a_new_storage_is_listed_everywhere(simulator: Simulator) -> None:
    answer = create(simulator, storage="d1", type="dir", path="/var/lib/d1", content="images,iso,backup")
    assert answer == {"storage": "d1", "type": "dir"}
    shown = simulator.request("GET", "/storage/d1")
    assert shown == {
        "content": "images,iso,backup",
        "digest": shown["digest"],
        "path": "/var/lib/d1",
        "storage": "d1",
        "type": "dir",
    }
    assert shown in simulator.request("GET", "/storage", {"type": "dir"})
    row = next(row for row in simulator.request("GET", "/nodes/pve1/storage") if row["storage"] == "d1")
    local = simulator.request("GET", "/nodes/pve1/storage/local/status")
    assert (row["active"], row["total"], row["used"]) == (1, local["total"], local["used"])
    assert simulator.request("GET", "/nodes/pve1/storage/d1/content") == []


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"type": "dir"}, "missing value for required option 'path'"),
        ({"type": "dir", "path": "/p", "server": "10.0.0.1"}, "unexpected property 'server'"),
        ({"type": "zfspool", "pool": "t", "shared": 1}, "unexpected property 'shared'"),
        ({"type": "dir", "path": "/p", "content": "none,iso"}, "unable to combine 'none' with other content types"),
        ({"type": "lvm", "vgname": "vg", "content": "iso"}, "storage does not support configured content types: iso"),
        (
            {"type": "nfs", "server": "10.99.0.1", "export": "/x"},
            "create storage failed: storage 'd1' is not online",
        ),
        (
            {"type": "dir", "path": "/no", "mkdir": 0},
            "create storage failed: unable to activate storage 'd1' - directory '/no' does not exist or is unreachable",
        ),
        (
            {"type": "dir", "path": "/no", "is_mountpoint": "1"},
            "create storage failed: unable to activate storage 'd1' - directory is expected to be a mount point "
            "but is not mounted: '/no'",
        ),
        (
            {"type": "zfspool", "pool": "nopool"},
            "create storage failed: could not activate storage 'd1', zfs error: cannot import 'nopool': "
            "no such pool available",
        ),
    ],
)
def test_a_bad_definition_is_refused_and_leaves_nothing(
    simulator: Simulator, params: dict[str, Any], text: str
) -> None:
    before = simulator.world.fork()
    with pytest.raises(Failure) as caught:
        create(simulator, storage="d1", **params)
    assert caught.value.message == text
    assert not before.diff(simulator.world)


def test_flags_are_numbers(simulator: Simulator) -> None:
    create(simulator, storage="d1", type="dir", path="/srv", mkdir="0", shared="1")
    shown = simulator.request("GET", "/storage/d1")
    assert (to_json(shown["mkdir"]), to_json(shown["shared"])) == (b"0", b"1")


def test_an_id_is_given_once(simulator: Simulator) -> None:
    with pytest.raises(Failure, match=r"^create storage failed: storage ID 'local' already defined$"):
        create(simulator, storage="local", type="dir", path="/x")


def test_a_directory_that_is_there_need_not_be_made(simulator: Simulator) -> None:
    create(simulator, storage="d1", type="dir", path="/srv", mkdir=0)
    create(simulator, storage="d2", type="dir", path="/made")
    create(simulator, storage="d3", type="dir", path="/made", **{"create-base-path": 0})
    assert simulator.request("GET", "/nodes/pve1/storage/d3/status")["active"] == 1


def test_a_volume_group_that_is_not_there_is_inactive(simulator: Simulator) -> None:
    create(simulator, storage="lv1", type="lvm", vgname="novg")
    row = simulator.request("GET", "/nodes/pve1/storage", {"storage": "lv1"})[0]
    assert row == {
        "active": 0, "avail": 0, "content": "images", "enabled": 1, "shared": 0, "storage": "lv1", "total": 0,
        "type": "lvm", "used": 0,
    }  # fmt: skip


def test_a_second_export_of_a_known_server_is_there(simulator: Simulator) -> None:
    create(simulator, storage="nfs2", type="nfs", server="10.0.0.9", export="/y")
    status = simulator.request("GET", "/nodes/pve2/storage/nfs2/status")
    assert (status["active"], status["shared"]) == (1, 1)
    assert simulator.request("GET", "/storage/nfs2")["path"] == "/mnt/pve/nfs2"


def test_content_that_the_type_cannot_hold_is_dropped(simulator: Simulator) -> None:
    create(simulator, storage="lv2", type="lvm", vgname="big", content="images,iso")
    assert simulator.request("GET", "/storage/lv2")["content"] == "images"


def test_unknown_nodes_are_accepted(simulator: Simulator) -> None:
    create(simulator, storage="d9", type="dir", path="/d9", nodes="nope")
    assert simulator.request("GET", "/storage/d9")["nodes"] == "nope"
    assert simulator.request("GET", "/nodes/pve1/storage", {"storage": "d9"})[0]["enabled"] == 0
    with pytest.raises(Failure, match=r"^storage 'd9' is not available on node 'pve1'$"):
        simulator.request("GET", "/nodes/pve1/storage/d9/content")


def test_disable_and_enable(simulator: Simulator) -> None:
    simulator.request("PUT", "/storage/thin", {"disable": 1})
    assert simulator.request("GET", "/storage/thin")["disable"] == 1
    assert simulator.request("GET", "/nodes/pve1/storage/thin/status")["enabled"] == 0
    with pytest.raises(Failure, match=r"^storage 'thin' is disabled$"):
        simulator.request("GET", "/nodes/pve1/storage/thin/content")
    simulator.request("PUT", "/storage/thin", {"delete": "disable"})
    assert "disable" not in simulator.request("GET", "/storage/thin")
    assert simulator.request("GET", "/nodes/pve1/storage/thin/content") == []


@pytest.mark.parametrize(
    ("path", "params", "text"),
    [
        ("nosuch", {"content": "iso"}, "storage 'nosuch' does not exist"),
        ("local", {"digest": "0" * 40, "content": "iso"},
         "detected modified configuration - file changed by other user? Try again."),
        ("local", {"sparse": 1}, "unexpected property 'sparse'"),
        ("local", {"delete": "path"}, "unable to delete required option 'path'"),
        ("local", {"delete": "nodes", "nodes": "pve1"}, "cannot set and delete property 'nodes' at the same time!"),
        ("local", {"delete": "sparse"}, "no such option 'sparse'"),
    ],
)  # fmt: skip
def test_a_bad_update_is_refused(simulator: Simulator, path: str, params: dict[str, Any], text: str) -> None:
    with pytest.raises(Failure) as caught:
        simulator.request("PUT", f"/storage/{path}", params)
    assert caught.value.message == f"update storage failed: {text}"


def test_an_update_with_the_right_digest_passes_and_changes_it(simulator: Simulator) -> None:
    before = simulator.request("GET", "/storage/local")
    simulator.request(
        "PUT", "/storage/local", {"digest": before["digest"], "content": "iso", "prune-backups": "keep-last=2"}
    )
    after = simulator.request("GET", "/storage/local")
    assert (after["content"], after["prune-backups"]) == ("iso", "keep-last=2")
    assert after["digest"] != before["digest"]


def test_secrets_are_not_shown(simulator: Simulator) -> None:
    create(simulator, storage="smb", type="cifs", server="10.0.0.9", share="s", username="u", password="geheim")
    assert "geheim" not in repr(simulator.request("GET", "/storage/smb"))
    assert simulator.request("GET", "/storage/smb")["username"] == "u"


def test_delete_and_define_again_shows_the_same_volumes(simulator: Simulator) -> None:
    create(simulator, storage="d1", type="dir", path="/d1")
    params = {"filename": "vm-102-disk-0.raw", "size": "1G", "vmid": 102}
    simulator.request("POST", "/nodes/pve1/storage/d1/content", params)
    assert simulator.request("DELETE", "/storage/d1") is None
    with pytest.raises(Failure, match=r"^delete storage failed: storage 'd1' does not exist$"):
        simulator.request("DELETE", "/storage/d1")
    create(simulator, storage="d1", type="dir", path="/d1")
    assert len(simulator.request("GET", "/nodes/pve1/storage/d1/content")) == 1
    simulator.request("DELETE", "/storage/d1")
    create(simulator, storage="d1", type="dir", path="/elsewhere")
    assert simulator.request("GET", "/nodes/pve1/storage/d1/content") == []


def test_a_base_of_another_storage_stays(simulator: Simulator) -> None:
    create(simulator, storage="lv3", type="lvm", vgname="vg", base="share:100/vm-100-disk-0.raw")
    with pytest.raises(Failure, match="storage is used as base of another storage"):
        simulator.request("DELETE", "/storage/share")


def test_who_may_see_and_write(simulator: Simulator) -> None:
    assert simulator.request("GET", "/storage", user="alice@pve") == []
    give(simulator.world, "alice@pve", "/storage/thin", "PVEDatastoreUser")
    assert [row["storage"] for row in simulator.request("GET", "/storage", user="alice@pve")] == ["thin"]
    assert [row["storage"] for row in simulator.request("GET", "/nodes/pve1/storage", user="alice@pve")] == ["thin"]
    with pytest.raises(Forbidden) as caught:
        simulator.request("DELETE", "/storage/thin", user="alice@pve")
    assert caught.value.message == "Permission check failed (/storage, Datastore.Allocate)"


def test_unknown_storages_answer_as_pve_does(simulator: Simulator) -> None:
    with pytest.raises(Failure, match=r"^storage 'nosuch' does not exist$"):
        simulator.request("GET", "/storage/nosuch")
    for path, params in (("/nodes/pve1/storage", {"storage": "nosuch"}), ("/nodes/pve1/storage/nosuch/status", {})):
        with pytest.raises(ApiError) as caught:
            simulator.request("GET", path, params)
        assert caught.value.errors == {"storage": "No such storage."}


def test_filters_of_the_nodes_list(simulator: Simulator) -> None:
    def names(**params: Any) -> list[str]:
        return [row["storage"] for row in simulator.request("GET", "/nodes/pve1/storage", params)]

    assert names(content="iso") == ["local", "share"]
    assert names(target="pve2") == ["share"]
    assert "other" in names()
    assert "other" not in names(enabled=1)
    row = simulator.request("GET", "/nodes/pve1/storage", {"storage": "local", "format": 1})[0]
    assert row["formats"] == {"default": "raw", "supported": ["qcow2", "raw", "subvol", "vmdk"]}


def test_the_facts_of_the_types_are_sound(simulator: Simulator) -> None:
    method = simulator.contract.find("POST", ["storage"])
    assert method is not None
    known = set(method[0].parameters.schemas) | {"priority"}
    for kind in TYPES.values():
        assert set(kind.default_contents) <= set(kind.contents)
        assert kind.section.options <= known, kind.name
