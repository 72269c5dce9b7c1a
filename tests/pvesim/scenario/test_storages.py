"""Storages: definitions, listed volumes, backups, sizes."""

from __future__ import annotations

from typing import get_args

import pytest

from pvesim.scenario import build_world
from pvesim.scenario.model import StorageType
from pvesim.storage.records import GIB, Space, Storage, Volume
from pvesim.storage.rules import space_of
from pvesim.storage.types import TYPES
from tests.pvesim.invariants import check_invariants
from tests.pvesim.scenario.places import build, problem

TWO = "nodes: {a: {}, b: {}}\n"


def volids(text: str) -> list[tuple[str, str]]:
    world = build(text)
    assert check_invariants(world) == []
    return [(volume.volid, volume.place) for volume in world.rows(Volume).values()]


class TestDefinitions:
    def test_a_fresh_node_has_two(self) -> None:
        world = build_world({})
        assert [storage.type for storage in world.rows(Storage).values()] == ["dir", "lvmthin"]

    def test_all_types_of_pve_may_be_written(self) -> None:
        assert set(get_args(StorageType)) == set(TYPES)

    def test_none_is_possible(self) -> None:
        assert not build("storages: {}").rows(Storage)

    def test_local_is_implied_as_pve_implies_it(self) -> None:
        storage = build("storages: {local: {type: dir}}").rows(Storage)["local"]
        assert storage.options == {"path": "/var/lib/vz", "priority": 0, "prune-backups": "keep-all=1"}
        assert set(storage.content) == {"images", "rootdir", "backup", "iso", "vztmpl", "snippets"}

    def test_options_are_pve_s_own(self) -> None:
        storage = build("storages: {nas: {type: nfs, config: {server: s, export: /e, content: [iso, backup]}}}").rows(
            Storage
        )["nas"]
        assert storage.shared
        assert storage.content == ("iso", "backup")
        assert storage.options["export"] == "/e"
        assert storage.options["path"] == "/mnt/pve/nas"

    def test_what_a_type_needs_has_a_default(self) -> None:
        text = "".join(
            f"  {name}: {{type: {name}}}\n" for name in ("btrfs", "cifs", "lvm", "nfs", "pbs", "rbd", "zfspool")
        )
        made = build(f"storages:\n{text}").rows(Storage)
        assert made["lvm"].options["vgname"] == "lvm"
        assert made["pbs"].content == ("backup",)

    @pytest.mark.parametrize(
        ("storage", "words"),
        [
            ("{type: floppy}", "input should be 'btrfs', 'cephfs'"),
            ("{type: dir, config: {nodes: nope}}", "no node 'nope': there are pve1"),
            ("{type: dir, config: {colour: red}}", "property is not defined in schema"),
            ("{type: lvmthin, config: {content: iso}}", "a storage of type 'lvmthin' cannot hold 'iso'"),
            ("{type: dir, config: {storage: x}}", "'storage' is not written here"),
            ("{type: dir, volumes: [{name: iso/a.iso, size: 1}]}", "storage 'x1' does not hold 'iso'"),
            ("{type: dir, volumes: [{name: garbage, size: 1}]}", "unable to parse directory volume name 'garbage'"),
            ("{type: dir, nodes: {nope: {size: 1}}}", "storage 'x1' has no space of its own there"),
        ],
    )
    def test_what_cannot_be(self, storage: str, words: str) -> None:
        found = problem(f"storages:\n  x1: {storage}")
        assert found.startswith("x.yaml:2:")
        assert words in found


class TestVolumes:
    def test_a_local_storage_has_a_volume_on_its_node_or_on_all(self) -> None:
        volumes = "{name: iso/a.iso, size: 1M}, {name: iso/b.iso, size: 1M, node: b}"
        text = f"{TWO}storages: {{local: {{type: dir, volumes: [{volumes}]}}}}"
        assert volids(text) == [("local:iso/a.iso", "a"), ("local:iso/a.iso", "b"), ("local:iso/b.iso", "b")]

    def test_a_shared_one_has_it_once(self) -> None:
        text = (
            f"{TWO}storages: {{nas: {{type: nfs, config: {{content: iso}}, volumes: [{{name: iso/a.iso, size: 1}}]}}}}"
        )
        assert volids(text) == [("nas:iso/a.iso", "")]

    def test_formats_follow_names(self) -> None:
        names = ("vztmpl/a.tar.gz", "vztmpl/a.tar.zst", "iso/a.img", "snippets/x.yaml", "100/vm-100-disk-3.qcow2")
        listed = ", ".join(f"{{name: {name}, size: 1K}}" for name in names)
        world = build(f"storages: {{local: {{type: dir, volumes: [{listed}]}}}}")
        formats = [volume.format for volume in world.rows(Volume).values()]
        assert formats == ["tgz", "tzst", "iso", "snippet", "qcow2"]
        assert world.rows(Volume)["local", "pve1", "100/vm-100-disk-3.qcow2"].vmid == 100

    def test_one_name_one_volume(self) -> None:
        listed = "{name: iso/a.iso, size: 1}, {name: iso/a.iso, size: 2}"
        found = problem(f"storages: {{local: {{type: dir, volumes: [{listed}]}}}}")
        assert found.endswith("the volume 'local:iso/a.iso' is there already")

    def test_a_new_disk_does_not_take_a_listed_volume_s_name(self) -> None:
        storages = "storages: {d1: {type: dir, volumes: [{name: 100/vm-100-disk-0.qcow2, size: 1G}]}}\n"
        assert ("d1:100/vm-100-disk-1.raw", "pve1") in volids(storages + "vms: {100: {config: {scsi0: 'd1:1'}}}")


class TestBackups:
    text = (
        "start: 2026-03-14T09:26:53Z\n"
        "storages: {local: {type: dir, backups: [%s]}, l1: {type: lvmthin}}\n"
        "vms: {100: {config: {name: web, lock: backup, scsi0: 'l1:1'}}}\n"
        "containers: {200: {config: {rootfs: 'l1:1'}}}\n"
    )

    def test_a_backup_is_named_as_vzdump_names_it(self) -> None:
        world = build(self.text % "{guest: 100, ago: 1h, notes: hi, protected: true}, {guest: 200, compress: gz}")
        first, second = [volume for volume in world.rows(Volume).values() if volume.content == "backup"]
        assert first.name == "backup/vzdump-qemu-100-2026_03_14-08_26_53.vma.zst"
        assert (first.format, first.subtype, first.vmid) == ("vma.zst", "qemu", 100)
        assert (first.notes, first.protected) == ("hi", True)
        assert second.name == "backup/vzdump-lxc-200-2026_03_13-09_26_53.tar.gz"

    def test_it_holds_the_guest_s_configuration_without_its_lock(self) -> None:
        world = build(self.text % "{guest: 100}")
        backup = next(volume for volume in world.rows(Volume).values() if volume.content == "backup")
        assert backup.guest_config["scsi0"] == "l1:vm-100-disk-0,size=1G"
        assert "lock" not in backup.guest_config

    def test_one_of_a_guest_that_is_gone_brings_its_own(self) -> None:
        world = build(self.text % "{guest: 150, kind: qemu, config: {name: old}}")
        backup = next(volume for volume in world.rows(Volume).values() if volume.content == "backup")
        assert backup.guest_config == {"name": "old"}

    def test_on_a_backup_server_names_are_others(self) -> None:
        world = build(
            "start: 2026-03-14T09:26:53Z\nstorages: {p1: {type: pbs, backups: [{guest: 100, ago: 0}]}}\nvms: {100: {}}"
        )
        backup = next(iter(world.rows(Volume).values()))
        assert (backup.volid, backup.format) == ("p1:backup/vm/100/2026-03-14T09:26:53Z", "pbs-vm")

    @pytest.mark.parametrize(
        ("backup", "words"),
        [
            ("{guest: 150}", "no guest 150: a backup of one that is gone needs kind and config"),
            ("{guest: 100, node: x}", "no node 'x'"),
            ("{guest: 100}, {guest: 100}", "is there already"),
        ],
    )
    def test_what_cannot_be(self, backup: str, words: str) -> None:
        assert words in problem(self.text % backup)

    def test_it_is_where_its_guest_is_or_where_the_scenario_says(self) -> None:
        text = (
            f"{TWO}storages: {{here: {{type: dir, config: {{content: backup%s}}, backups: [{{guest: 100%s}}]}}}}\n"
            "vms: {100: {node: b}}"
        )
        assert [place for _, place in volids(text % ("", ""))] == ["b"]
        assert [place for _, place in volids(text % ("", ", node: a"))] == ["a"]
        assert [place for _, place in volids(text % (", nodes: a", ""))] == ["a"]
        assert problem(text % (", nodes: a", ", node: b")).endswith("storage 'here' is not on node 'b'")

    def test_a_storage_for_disks_takes_none(self) -> None:
        found = problem("storages: {l1: {type: lvmthin, backups: [{guest: 100}]}}\nvms: {100: {}}")
        assert found.endswith("storage 'l1' does not hold backups")


class TestSizes:
    def test_used_is_the_base_and_the_volumes(self) -> None:
        world = build("storages: {l1: {type: lvm, size: 100G, used: 10G}}\nvms: {100: {config: {scsi0: 'l1:8'}}}")
        assert space_of(world, "l1", "pve1")[:3] == (100 * GIB, 18 * GIB, 82 * GIB)

    def test_a_thin_disk_takes_what_the_guest_has_written(self) -> None:
        world = build(
            "storages: {l1: {type: lvmthin}}\nvms: {100: {config: {scsi0: 'l1:8'}, behaviour: {disk_used: 0.5}}}"
        )
        assert space_of(world, "l1", "pve1").used == 4 * GIB

    def test_a_size_that_is_left_out_is_large_enough(self) -> None:
        world = build("storages: {l1: {type: lvm}}\nvms: {100: {config: {scsi0: 'l1:9000'}}}")
        assert space_of(world, "l1", "pve1").total >= 18000 * GIB

    def test_a_directory_without_a_size_lies_on_the_node_s_root(self) -> None:
        world = build("nodes: {pve1: {hardware: {root_size: 50G, root_used: 5G}}}\nstorages: {local: {type: dir}}")
        assert space_of(world, "local", "pve1")[:2] == (50 * GIB, 5 * GIB)
        assert not world.rows(Space)

    def test_one_node_may_differ(self) -> None:
        world = build(f"{TWO}storages: {{l1: {{type: lvm, size: 1T, nodes: {{b: {{size: 2T, active: false}}}}}}}}")
        spaces = world.rows(Space)
        assert (spaces["l1", "a"].total, spaces["l1", "a"].active) == (1 << 40, True)
        assert (spaces["l1", "b"].total, spaces["l1", "b"].active) == (2 << 40, False)

    @pytest.mark.parametrize(
        "storage",
        [
            "{type: lvm, size: 10G, used: 3G}",
            "{type: dir, config: {content: images}, volumes: [{name: 100/vm-100-disk-9.raw, size: 90G}]}",
        ],
    )
    def test_more_than_there_is_room_for_is_a_problem(self, storage: str) -> None:
        found = problem(f"storages: {{x1: {storage}}}\nvms: {{100: {{config: {{scsi0: 'x1:8'}}}}}}")
        assert "more than its" in found
        assert ": storages.x1: the volumes on pve1 need " in found
