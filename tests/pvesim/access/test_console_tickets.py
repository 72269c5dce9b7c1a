"""Tickets for consoles: whom they let in, where, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.login import make_ticket
from pvesim.core.errors import Unauthorized
from pvesim.engine import Simulator
from pvesim.wire import WireRequest
from tests.pvesim.small_world import give, small_simulator

VM, SHELL = "/nodes/pve1/qemu/100", "/nodes/pve1"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    give(simulator.world, "alice@pve", "/vms/100", "PVEVMUser")
    return simulator


def opened(simulator: Simulator, place: str, proxy: dict[str, Any], user: str = "root@pam") -> Any:
    params = {"port": proxy["port"], "vncticket": proxy["ticket"]}
    return simulator.request("GET", f"{place}/vncwebsocket", params, user=user)


def test_a_proxy_s_ticket_opens_its_console(simulator: Simulator) -> None:
    proxy = simulator.request("POST", f"{VM}/vncproxy", user="alice@pve")
    assert opened(simulator, VM, proxy, "alice@pve") == {"port": proxy["port"]}
    shell = simulator.request("POST", f"{SHELL}/termproxy")
    assert opened(simulator, SHELL, shell) == {"port": str(shell["port"])}
    container = simulator.request("POST", "/nodes/pve1/lxc/200/termproxy")
    assert opened(simulator, "/nodes/pve1/lxc/200", container) == {"port": str(container["port"])}


@pytest.mark.parametrize(
    ("place", "user", "wait"),
    [(VM, "root@pam", 0), ("/nodes/pve1/qemu/101", "alice@pve", 0), (SHELL, "root@pam", 0), (VM, "alice@pve", 40)],
)
def test_it_opens_nothing_else_and_not_for_long(simulator: Simulator, place: str, user: str, wait: int) -> None:
    give(simulator.world, "alice@pve", "/vms/101", "PVEVMUser")
    proxy = simulator.request("POST", f"{VM}/vncproxy", user="alice@pve")
    simulator.clock.advance(wait)
    with pytest.raises(Unauthorized, match=r"^permission denied - invalid PVEVNC ticket$"):
        opened(simulator, place, proxy, user)


@pytest.mark.parametrize("ticket", ["", "PVEVNC:", "PVEVNC:ZZ::x", "PVE:root@pam:6B03BAE9::x", "é::é"])
def test_what_is_no_ticket_is_refused(simulator: Simulator, ticket: str) -> None:
    with pytest.raises(Unauthorized):
        opened(simulator, VM, {"port": 5900, "ticket": ticket})


def test_a_console_server_asks_about_a_ticket(simulator: Simulator) -> None:
    ticket = simulator.request("POST", f"{VM}/vncproxy", user="alice@pve")["ticket"]
    good = {"authid": "alice@pve", "vncticket": ticket, "path": "/vms/100", "privs": "VM.Console"}
    assert simulator.request("POST", "/access/vncticket", good, user="") is None
    for wrong in ({"authid": "audit@pve"}, {"path": "/vms/101"}, {"privs": "VM.Allocate"}, {"vncticket": "x"}):
        with pytest.raises(Unauthorized, match=r"^authentication failure$"):
            simulator.request("POST", "/access/vncticket", {**good, **wrong}, user="")


def test_the_refusal_has_a_body(simulator: Simulator) -> None:
    headers = {"cookie": f"PVEAuthCookie={make_ticket(simulator.world, 'root@pam')}"}
    request = WireRequest("GET", f"/api2/json{SHELL}/vncwebsocket", "port=5900&vncticket=x", headers)
    answer = simulator.handle(request)
    assert (answer.status, answer.reason) == (401, "permission denied - invalid PVEVNC ticket")
    assert answer.body == b'{"data":null,"message":"permission denied - invalid PVEVNC ticket\\n"}'
