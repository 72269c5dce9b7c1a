"""A world written down loads to the same world, whatever has happened in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pvesim.cli import app
from pvesim.core.errors import ApiError, FaultError, SimError
from pvesim.core.tasks import Task
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.scenario import available, build_world, read
from pvesim.scenario.carried import is_same
from pvesim.scenario.dump import dump, dump_world
from pvesim.serve import SimServer
from tests.pvesim.scenario.places import problem
from tests.pvesim.small_world import small_simulator


def differences(one: World, other: World) -> list[Any]:
    """All that is not the same: records, their values' types, their order, and the world's own figures."""
    found: list[Any] = [
        (kind.__name__, key)
        for kind in {*one._tables, *other._tables}
        for key in {**one.rows(kind), **other.rows(kind)}
        if not is_same(one.rows(kind).get(key), other.rows(kind).get(key))
    ]
    found += [kind.__name__ for kind in one._tables if list(one.rows(kind)) != list(other.rows(kind))]
    return found + [name for name in ("seed", "now", "started") if getattr(one, name) != getattr(other, name)]


def loaded(world: World) -> World:
    return build_world(read(dump(world), "dump.yaml"))


SMALL_FLEET = {"fleet": {"vms": 30, "containers": 10}}  # of the large one, enough


@pytest.mark.parametrize("name", available())
def test_a_shipped_scenario_comes_back(name: str) -> None:
    world = build_world({"extends": name, **(SMALL_FLEET if name == "fleet" else {})})
    assert differences(world, loaded(world)) == []


def test_a_dump_is_for_people_too() -> None:
    data = dump_world(build_world("homelab"))
    web = data["vms"][100]
    assert (web["node"], web["state"], web["config"]["name"]) == ("pve1", "running", "web")
    assert data["pools"]["lab"]["guests"] == [105, 106, 202]
    assert data["firewall"]["guests"][100]["rules"][0] == {"type": "group", "action": "webserver", "enable": 1}
    carried = set(data["state"]["tables"])
    assert carried == {"core.world.Counter", "core.tasks.Task", "core.log.LogEntry", "access.records.User"}


def test_a_dump_says_what_it_is() -> None:
    assert dump(build_world("single-node")).startswith("# A simulated cluster as it was at 2026-11-23 04:50:03 UTC")


def test_running_tasks_go_on_where_they_were() -> None:
    sim = Simulator("homelab")
    upid = sim.request("POST", "/nodes/pve1/vzdump", {"vmid": "100", "storage": "nas"})
    sim.clock.advance(1)
    other = Simulator(loaded(sim.world))
    assert other.world.rows(Task)[upid].running
    for each in (sim, other):
        each.clock.run_until_done(upid)
    assert differences(sim.world, other.world) == []
    assert sim.world.rows(Task)[upid].exitstatus == "OK"


def test_what_no_section_can_say_is_carried() -> None:
    sim = Simulator("homelab")
    sim.request("POST", "/cluster/sdn/zones", {"zone": "z1", "type": "simple"})
    sim.request("POST", "/cluster/backup", {"schedule": "daily", "storage": "nas", "all": 1})
    sim.faults.add("x", task="qmstart", hang=True)
    sim.faults.plan(at=90, node_offline="pve2")
    other = Simulator(loaded(sim.world))
    assert differences(sim.world, other.world) == []
    assert [zone["zone"] for zone in other.request("GET", "/cluster/sdn/zones")] == ["z1"]
    other.clock.advance(90)
    assert other.request("GET", "/cluster/status")[2]["online"] == 0


@pytest.mark.parametrize(
    "text",
    ["${name}", "$${x}", "1e3", "yes", "~", "12:30", "0x1F", "null", " a ", "a: b", "#", "'\"", "\t\n", "é\u2028x"],
)
def test_every_text_comes_back(text: str) -> None:
    sim = small_simulator()
    sim.request("PUT", "/nodes/pve1/qemu/101/config", {"description": text})
    assert differences(sim.world, loaded(sim.world)) == []


# -- whatever has happened -------------------------------------------------------------------------------------------

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/nodes/{node}/qemu/{vmid}/status/start", {}),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/stop", {}),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown", {}),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/suspend", {"todisk": 1}),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/start", {}),
    ("POST", "/nodes/{node}/qemu/{vmid}/snapshot", {"snapname": "one", "vmstate": 1}),
    ("POST", "/nodes/{node}/qemu/{vmid}/snapshot", {"snapname": "two"}),
    ("PUT", "/nodes/{node}/qemu/{vmid}/config", {"description": "{text}", "tags": "b;a", "memory": 512}),
    ("POST", "/nodes/{node}/qemu", {"vmid": "{vmid}", "name": "new", "scsi0": "local:1", "net0": "virtio"}),
    ("POST", "/nodes/{node}/qemu/{vmid}/clone", {"newid": 300}),
    ("DELETE", "/nodes/{node}/qemu/{vmid}", {}),
    ("POST", "/nodes/{node}/qemu/{vmid}/migrate", {"target": "pve2", "online": 1}),
    ("POST", "/pools", {"poolid": "p"}),
    ("PUT", "/pools/p", {"vms": "{vmid}"}),
    ("POST", "/access/users", {"userid": "bob@pve", "password": "longenough"}),
    ("POST", "/access/users/bob@pve/token/one", {"privsep": 0}),
    ("PUT", "/access/acl", {"path": "/vms", "users": "bob@pve", "roles": "PVEVMUser"}),
    ("POST", "/nodes/{node}/qemu/{vmid}/firewall/rules", {"type": "in", "action": "ACCEPT", "enable": 1}),
    ("POST", "/cluster/ha/resources", {"sid": "vm:{vmid}"}),
    ("POST", "/storage", {"storage": "more", "type": "dir", "path": "/srv/more"}),
]
Request = tuple[str, str, dict[str, Any]]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One of the requests above, with its places filled."""
    verb, path, params = draw(st.sampled_from(REQUESTS))
    places = {
        "node": draw(st.sampled_from(["pve1", "pve2"])),
        "vmid": draw(st.sampled_from([100, 101, 102, 200, 300])),
        "text": draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)),
    }
    filled = {key: value.format(**places) if isinstance(value, str) else value for key, value in params.items()}
    return verb, path.format(**places), filled


incidents = st.sampled_from(
    [
        {"node_offline": "pve2"},
        {"node_online": "pve2"},
        {"quorum_lost": True},
        {"quorum_back": True},
        {"storage_full": "local"},
        {"storage_offline": "pve1/local"},
        {"guest_hangs": 100},
        {"guest_locked": {"guest": 101}},
        {"fault": {"name": "x", "slow": 3}},
    ]
)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), requests()),
        st.tuples(st.just("cause"), incidents),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.3, 2.5, 61.0])),
    ),
    min_size=1,
    max_size=12,
)


def move(sim: Simulator, what: str, how: Any) -> None:
    if what == "wait":
        sim.clock.advance(how)
    elif what == "cause":
        try:
            sim.faults.cause(**how)
        except FaultError:
            return
    else:
        try:
            sim.request(how[0], how[1], how[2])
        except ApiError:
            return


def shown(sim: Simulator) -> bytes:
    return orjson.dumps(sim.request("GET", "/cluster/resources"), option=orjson.OPT_SORT_KEYS)


@settings(max_examples=25, deadline=None)
@given(moves, moves)
def test_any_world_comes_back_and_goes_on_alike(before: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> None:
    sim = small_simulator()
    for what, how in before:
        move(sim, what, how)
    other = Simulator(loaded(sim.world))
    assert differences(sim.world, other.world) == []
    for what, how in [*after, ("wait", 300.0)]:
        move(sim, what, how)
        move(other, what, how)
    assert differences(sim.world, other.world) == []
    shown = [
        orjson.dumps(each.request("GET", "/cluster/resources"), option=orjson.OPT_SORT_KEYS) for each in (sim, other)
    ]
    assert shown[0] == shown[1]


# -- what is wrong in the carried part ---------------------------------------------------------------------------------

HEAD = "nodes: {pve1: {}}\nstate:\n  tables:\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    core.tasks.Nothing: {}\n", "x.yaml:4:5: state.tables.core.tasks.Nothing: there are no records"),
        ("    core.world.World: {}\n", "there are no records 'core.world.World'"),
        ("    os.path: {}\n", "there are no records 'os.path'"),
        ("    core.world.Counter: {records: [{name: 1}]}\n", "class: name: input should be a valid string"),
        ("    core.world.Counter: {records: [{value: 1}]}\n", "no record of that class: the field 'name' is missing"),
        ("    core.world.Counter: {records: [{nme: x}]}\n", "no record of that class: it has no field 'nme'"),
        ("    core.world.Counter: {records: [{name: {z: 1}}]}\n", "no record of that class: a value is marked 'z'"),
        ("    core.world.Counter: {order: [a]}\n", "order: these are not the keys of all records of the class"),
        ("    core.world.Counter: {removed: [{l: [1]}]}\n", "removed: no keys: unhashable type"),
        ("    core.world.Counter: {rows: []}\n", "rows: there is no field 'rows'"),
    ],
)
def test_what_cannot_be_carried_is_told_with_its_place(text: str, expected: str) -> None:
    assert expected in problem(HEAD + text)


# -- from a server that runs -----------------------------------------------------------------------------------------


def test_the_command_writes_the_world_of_a_server(tmp_path: Path) -> None:
    sim = small_simulator()
    path = tmp_path / "dump.yaml"
    with SimServer(sim) as server:
        result = CliRunner().invoke(app, ["dump", server.url, "-o", str(path)])
        assert result.exit_code == 0, result.exception
        shown = CliRunner().invoke(app, ["dump"], env={"PVESIM_URL": server.url})
        assert shown.stdout == path.read_text()
        refused = CliRunner().invoke(app, ["dump", server.url, "-o", str(tmp_path / "no" / "x")])
        assert isinstance(refused.exception, SimError)
        assert "No such file or directory" in str(refused.exception)
    assert differences(sim.world, build_world(path)) == []
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
