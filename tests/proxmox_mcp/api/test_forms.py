"""Parameters of raw requests are what a form sends, before anyone judges them."""

from typing import Any

import pytest

from proxmox_mcp.api.forms import as_form
from proxmox_mcp.errors import InvalidArgument


@pytest.mark.parametrize(
    ("path", "params", "form"),
    [
        ("/nodes/n/vzdump", None, {}),
        ("/nodes/n/vzdump", {"mode": ["stop"], "vmid": [100]}, {"mode": "stop", "vmid": 100}),
        ("/nodes/n/vzdump", {"remove": False, "all": True, "node": None}, {"remove": 0, "all": 1}),
        ("/nodes/n/qemu/100/agent/exec", {"command": ["id", "-u"]}, {"command": ["id", "-u"]}),
        ("/nodes/n/qemu/100/agent/exec", {"command": ["id"]}, {"command": ["id"]}),
        ("/nodes/n/qemu", {"net0": ["virtio"], "scsi0": "local:1"}, {"net0": "virtio", "scsi0": "local:1"}),
    ],
)
def test_values_are_as_they_are_sent(path: str, params: Any, form: Any) -> None:
    assert as_form("POST", path, params) == form


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"mode": ["snapshot", "stop"]}, "mode: POST /nodes/n/vzdump takes one value, and not 2"),
        ({"mode": []}, "takes one value, and not 0"),
        ({"mode": {"a": 1}}, "mode: PVE takes texts"),
        ({"exclude-path": [["a"]]}, "exclude-path: PVE takes texts"),
        ({"notes-template": "x" * 400_000}, "300000 characters"),
        ({f"p{number}": 1 for number in range(300)}, "200 parameters"),
        ({"exclude-path": ["x"] * 600}, "600 items"),
    ],
)
def test_what_no_form_sends_is_refused(params: Any, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        as_form("POST", "/nodes/n/vzdump", params)


def test_several_values_for_what_pve_is_not_known_to_have_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        as_form("POST", "/cluster/something-new", {"a": ["x", "y"]})
