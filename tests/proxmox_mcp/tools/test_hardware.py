"""Hardware of guests: what PVE would take, and no start survive, is refused."""

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Tell

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("vmid", [100, 200])
async def test_a_card_on_a_bridge_that_there_is_not(tell: Tell, simulator: Simulator, vmid: int) -> None:
    reply = await tell("set_nic", vmid=vmid, nic="net0", bridge="vmbr9")
    assert reply.is_error
    assert "There is no bridge vmbr9 on node pve1 that the configured user may use; there are: vmbr0." in reply.text
    assert not any(request.startswith(("POST", "PUT")) for request in reply.requests)


async def test_a_card_on_a_virtual_network(tell: Tell, simulator: Simulator) -> None:
    simulator.request("POST", "/cluster/sdn/zones", {"zone": "lab", "type": "simple"})
    simulator.request("POST", "/cluster/sdn/vnets", {"vnet": "vlab", "zone": "lab"})
    simulator.clock.run_until_done(simulator.request("PUT", "/cluster/sdn"))
    reply = await tell("set_nic", vmid=100, nic="net0", bridge="vlab")
    assert not reply.is_error, reply.text
    assert "bridge=vlab" in simulator.request("GET", "/nodes/pve1/qemu/100/config")["net0"]
