"""Tickets for consoles."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure, Forbidden
from pvesim.core.tasks import Task
from tests.pvesim.guests.yard import ct, done, make_ct, make_vm, vm, yard


def test_a_vnc_ticket_names_a_port_and_a_task() -> None:
    sim = yard()
    make_vm(sim)
    first, second = (sim.request("POST", vm(100, "/vncproxy")) for _ in range(2))
    assert first["user"] == "root@pam"
    assert first["ticket"].startswith("PVEVNC:")
    assert first["cert"].startswith("-----BEGIN CERTIFICATE-----")
    assert (first["port"], second["port"]) == ("5900", "5901")
    sim.clock.run_until_done(first["upid"])
    task = sim.world.rows(Task)[first["upid"]]
    assert (task.type, task.exitstatus) == ("vncproxy", "connection timed out")


def test_a_terminal_wants_a_serial_port() -> None:
    sim = yard()
    make_vm(sim)
    with pytest.raises(Failure, match="unable to find a serial interface"):
        sim.request("POST", vm(100, "/termproxy"))
    sim.request("PUT", vm(100, "/config"), {"serial0": "socket"})
    assert sim.request("POST", vm(100, "/termproxy"))["ticket"].startswith("PVEVNC:")
    make_ct(sim)
    assert sim.request("POST", ct(200, "/termproxy"))["user"] == "root@pam"


def test_a_spice_viewer_wants_a_running_machine_with_its_display() -> None:
    sim = yard()
    make_vm(sim, name="web1", vga="qxl")
    with pytest.raises(Failure, match="VM 100 not running"):
        sim.request("POST", vm(100, "/spiceproxy"))
    done(sim, "POST", vm(100, "/status/start"))
    answer = sim.request("POST", vm(100, "/spiceproxy"))
    assert (answer["type"], answer["title"]) == ("spice", "VM 100 - web1")


def test_the_right_is_wanted() -> None:
    sim = yard()
    make_vm(sim)
    with pytest.raises(Forbidden):
        sim.request("POST", vm(100, "/vncproxy"), user="alice@pve")
