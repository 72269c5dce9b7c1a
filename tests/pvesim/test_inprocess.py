"""An unmodified proxmoxer on a world in the same process."""

from __future__ import annotations

import pytest
from proxmoxer import AuthenticationError, ProxmoxAPI
from proxmoxer.core import ResourceException

from pvesim.access.records import Token, User
from pvesim.access.rules import ROOT
from pvesim.engine import Simulator


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(root_password="open-sesame")


def test_it_is_proxmoxers_own_class(simulator: Simulator) -> None:
    assert type(simulator.connect()) is ProxmoxAPI


def test_reads_and_writes_by_a_ticket_made_for_the_user(simulator: Simulator) -> None:
    api = simulator.connect()
    assert api.version.get()["version"] == simulator.request("GET", "/version")["version"]
    assert api.access.ticket.post(username=ROOT, password="open-sesame")["username"] == ROOT


def test_logs_in_by_password_and_renews_by_ticket(simulator: Simulator) -> None:
    api = simulator.connect(password="open-sesame")
    first = api.get_tokens()
    api._backend.auth.renew_age = 0
    simulator.clock.advance(60)
    api.version.get()
    assert api.get_tokens() != first
    assert api.access.get()


def test_a_wrong_password_is_refused_as_proxmoxer_refuses_it(simulator: Simulator) -> None:
    with pytest.raises(AuthenticationError, match="401 authentication failure"):
        simulator.connect(password="wrong")


def test_a_token_is_used_with_the_secret_that_the_world_knows(simulator: Simulator) -> None:
    simulator.world.put(Token(ROOT, "ci", simulator.world.uuid(), privsep=False))
    assert simulator.connect(f"{ROOT}!ci").version.get()
    with pytest.raises(ResourceException, match="401"):
        simulator.connect(f"{ROOT}!ci", token_value="wrong").version.get()
    with pytest.raises(KeyError):
        simulator.connect(f"{ROOT}!none")


def test_pve_errors_arrive_as_over_the_wire(simulator: Simulator) -> None:
    with pytest.raises(ResourceException) as caught:
        simulator.connect().nodes("nope").qemu.get()
    assert caught.value.status_code == 500
    assert caught.value.content.startswith("hostname lookup 'nope' failed")
    with pytest.raises(ResourceException) as caught:
        simulator.connect().version.get(colour="red")
    assert caught.value.errors == {
        "colour": "property is not defined in schema and the schema does not allow additional properties"
    }


def test_worlds_side_by_side_do_not_meet(simulator: Simulator) -> None:
    other = Simulator(seed=1)
    other.world.put(User("alice@pve"))
    assert other.connect("alice@pve").version.get()
    with pytest.raises(ResourceException, match="401"):
        simulator.connect("alice@pve").version.get()
