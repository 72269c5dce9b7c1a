"""Guests: configuration as PVE stores it, disks and their volumes, states, snapshots."""

from __future__ import annotations

import pytest

from pvesim.guests.records import Guest
from pvesim.scenario.guests import boot_order
from pvesim.storage.records import GIB, Volume
from tests.pvesim.invariants import check_invariants
from tests.pvesim.scenario.places import build, problem, problems

VM = "vms:\n  100: {config: {%s}}\n"
CT = "containers:\n  200: {config: {%s}}\n"


def config(text: str, vmid: int = 100) -> dict[str, object]:
    world = build(text)
    assert check_invariants(world) == []
    return dict(world.rows(Guest)[vmid].config)


def volumes(text: str) -> dict[str, Volume]:
    return {volume.volid: volume for volume in build(text).rows(Volume).values()}


class TestDisks:
    def test_a_size_makes_the_volume_as_the_api_does(self) -> None:
        text = VM % "scsi0: 'local-lvm:32,ssd=1,discard=on'"
        assert config(text)["scsi0"] == "local-lvm:vm-100-disk-0,discard=on,size=32G,ssd=1"
        volume = volumes(text)["local-lvm:vm-100-disk-0"]
        assert (volume.size, volume.vmid, volume.format, volume.place) == (32 * GIB, 100, "raw", "pve1")

    def test_disks_on_one_storage_are_numbered(self) -> None:
        found = config(VM % "scsi0: 'local-lvm:1', scsi1: 'local-lvm:0.5'")
        assert found["scsi0"] == "local-lvm:vm-100-disk-0,size=1G"
        assert found["scsi1"] == "local-lvm:vm-100-disk-1,size=512M"

    def test_a_new_disk_takes_a_number_that_is_left(self) -> None:
        found = config(VM % "scsi0: 'local-lvm:1', scsi1: 'local-lvm:vm-100-disk-0,size=4G'")
        assert found["scsi0"] == "local-lvm:vm-100-disk-1,size=1G"
        assert found["scsi1"] == "local-lvm:vm-100-disk-0,size=4G"

    def test_on_files_the_name_tells_owner_and_format(self) -> None:
        storages = "storages: {d1: {type: dir, config: {content: images}}}\n"
        found = config(storages + VM % "scsi0: 'd1:1', scsi1: 'd1:1,format=qcow2'")
        assert found["scsi0"] == "d1:100/vm-100-disk-0.raw,size=1G"
        assert found["scsi1"] == "d1:100/vm-100-disk-1.qcow2,size=1G"

    def test_a_template_has_base_volumes(self) -> None:
        assert config(VM % "template: 1, scsi0: 'local-lvm:8'")["scsi0"] == "local-lvm:base-100-disk-0,size=8G"

    def test_a_clone_is_linked_to_its_base(self) -> None:
        text = (
            "storages: {z1: {type: zfspool}}\nvms:\n"
            "  101: {config: {scsi0: 'z1:base-100-disk-0/vm-101-disk-0,size=8G'}}\n"
            "  100: {config: {template: 1, scsi0: 'z1:8'}}\n"
        )
        assert config(text, 101)["scsi0"] == "z1:base-100-disk-0/vm-101-disk-0,size=8G"
        assert volumes(text)["z1:base-100-disk-0/vm-101-disk-0"].parent == "base-100-disk-0"

    def test_a_link_to_nothing_is_a_problem(self) -> None:
        text = "storages: {z1: {type: zfspool}}\n" + VM % "scsi0: 'z1:base-9-disk-0/vm-100-disk-0,size=8G'"
        assert problem(text).endswith("no volume 'z1:base-9-disk-0' that it could be linked to")

    def test_small_disks_have_their_size_whatever_is_asked(self) -> None:
        found = config(VM % "bios: ovmf, efidisk0: 'local-lvm:1,efitype=4m', tpmstate0: 'local-lvm:1,version=v2.0'")
        assert found["efidisk0"] == "local-lvm:vm-100-disk-0,efitype=4m,size=4M"
        assert found["tpmstate0"] == "local-lvm:vm-100-disk-1,size=4M,version=v2.0"

    def test_a_cloud_init_drive_is_made(self) -> None:
        found = config(VM % "ide2: 'local-lvm:cloudinit', scsi0: 'local-lvm:1'")
        assert found["ide2"] == "local-lvm:vm-100-cloudinit,media=cdrom,size=4M"

    def test_a_cd_drive_shows_the_size_of_its_image(self) -> None:
        storages = "storages: {local: {type: dir, volumes: [{name: iso/a.iso, size: 400K}]}}\n"
        found = config(storages + VM % "ide2: 'local:iso/a.iso,media=cdrom', ide3: 'none,media=cdrom'")
        assert found["ide2"] == "local:iso/a.iso,media=cdrom,size=400K"
        assert found["ide3"] == "none,media=cdrom"

    def test_a_container_gets_a_root_disk_and_mount_points(self) -> None:
        found = config(CT % "mp0: 'local-lvm:2,mp=/data,backup=0'", 200)
        assert found["rootfs"] == "local-lvm:vm-200-disk-0,size=8G"
        assert found["mp0"] == "local-lvm:vm-200-disk-1,mp=/data,backup=0,size=2G"

    def test_a_container_on_zfs_has_subvolumes(self) -> None:
        found = config("storages: {z1: {type: zfspool}}\n" + CT % "rootfs: 'z1:4'", 200)
        assert found["rootfs"] == "z1:subvol-200-disk-0,size=4G"

    def test_a_bind_mount_has_no_volume(self) -> None:
        assert config(CT % "mp0: '/srv,mp=/srv'", 200)["mp0"] == "/srv,mp=/srv"

    @pytest.mark.parametrize(
        ("option", "words"),
        [
            ("scsi0: 'nope:32'", "no storage 'nope': there are local, local-lvm"),
            ("scsi0: 'local:32'", "storage 'local' does not hold 'images'"),
            ("scsi0: 'local-lvm:32,format=qcow2'", "storage 'local-lvm' has no format 'qcow2'"),
            ("scsi0: 'local-lvm:vm-101-disk-0,size=1G'", "'local-lvm:vm-101-disk-0' belongs to guest 101 by its name"),
            ("scsi0: 'local-lvm:vm-100-disk-0'", "no volume 'local-lvm:vm-100-disk-0': list it under"),
            ("ide2: 'local:iso/no.iso,media=cdrom'", "no volume 'local:iso/no.iso'"),
            ("scsi0: 'local-lvm:garbage,size=1G'", "unable to parse lvm volume name 'garbage'"),
            ("scsi0: garbage", "PVE refuses it: invalid format"),
        ],
    )
    def test_a_disk_that_cannot_be(self, option: str, words: str) -> None:
        found = problem(VM % option)
        assert found.startswith("x.yaml:2:18: vms.100.config.")
        assert words in found

    def test_a_volume_is_not_used_twice(self) -> None:
        text = VM % "scsi0: 'local-lvm:vm-100-disk-0,size=1G', scsi1: 'local-lvm:vm-100-disk-0,size=1G'"
        assert problem(text).endswith("'local-lvm:vm-100-disk-0' is this guest's scsi0 already")

    def test_a_storage_elsewhere_cannot_hold_a_disk(self) -> None:
        text = (
            "nodes: {a: {}, b: {}}\nstorages: {l1: {type: lvmthin, config: {nodes: b}}}\n"
            "vms: {100: {node: a, config: {scsi0: 'l1:1'}}}"
        )
        assert problem(text).endswith("storage 'l1' is not on node 'a'")


class TestConfiguration:
    def test_a_vm_has_what_pve_writes_by_itself(self) -> None:
        found = config(VM % "scsi0: 'local-lvm:1', net0: 'virtio,bridge=vmbr0', memory: 2048, onboot: true")
        assert found["boot"] == "order=scsi0;net0"
        assert str(found["meta"]).startswith("creation-qemu=")
        assert len(str(found["vmgenid"])) == 36
        assert str(found["smbios1"]).startswith("uuid=")
        assert found["memory"] == "2048"
        assert found["onboot"] == 1
        assert type(found["onboot"]) is int

    def test_network_devices_get_an_address_that_depends_on_the_seed_and_the_guest_alone(self) -> None:
        text = VM % "net0: 'virtio,bridge=vmbr0', net1: 'e1000,bridge=vmbr0'"
        first, again = config(text), config(text + "  101: {config: {net0: 'virtio,bridge=vmbr0'}}\n")
        assert str(first["net0"]).startswith("virtio=BC:24:11:")
        assert first["net0"] == again["net0"]
        assert first["net1"] != first["net0"]
        assert config(f"seed: 3\n{text}")["net0"] != first["net0"]

    def test_an_address_that_is_given_stays(self) -> None:
        found = config(VM % "net0: 'virtio=bc:24:11:00:00:01,bridge=vmbr0'")
        assert found["net0"] == "virtio=BC:24:11:00:00:01,bridge=vmbr0"

    def test_a_container_s_device_is_written_as_pve_does(self) -> None:
        text = CT % "net0: 'ip=dhcp,bridge=vmbr0,name=eth0,hwaddr=BC:24:11:55:95:1E'"
        assert config(text, 200)["net0"] == "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:55:95:1E,ip=dhcp,type=veth"

    def test_the_cluster_s_prefix_is_heeded(self) -> None:
        text = "cluster: {options: {mac_prefix: 'AA:BB:CC'}}\n" + VM % "net0: 'virtio,bridge=vmbr0'"
        assert str(config(text)["net0"]).startswith("virtio=AA:BB:CC:")

    def test_tags_are_sorted_and_may_be_a_list(self) -> None:
        assert config(VM % "tags: [web, prod, web]")["tags"] == "prod;web"
        assert config(VM % "tags: 'web;prod'")["tags"] == "prod;web"

    def test_descriptions_end_as_pve_shows_them(self) -> None:
        assert config(VM % "description: one")["description"] == "one"
        assert config(CT % "description: one", 200)["description"] == "one\n"

    @pytest.mark.parametrize(
        ("option", "words"),
        [
            ("cores: 0", "PVE refuses it: value must have a minimum value of 1"),
            ("colour: red", "PVE refuses it: property is not defined in schema"),
            ("name: 'a b'", "PVE refuses it: invalid format"),
            ("start: 1", "'start' is no part of a configuration"),
            ("net0: 'virtio,bridge=vmbr7'", "no bridge 'vmbr7' on node 'pve1': there are vmbr0"),
        ],
    )
    def test_what_pve_would_refuse_is_a_problem(self, option: str, words: str) -> None:
        found = problem(VM % option)
        assert found.startswith(f"x.yaml:2:18: vms.100.config.{option.partition(':')[0]}: ")
        assert words in found

    def test_an_id_is_given_once_in_a_cluster(self) -> None:
        assert "100 is a VM already" in problem("vms: {100: {}}\ncontainers: {100: {}}")

    def test_in_a_cluster_a_guest_says_where_it_is(self) -> None:
        nodes = "nodes: {a: {}, b: {}}\n"
        assert problem(nodes + "vms: {100: {}}").endswith("vms.100.node: which node? there are a, b")
        assert problem(nodes + "vms: {100: {node: c}}").endswith("vms.100.node: no node 'c': there are a, b")

    @pytest.mark.parametrize(
        ("keys", "order"),
        [
            ({}, " "),
            ({"net0": "virtio"}, "order=net0"),
            ({"scsi1": "l:1", "ide2": "none,media=cdrom", "scsi0": "l:1", "net1": "x"}, "order=scsi0;ide2;net1"),
            ({"virtio10": "l:1", "virtio2": "l:1"}, "order=virtio2"),
        ],
    )
    def test_the_boot_order_of_a_new_vm(self, keys: dict[str, str], order: str) -> None:
        assert boot_order(keys) == order


class TestStates:
    @pytest.mark.parametrize(
        ("state", "status", "qmpstatus"),
        [("running", "running", "running"), ("paused", "running", "paused"), ("stopped", "stopped", "stopped")],
    )
    def test_a_vm_is_in_its_state(self, state: str, status: str, qmpstatus: str) -> None:
        world = build(f"vms: {{100: {{state: {state}, uptime: 1h}}}}")
        guest = world.rows(Guest)[100]
        assert (guest.status, guest.qmpstatus) == (status, qmpstatus)
        assert guest.started == (world.now - 3600 if guest.running else 0)
        assert (guest.pid is not None) == guest.running

    def test_a_template_cannot_run(self) -> None:
        assert problem("vms: {100: {state: running, config: {template: 1}}}").endswith("a template cannot run")

    def test_an_agent_is_there_when_the_configuration_enables_it(self) -> None:
        world = build("vms: {100: {config: {agent: 1}}, 101: {}, 102: {config: {agent: 1}, behaviour: {agent: false}}}")
        assert [world.rows(Guest)[vmid].behaviour.agent for vmid in (100, 101, 102)] == [True, False, False]

    def test_pending_changes_wait(self) -> None:
        world = build("vms: {100: {config: {cores: 2}, pending: {cores: 4, description: }}}")
        assert world.rows(Guest)[100].pending == {"cores": 4, "description": None}

    def test_a_lock_is_part_of_the_configuration(self) -> None:
        world = build("vms: {100: {config: {lock: backup}}}")
        assert world.rows(Guest)[100].lock == "backup"
        assert check_invariants(world) == ["guest 100 is locked (backup) and no task runs on it"]


class TestSnapshots:
    text = "vms: {100: {config: {scsi0: 'local-lvm:1', cores: 4, lock: backup}, snapshots: [%s]}}"

    def test_each_stands_on_the_one_before_unless_it_says_otherwise(self) -> None:
        world = build(self.text % "{name: s1, ago: 3d}, {name: s2}, {name: s3, parent: s1}")
        made = world.rows(Guest)[100].snapshots
        assert [(snapshot.name, snapshot.parent) for snapshot in made] == [("s1", None), ("s2", "s1"), ("s3", "s1")]
        assert made[0].snaptime == world.now - 3 * 86400

    def test_it_has_the_configuration_of_its_time(self) -> None:
        world = build(self.text % "{name: s1, config: {cores: 2, memory: 512}}, {name: s2, config: {cores: }}")
        first, second = world.rows(Guest)[100].snapshots
        assert first.config["cores"] == 2
        assert first.config["memory"] == "512"
        assert first.config["scsi0"] == "local-lvm:vm-100-disk-0,size=1G"
        assert "lock" not in first.config
        assert "cores" not in second.config

    @pytest.mark.parametrize(
        ("snapshots", "words"),
        [
            ("{name: s1}, {name: s1}", "'s1' is reserved, or another snapshot's name"),
            ("{name: current}", "'current' is reserved"),
            ("{name: s1, parent: s2}, {name: s2}", "no snapshot 's2' stands before this one"),
            ("{name: s1, parent: s1}", "no snapshot 's1' stands before this one"),
            ("{name: s1, config: {scsi1: 'local-lvm:4'}}", "a snapshot has disks that the guest has now"),
            ("{name: s1, config: {cores: 0}}", "PVE refuses it"),
        ],
    )
    def test_what_cannot_be(self, snapshots: str, words: str) -> None:
        assert words in problem(self.text % snapshots)

    def test_memory_is_kept_in_a_volume_of_its_own(self) -> None:
        world = build(self.text % "{name: s1, vmstate: true, config: {memory: 1024}}")
        (snapshot,) = world.rows(Guest)[100].snapshots
        assert snapshot.vmstate
        assert snapshot.config["vmstate"] == "local-lvm:vm-100-state-s1"
        assert world.rows(Volume)["local-lvm", "pve1", "vm-100-state-s1"].size == 2548 * 1024 * 1024
        assert check_invariants(world, left_locked=[100]) == []

    def test_without_a_disk_there_is_nowhere_to_keep_it(self) -> None:
        found = problem("vms: {100: {snapshots: [{name: s1, vmstate: true}]}}")
        assert found.endswith("vmstate: a guest without a disk has nowhere to keep its memory")

    def test_the_guest_goes_on_from_one(self) -> None:
        text = "vms: {100: {config: {scsi0: 'local-lvm:4', parent: %s}, snapshots: [{name: s1}, {name: s2}]}}"
        assert build(text % "s1").rows(Guest)[100].config["parent"] == "s1"
        assert "config.parent: the guest has no snapshot 's3'" in problem(text % "s3")

    def test_a_container_s_holds_no_memory(self) -> None:
        found = problem("containers: {200: {snapshots: [{name: s1, vmstate: true}]}}")
        assert found.endswith("a container's snapshot holds no memory")


def test_several_problems_are_told_at_once_each_with_its_place() -> None:
    guests = "100: {config: {cores: 0}}", "101: {node: nope}", "102: {config: {net0: 'virtio,bridge=x'}}"
    found = problems("vms:\n" + "".join(f"  {guest}\n" for guest in guests))
    assert [text.split(": ")[0] for text in found] == ["x.yaml:2:18", "x.yaml:3:9", "x.yaml:4:18"]
