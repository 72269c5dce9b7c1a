"""Names there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.real.names import Names, RangeTooSmall, mapped_ids

NAMES = Names(
    ids={100: 9000, 101: 9001, 900: 9010},
    storages={"thin": "pvemcp-thin", "local": "pvemcp-local"},
    nodes=("pve1", "lab"),
    users={"viewer@pve": "pvemcp-viewer@pve"},
    volumes={"local:vztmpl/a.tar": "local:vztmpl/b.tar", "vmbr0": "vmbr9"},
    pools={"data": "pvemcp-s-data"},
    groups={"ops": "pvemcp-ops"},
    jobs={"nightly": "pvemcp-nightly"},
    identity="root@pam!run",
)


TASK = "00000100:0007A121:6B03C5FB"
BACKUP = "2026_01_01-00_00_00.vma.zst"
TEXTS = {
    "nodes/pve1/qemu/100/config": "nodes/lab/qemu/9000/config",
    "storage/local/content/local:iso/x.iso": "storage/pvemcp-local/content/pvemcp-local:iso/x.iso",
    f"UPID:pve1:{TASK}:qmstart:100:root@pam:": f"UPID:lab:{TASK}:qmstart:9000:root@pam!run:",
    f"UPID:pve1:{TASK}:prunebackups:100@thin:": f"UPID:lab:{TASK}:prunebackups:9000@pvemcp-thin:",
    "access/users/viewer@pve/token/t": "access/users/pvemcp-viewer@pve/token/t",
    "/vms/900": "/vms/9010",
    "thin:vm-101-disk-0,size=1G": "pvemcp-thin:vm-9001-disk-0,size=1G",
    "local:vztmpl/a.tar": "local:vztmpl/b.tar",
    f"local:backup/vzdump-qemu-100-{BACKUP}": f"pvemcp-local:backup/vzdump-qemu-9000-{BACKUP}",
    "access/groups/ops": "access/groups/pvemcp-ops",
    "pools/data": "pools/pvemcp-s-data",
    "cluster/backup/nightly": "cluster/backup/pvemcp-nightly",
}


@pytest.mark.parametrize(("here", "there"), TEXTS.items())
def test_texts(here: str, there: str) -> None:
    assert NAMES.text(here) == there
    assert NAMES.text_back(there) == here


def test_parameters_are_translated_where_they_name_something() -> None:
    given = {"vmid": "100,101", "name": "100", "memory": 100, "storage": "thin", "net0": "virtio,bridge=vmbr0"}
    wanted = {
        "vmid": "9000,9001",
        "name": "100",
        "memory": 100,
        "storage": "pvemcp-thin",
        "net0": "virtio,bridge=vmbr9",
    }
    assert NAMES.params(given) == wanted


def test_the_token_of_the_run_is_not_seen() -> None:
    assert NAMES.back([{"user": "root@pam", "tokenid": "run"}, {"user": "root@pam", "tokenid": "other"}]) == [
        {"user": "root@pam"},
        {"user": "root@pam", "tokenid": "other"},
    ]


def test_nodes_of_a_rule_keep_their_priorities() -> None:
    assert NAMES.params({"nodes": "pve1:2,pve1"}) == {"nodes": "lab:2,lab"}
    assert NAMES.back({"nodes": "lab:2"}) == {"nodes": "pve1:2"}


def test_a_backup_job_is_named_by_its_id() -> None:
    assert NAMES.params({"id": "nightly", "comment": "nightly"}) == {"id": "pvemcp-nightly", "comment": "nightly"}
    assert NAMES.back({"id": "pvemcp-nightly"}) == {"id": "nightly"}


def test_numbers_are_ids_only_under_the_name_of_one() -> None:
    answer = {"vmid": 9000, "pid": 9000, "text": "VM 9000 is locked.", "cpu": 0.9000}
    assert NAMES.back(answer) == {"vmid": 100, "pid": 9000, "text": "VM 100 is locked.", "cpu": 0.9}


@given(st.sets(st.integers(100, 10_000), min_size=1, max_size=40))
def test_ids_keep_their_order_and_neighbours_stay_neighbours(ids: set[int]) -> None:
    places = mapped_ids(ids, 9000, 9099)
    ordered = sorted(ids)
    assert sorted(places.values()) == [places[vmid] for vmid in ordered]
    assert {places[vmid + 1] - places[vmid] for vmid in ids if vmid + 1 in ids} <= {1}
    assert all(9000 <= place <= 9099 for place in places.values())


def test_a_range_that_is_too_small() -> None:
    with pytest.raises(RangeTooSmall, match="9000-9001 is too small: 5 ids are needed"):
        mapped_ids([100, 200, 300], 9000, 9001)
