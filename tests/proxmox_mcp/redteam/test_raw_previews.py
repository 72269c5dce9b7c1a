"""What a person is shown of a raw request, and that a change of it meanwhile is seen."""

from collections.abc import Callable
from typing import Any

import pytest
from mcp.types import ElicitResult

from tests.proxmox_mcp.redteam.conftest import Lab, text_of

pytestmark = pytest.mark.anyio

Change = Callable[[Lab], Any]


def sdn_again(lab: Lab) -> None:
    lab.api().cluster.sdn.zones("apart").put(mtu=1400)


CASES: dict[str, tuple[str, dict[str, Any], list[str], Change]] = {
    "restart a node": (
        "call_api",
        {"method": "POST", "path": "/nodes/pve2/status", "params": {"command": "reboot"}},
        ["Guests concerned: ", "101 (db, running)", "105 (staging, stopped)"],
        lambda lab: lab.simulator.clock.run_until_done(lab.api().nodes("pve2").qemu(105).status.start.post()),
    ),
    "delete a storage": (
        "call_api",
        {"method": "DELETE", "path": "/storage/nas"},
        ["There now: content: ", "There now: type: nfs"],
        lambda lab: lab.api().storage("nas").put(content="backup"),
    ),
    "change a user": (
        "call_api",
        {"method": "PUT", "path": "/access/users/alice@pve", "params": {"enable": 0}},
        ["There now: "],
        lambda lab: lab.api().access.users("alice@pve").put(comment="changed"),
    ),
    "apply the network": ("apply_sdn", {}, ["zone apart: new"], sdn_again),
    "delete a user": (
        "delete_user",
        {"userid": "alice@pve"},
        ["alice@pve"],
        lambda lab: lab.api().access.acl.put(path="/", roles="Administrator", users="alice@pve"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_what_is_shown_is_what_is_looked_at_again(
    lab: Lab, case: tuple[str, dict[str, Any], list[str], Change]
) -> None:
    tool, arguments, says, change = case
    lab.api().cluster.sdn.zones.post(zone="apart", type="simple")
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        if len(asked) > 1:
            return ElicitResult(action="decline")
        change(lab)
        return ElicitResult(action="accept", content={"approve": True})

    async with lab.client(toolsets=("all",), answer=answer) as attacker:
        result = await attacker.call(tool, **arguments)
    assert result.is_error, text_of(result)
    for part in says:
        assert part in asked[0]


async def test_secrets_of_what_is_there_are_not_shown(lab: Lab) -> None:
    lab.api().nodes("pve2").qemu(105).config.put(cipassword="hunter2-hunter2")
    async with lab.client(toolsets=("all",)) as attacker:
        given = {"method": "PUT", "path": "/nodes/pve2/qemu/105/config", "params": {"delete": "cipassword"}}
        text = await attacker.refused("call_api", "needs a person", **given)
    assert "hunter2" not in text
