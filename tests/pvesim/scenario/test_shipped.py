"""The scenarios that come with the package."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from pvesim.access.records import Token
from pvesim.core.errors import NotModelled
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.scenario import available, build_world, find, schema_json
from pvesim.scenario.reading import read_yaml
from pvesim.storage.records import Volume
from tests.pvesim.invariants import check_invariants

LEFT_LOCKED = {"homelab": [106]}


@pytest.mark.parametrize("name", available())
def test_invariants_hold(name: str) -> None:
    assert check_invariants(build_world(name), left_locked=LEFT_LOCKED.get(name, ())) == []


@pytest.mark.parametrize("name", available())
def test_the_same_seed_builds_the_same_world(name: str) -> None:
    assert build_world(name).diff(build_world(name)) == []


@pytest.mark.parametrize("name", available())
def test_it_fits_the_json_schema_for_editors(name: str) -> None:
    data, _ = read_yaml(find(name).read_bytes(), name)
    keyed = json.loads(json.dumps(data))
    jsonschema.validate(keyed, json.loads(schema_json()))


def test_the_schema_file_is_up_to_date() -> None:
    assert find("homelab").with_name("scenario.schema.json").read_bytes() == schema_json(), (
        "write it anew: python -c 'import pvesim, sys; sys.stdout.buffer.write(pvesim.scenario_schema())'"
        " > scenarios/scenario.schema.json"
    )


def test_the_schema_refuses_what_the_model_refuses() -> None:
    schema = json.loads(schema_json())
    wrongs: list[dict[str, Any]] = [
        {"nods": {}},
        {"vms": {"100": {"state": "asleep"}}},
        {"tasks": [{"type": "x", "ago": "3q"}]},
    ]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


class TestSingleNode:
    def test_it_is_the_node_that_was_recorded(self) -> None:
        sim = Simulator("single-node")
        assert sim.request("GET", "/version") == {
            "release": "9.2",
            "version": "9.2.11",
            "repoid": "14a22df3e1b0f0e5",
        }
        assert sim.world.now == 1795409403
        assert not sim.world.rows(Guest)
        assert [(volume.volid, volume.size, volume.ctime) for volume in sim.world.rows(Volume).values()] == [
            ("local:iso/tiny.iso", 409600, 1795409377),
            ("local:vztmpl/alpine-3.20-default_20240908_amd64.tar.gz", 1032923, 1795409377),
        ]


class TestHomelab:
    def test_it_has_guests_in_every_state(self) -> None:
        guests = build_world("homelab").rows(Guest)
        assert {guest.qmpstatus for guest in guests.values()} == {"running", "paused", "stopped"}
        assert any(guest.lock for guest in guests.values())
        assert any(guest.template for guest in guests.values())
        assert any(guest.snapshots for guest in guests.values())
        assert any(not guest.behaviour.acpi for guest in guests.values())

    def test_a_backup_failed_last_night(self) -> None:
        world = build_world("homelab")
        failed = [task for task in world.rows(Task).values() if task.type == "vzdump" and task.exitstatus != "OK"]
        assert [(task.id, task.exitstatus) for task in failed] == [("106", "job errors")]

    def test_the_tokens_do_what_they_are_for(self) -> None:
        world = build_world("homelab")
        assert world.rows(Token)["mcp@pve!expired"].expire < world.now
        sim = Simulator(world)
        for token in ("mcp@pve!auditor", "mcp@pve!operator"):
            assert sim.request("GET", "/version", user=token)


def test_a_scenario_is_found_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert build_world("homelab").rows(Guest)


def _shape(value: object) -> object:
    """Key sets and types, lists as the union of their elements' shapes."""
    if isinstance(value, dict):
        return {key: _shape(child) for key, child in value.items()}
    if isinstance(value, list):
        shapes = sorted({json.dumps(_shape(child), sort_keys=True) for child in value})
        return [json.loads(text) for text in shapes]
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_the_single_node_shows_what_a_fresh_node_shows() -> None:
    kit = os.environ.get("PVESIM_FIDELITY_KIT")
    if not kit:
        pytest.skip("PVESIM_FIDELITY_KIT does not name the folder of a fidelity kit")
    sim = Simulator("single-node")
    for request, expected in json.loads(Path(kit, "initial.json").read_text()).items():
        verb, path = request.split(" ")
        try:
            answer = sim.request(verb, path)
        except NotModelled:
            continue
        assert _shape(orjson.loads(orjson.dumps(answer))) == _shape(expected), request
