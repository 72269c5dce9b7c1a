"""What random lives and hostile requests have brought to light, each once and small."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.qemu.shacrypt import sha256_crypt
from pvesim.storage.records import Volume
from tests.pvesim.properties.worlds import TEMPLATE, cluster

MANY = "9" * 5000
LINES = "one\nlock: backup"


@pytest.fixture
def simulator() -> Simulator:
    return cluster(2)


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any]) -> str:
    """Why a request was refused, at once or by its task."""
    try:
        upid = simulator.request(verb, path, params)
    except ApiError as error:
        return error.message
    simulator.clock.run_until_done(upid)
    return str(simulator.world.rows(Task)[upid].exitstatus)


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("PUT", "/nodes/pve1/qemu/100/config", {"args": LINES}, "unable to parse value of 'args' - property contains"),
        ("POST", "/nodes/pve1/qemu/100/config", {"args": LINES}, "unable to parse value of 'args' - property contains"),
        ("POST", "/nodes/pve1/qemu", {"vmid": 103, "args": LINES}, "unable to create VM 103 - unable to parse value"),
        ("PUT", "/nodes/pve1/lxc/200/config", {"entrypoint": LINES}, "detected invalid newline inside property"),
        (
            "POST",
            "/nodes/pve1/lxc",
            {"vmid": 203, "ostemplate": TEMPLATE, "rootfs": "thin:1", "entrypoint": LINES},
            "unable to create CT 203 - detected invalid newline inside property 'entrypoint'",
        ),
    ],
)
def test_no_option_brings_a_second_line_into_the_file(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], text: str
) -> None:
    before = dict(simulator.world.rows(Guest))
    assert refusal(simulator, verb, path, params).startswith(text)
    assert simulator.world.rows(Guest) == before


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("PUT", "/nodes/pve1/lxc/200/resize", {"disk": "rootfs", "size": MANY}, "value does not look like a valid"),
        ("PUT", "/nodes/pve1/qemu/100/resize", {"disk": "scsi0", "size": MANY}, "value does not look like a valid"),
        (
            "POST",
            "/nodes/pve1/storage/thick/content",
            {"vmid": 100, "filename": "vm-100-disk-9", "size": MANY},
            "not enough free space",
        ),
        ("POST", "/nodes/pve1/qemu", {"vmid": 103, "scsi0": f"thick:{MANY[:400]}"}, "unable to create VM 103 - not "),
        (
            "POST",
            "/nodes/pve1/lxc",
            {"vmid": 203, "ostemplate": TEMPLATE, "rootfs": f"thick:{MANY[:400]}"},
            "unable to create CT 203 - not enough free space",
        ),
        ("POST", "/cluster/ha/resources", {"sid": MANY}, f"unable do add resource - VM/CT {MANY}"),
        ("POST", "/cluster/ha/resources", {"sid": f"vm:{MANY}"}, f"resource 'vm:{MANY}' does not exist in cluster"),
    ],
)
def test_numbers_beyond_all_bounds_are_refused(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], text: str
) -> None:
    before = dict(simulator.world.rows(Volume))
    assert refusal(simulator, verb, path, params).startswith(text)
    assert simulator.world.rows(Volume) == before


def test_a_time_or_place_beyond_all_bounds_is_as_good_as_the_last(simulator: Simulator) -> None:
    simulator.request("POST", "/nodes/pve1/lxc/200/status/shutdown", {"timeout": int(MANY[:400])})
    simulator.clock.advance(60)
    assert not simulator.world.rows(Guest)[200].running
    for comment in ("second", "first"):
        rule = {"action": "ACCEPT", "type": "in", "comment": comment}
        simulator.request("POST", "/cluster/firewall/rules", rule)
    simulator.request("PUT", "/cluster/firewall/rules/0", {"moveto": int(MANY[:400])})
    assert [rule["comment"] for rule in simulator.request("GET", "/cluster/firewall/rules")] == ["second", "first"]


def test_a_password_that_is_too_long_fits_nothing() -> None:
    assert sha256_crypt("a" * 511, "salt").startswith("$5$salt$")
    assert sha256_crypt("a" * 512, "salt") == "*0"


def test_plugin_data_that_is_no_base64_stays_as_it_is(simulator: Simulator) -> None:
    given = {"id": "dns1", "type": "dns", "api": "acmedns", "data": "schlüssel=1"}
    simulator.request("POST", "/cluster/acme/plugins", given)
    assert simulator.request("GET", "/cluster/acme/plugins/dns1")["data"] == "schlüssel=1"


def test_an_unused_disk_is_moved(simulator: Simulator) -> None:
    simulator.request("POST", "/nodes/pve1/qemu/100/status/stop")
    simulator.clock.advance(10)
    simulator.request("PUT", "/nodes/pve1/qemu/100/unlink", {"idlist": "scsi0"})
    params = {"disk": "unused0", "storage": "local", "delete": 1}
    assert refusal(simulator, "POST", "/nodes/pve1/qemu/100/move_disk", params) == "OK"
    moved = simulator.world.rows(Guest)[100].config["unused0"]
    assert moved == "local:100/vm-100-disk-0.qcow2"
    assert [volume.volid for volume in simulator.world.rows(Volume).values() if volume.vmid == 100] == [
        "local:backup/vzdump-qemu-100-2025_12_30-00_00_00.vma.zst",
        moved,
    ]
