"""The guest agent: when it answers, what it says, what it does."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pvesim.core.errors import Failure, Forbidden, ParameterErrors
from pvesim.engine import Simulator
from pvesim.guests.records import Behaviour
from tests.pvesim.guests.stage import GIB, act, change, configure, guest, path, stage

ADDRESSES = ("192.168.5.7/22", "10.9.8.7")


@pytest.fixture
def simulator() -> Simulator:
    """VM 100 runs with an agent that answers, 101 with none configured."""
    simulator = stage()
    commands: dict[str, dict[str, Any]] = {
        "uname -s": {"out-data": "Linux\n"},
        "false": {"exitcode": 1, "err-data": "no\n"},
    }
    behaviour = Behaviour(agent=True, addresses=ADDRESSES, commands=commands, files={"/etc/hostname": "web1\n"})
    change(simulator, 100, behaviour=behaviour)
    for vmid in (100, 101):
        act(simulator, vmid, "start")
    return simulator


def ask(simulator: Simulator, name: str, verb: str = "GET", user: str = "root@pam", **params: Any) -> Any:
    return simulator.request(verb, path(100, f"/agent/{name}"), params, user=user)


@pytest.mark.parametrize(
    ("vmid", "text"),
    [
        (999, r"Configuration file 'nodes/pve1/qemu-server/999\.conf' does not exist"),
        (101, "No QEMU guest agent configured"),
        (102, "VM 102 is not running"),
        (100, "QEMU guest agent is not running"),
    ],
)
def test_what_is_in_the_way(simulator: Simulator, vmid: int, text: str) -> None:
    configure(simulator, 102, agent="enabled=1")
    act(simulator, 100, "suspend")
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/agent/ping", {}),
        ("GET", "/agent/get-osinfo", {}),
        ("POST", "/agent/exec", {"command": ["ls"]}),
        ("GET", "/agent/exec-status", {"pid": 1}),
        ("GET", "/agent/file-read", {"file": "/etc/hostname"}),
        ("POST", "/agent", {"command": "ping"}),
    ]
    for verb, rest, params in requests:
        with pytest.raises(Failure, match=f"^{text}$"):
            simulator.request(verb, path(vmid, rest), params)


def test_the_agent_tells_of_the_system(simulator: Simulator) -> None:
    assert ask(simulator, "ping", "POST") == {"result": {}}
    assert ask(simulator, "get-host-name") == {"result": {"host-name": "web1"}}
    assert ask(simulator, "get-osinfo")["result"]["id"] == "debian"
    assert ask(simulator, "get-time")["result"] == int(simulator.world.now * 1e9)
    assert ask(simulator, "get-fsinfo")["result"][0]["total-bytes"] == GIB
    assert len(ask(simulator, "get-vcpus")["result"]) == 1
    blocks, size = (
        ask(simulator, "get-memory-blocks")["result"],
        ask(simulator, "get-memory-block-info")["result"]["size"],
    )
    assert len(blocks) * size == 256 * 1024**2
    names = {entry["name"] for entry in ask(simulator, "info")["result"]["supported_commands"]}
    assert {"guest-ping", "guest-exec", "guest-fsfreeze-thaw"} <= names
    configure(simulator, 100, ostype="win11")
    assert ask(simulator, "get-osinfo")["result"]["id"] == "mswindows"


def test_one_path_takes_every_command_by_name(simulator: Simulator) -> None:
    answer = simulator.request("POST", path(100, "/agent"), {"command": "get-host-name"})
    assert answer == ask(simulator, "get-host-name")
    with pytest.raises(ParameterErrors):
        simulator.request("POST", path(100, "/agent"), {"command": "dance"})


def test_interfaces_have_their_macs_and_addresses(simulator: Simulator) -> None:
    configure(simulator, 100, ipconfig0="ip=10.0.0.5/24,gw=10.0.0.1")
    simulator.clock.advance(60)
    loopback, first = ask(simulator, "network-get-interfaces")["result"]
    assert (loopback["name"], first["name"], first["hardware-address"]) == ("lo", "eth0", "bc:24:11:00:00:01")
    assert [(entry["ip-address"], entry["prefix"], entry["ip-address-type"]) for entry in first["ip-addresses"]] == [
        ("10.0.0.5", 24, "ipv4"),
        ("192.168.5.7", 22, "ipv4"),
        ("10.9.8.7", 24, "ipv4"),
        ("fe80::be24:11ff:fe00:1", 64, "ipv6"),
    ]
    status = simulator.request("GET", path(100, "/status/current"))
    assert first["statistics"]["rx-bytes"] == status["netin"] > 0


def test_file_systems_freeze_and_thaw(simulator: Simulator) -> None:
    assert ask(simulator, "fsfreeze-status", "POST")["result"] == "thawed"
    assert ask(simulator, "fsfreeze-freeze", "POST")["result"] == 1
    assert ask(simulator, "fsfreeze-status", "POST")["result"] == "frozen"
    for command, verb in [("get-osinfo", "GET"), ("fsfreeze-freeze", "POST"), ("fstrim", "POST")]:
        with pytest.raises(Failure, match=f"^Agent error: Command guest-{command} has been disabled"):
            ask(simulator, command, verb)
    assert ask(simulator, "fsfreeze-thaw", "POST")["result"] == 1
    assert ask(simulator, "fsfreeze-thaw", "POST")["result"] == 0
    assert ask(simulator, "fstrim", "POST")["result"]["paths"][0]["path"] == "/"


def test_a_new_start_thaws(simulator: Simulator) -> None:
    ask(simulator, "fsfreeze-freeze", "POST")
    act(simulator, 100, "stop")
    act(simulator, 100, "start")
    assert ask(simulator, "fsfreeze-status", "POST")["result"] == "thawed"


def test_a_command_is_run_and_its_result_told_once(simulator: Simulator) -> None:
    pid = ask(simulator, "exec", "POST", command=["uname", "-s"])["pid"]
    failing = ask(simulator, "exec", "POST", command=["false"])["pid"]
    assert pid != failing
    assert ask(simulator, "exec-status", pid=pid) == {"exited": 1, "exitcode": 0, "out-data": "Linux\n"}
    assert ask(simulator, "exec-status", pid=failing) == {"exited": 1, "exitcode": 1, "err-data": "no\n"}
    with pytest.raises(Failure, match=f"^Agent error: PID {pid} does not exist$"):
        ask(simulator, "exec-status", pid=pid)


def test_an_unknown_program_is_not_found(simulator: Simulator) -> None:
    with pytest.raises(Failure, match="Failed to execute child process “nosuch” \\(No such file or directory\\)"):
        ask(simulator, "exec", "POST", command=["nosuch", "-x"])


def test_files_are_read_and_written(simulator: Simulator) -> None:
    assert ask(simulator, "file-read", file="/etc/hostname") == {"content": "web1\n", "bytes-read": 5}
    assert ask(simulator, "file-read", file="/etc/hostname", count=2, offset=1) == {
        "content": "eb",
        "bytes-read": 2,
        "truncated": 1,
    }
    assert ask(simulator, "file-write", "POST", file="/tmp/x", content="one") is None
    encoded = base64.b64encode(b"two").decode()
    ask(simulator, "file-write", "POST", file="/tmp/y", content=encoded, encode=0)
    assert ask(simulator, "file-read", file="/tmp/x")["content"] == "one"
    assert ask(simulator, "file-read", file="/tmp/y", decode=0)["content"] == encoded
    with pytest.raises(Failure, match=r"failed to open file '/nope' \(mode: 'rb'\): No such file or directory"):
        ask(simulator, "file-read", file="/nope")
    with pytest.raises(Failure, match="Base64 string can not be decoded"):
        ask(simulator, "file-write", "POST", file="/tmp/z", content="%%", encode=0)


def test_a_password_is_kept_hashed(simulator: Simulator) -> None:
    assert ask(simulator, "set-user-password", "POST", username="joe", password="secret-pw") == {"result": {}}
    ask(simulator, "set-user-password", "POST", username="ann", password="$5$x$y", crypted=1)
    ask(simulator, "set-user-password", "POST", username="joe", password="other-pw")
    shadow = ask(simulator, "file-read", file="/etc/shadow")["content"]
    assert [line.split(":")[0] for line in shadow.splitlines()] == ["ann", "joe"]
    assert "$5$x$y" in shadow
    assert "other-pw" not in shadow


def test_the_agent_can_shut_the_machine_down(simulator: Simulator) -> None:
    ask(simulator, "shutdown", "POST")
    simulator.clock.advance(2)
    assert guest(simulator, 100).running
    simulator.clock.advance(2)
    assert not guest(simulator, 100).running


def test_a_shutdown_that_was_overtaken_does_not_hit_the_next_run(simulator: Simulator) -> None:
    ask(simulator, "shutdown", "POST")
    act(simulator, 100, "stop")
    act(simulator, 100, "start")
    simulator.clock.advance(10)
    assert guest(simulator, 100).running


def test_sleeping_machines_are_woken_by_resume(simulator: Simulator) -> None:
    ask(simulator, "suspend-ram", "POST")
    assert simulator.request("GET", path(100, "/status/current"))["qmpstatus"] == "suspended"
    with pytest.raises(Failure, match="QEMU guest agent is not running"):
        ask(simulator, "ping", "POST")
    act(simulator, 100, "resume")
    assert ask(simulator, "ping", "POST") == {"result": {}}


def test_running_programs_takes_more_than_looking(simulator: Simulator) -> None:
    assert ask(simulator, "ping", "POST", user="alice@pve") == {"result": {}}
    with pytest.raises(Forbidden):
        ask(simulator, "exec", "POST", user="alice@pve", command=["uname", "-s"])


def test_what_the_system_inside_says_of_time_and_people(simulator: Simulator) -> None:
    assert ask(simulator, "get-timezone")["result"]["offset"] == 0
    assert ask(simulator, "get-users") == {"result": []}


@pytest.mark.parametrize("name", ["suspend-hybrid", "suspend-ram"])
def test_a_machine_may_be_put_to_sleep_from_inside(simulator: Simulator, name: str) -> None:
    assert ask(simulator, name, "POST") == {"result": {}}
    assert simulator.request("GET", path(100, "/status/current"))["qmpstatus"] == "suspended"


def test_a_machine_that_sleeps_on_its_disk_is_off(simulator: Simulator) -> None:
    assert ask(simulator, "suspend-disk", "POST") == {"result": {}}
    simulator.clock.advance(60)
    assert simulator.request("GET", path(100, "/status/current"))["status"] == "stopped"
