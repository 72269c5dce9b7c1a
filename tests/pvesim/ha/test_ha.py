"""HA: resources, rules, what the manager does and what it tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import Failure, Forbidden, ParameterErrors
from pvesim.engine import Simulator
from pvesim.guests.records import Behaviour, Guest
from pvesim.nodes.records import Node
from tests.pvesim.small_world import small_simulator


@pytest.fixture
def simulator() -> Simulator:
    """`vm:102` is to be stopped, `vm:101` to be ignored."""
    simulator = small_simulator()
    given = {"sid": "vm:102", "state": "stopped", "max_restart": 2, "comment": "ha one", "failback": 0}
    simulator.request("POST", "/cluster/ha/resources", given)
    simulator.request("POST", "/cluster/ha/resources", {"sid": "101", "state": "ignored"})
    return simulator


def resource(simulator: Simulator, sid: str) -> dict[str, Any]:
    found: dict[str, Any] = simulator.request("GET", f"/cluster/ha/resources/{sid}")
    found.pop("digest")
    return found


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any]) -> str:
    """The text of a refusal, which must have changed nothing."""
    before = simulator.world.fork()
    with pytest.raises(Failure) as caught:
        simulator.request(verb, f"/cluster/ha/{path}", params)
    assert before.diff(simulator.world) == []
    return caught.value.message


# -- resources -----------------------------------------------------------------------------------------------------


def test_resources_show_what_was_given_and_no_more(simulator: Simulator) -> None:
    given = {"state": "stopped", "max_restart": 2, "comment": "ha one", "failback": 0}
    assert resource(simulator, "vm:102") == {"sid": "vm:102", "type": "vm", **given}
    assert resource(simulator, "101") == {"sid": "vm:101", "type": "vm", "state": "ignored"}
    simulator.request("POST", "/cluster/ha/resources", {"sid": "ct:200"})
    assert resource(simulator, "ct:200") == {"sid": "ct:200", "type": "ct"}
    listed = simulator.request("GET", "/cluster/ha/resources")
    assert [entry["sid"] for entry in listed] == ["vm:102", "vm:101", "ct:200"]
    assert len({entry["digest"] for entry in listed}) == 1
    containers = simulator.request("GET", "/cluster/ha/resources", {"type": "ct"})
    assert [entry["sid"] for entry in containers] == ["ct:200"]


def test_resources_are_updated_by_digest_and_lose_options(simulator: Simulator) -> None:
    digest = simulator.request("GET", "/cluster/ha/resources/vm:102")["digest"]
    changes = {"comment": "new", "state": "ignored", "delete": "max_restart,failback", "digest": digest}
    simulator.request("PUT", "/cluster/ha/resources/vm:102", changes)
    assert resource(simulator, "vm:102") == {"sid": "vm:102", "type": "vm", "comment": "new", "state": "ignored"}
    text = refusal(simulator, "PUT", "resources/vm:102", {"comment": "again", "digest": digest})
    assert text.startswith("update resources config failed: detected modified configuration")


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("POST", "resources", {"sid": "vm:102"}, "create resource failed: resource ID 'vm:102' already defined"),
        ("POST", "resources", {"sid": "vm:999"}, "resource 'vm:999' does not exist in cluster"),
        ("POST", "resources", {"sid": "cow:1"}, "unknown section type 'cow'"),
        ("POST", "resources", {"sid": "ct:102"}, "resource 'ct:102' - guest with ID 102 is not a container"),
        ("POST", "resources", {"sid": "vm:200"}, "resource 'vm:200' - guest with ID 200 is not a VM"),
        ("POST", "resources", {"sid": "vm:100", "type": "ct"}, "types does not match"),
        (
            "POST",
            "resources",
            {"sid": "vm:100", "group": "g1"},
            "invalid parameter 'group': ha groups have been migrated to rules",
        ),
        ("GET", "resources/vm:999", {}, "no such resource 'vm:999'"),
        (
            "PUT",
            "resources/vm:999",
            {"comment": "new"},
            "update resources config failed: no such resource 'vm:999'",
        ),
        ("DELETE", "resources/vm:999", {}, "cannot delete service 'vm:999', not HA managed!"),
        ("POST", "resources/vm:101/migrate", {"node": "nope"}, "resource 'vm:101' is not HA managed"),
        ("POST", "resources/vm:102/relocate", {"node": "nope"}, "no such cluster node 'nope'"),
    ],
)
def test_refusals_about_resources(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], text: str
) -> None:
    assert refusal(simulator, verb, path, params) == text


def test_a_bad_state_is_a_parameter_error(simulator: Simulator) -> None:
    with pytest.raises(ParameterErrors):
        simulator.request("POST", "/cluster/ha/resources", {"sid": "vm:100", "state": "flying"})


def test_writing_takes_the_right_to_the_console(simulator: Simulator) -> None:
    with pytest.raises(Forbidden, match=r"Permission check failed \(/, Sys.Console\)"):
        simulator.request("DELETE", "/cluster/ha/resources/vm:102", user="audit@pve")
    assert len(simulator.request("GET", "/cluster/ha/resources", user="audit@pve")) == 2


# -- rules ---------------------------------------------------------------------------------------------------------


def add_rule(simulator: Simulator, rule: str = "r1", **options: Any) -> None:
    given = {"rule": rule, "type": "node-affinity", "resources": "vm:102", "nodes": "pve1", **options}
    simulator.request("POST", "/cluster/ha/rules", given)


def test_rules_are_listed_and_filtered(simulator: Simulator) -> None:
    add_rule(simulator, resources="vm:102,vm:101", nodes="pve2:5,pve1", strict=1)
    apart = {"rule": "r2", "type": "resource-affinity", "resources": "vm:101,vm:102", "affinity": "negative"}
    simulator.request("POST", "/cluster/ha/rules", apart)
    rule = simulator.request("GET", "/cluster/ha/rules/r1")
    assert len(rule.pop("digest")) == 40
    given = {"type": "node-affinity", "resources": "vm:101,vm:102", "nodes": "pve1,pve2:5", "strict": 1}
    assert rule == {"rule": "r1", **given}

    def names(**filters: str) -> list[str]:
        return [found["rule"] for found in simulator.request("GET", "/cluster/ha/rules", filters)]

    assert names() == ["r1", "r2"]
    assert names(type="resource-affinity") == ["r2"]
    assert names(resource="vm:101") == ["r1", "r2"]
    assert names(resource="vm:100") == []


def test_rules_are_updated_and_deleted(simulator: Simulator) -> None:
    add_rule(simulator, comment="old")
    changes = {"type": "node-affinity", "nodes": "pve2", "disable": 1, "delete": "comment"}
    simulator.request("PUT", "/cluster/ha/rules/r1", changes)
    rule = simulator.request("GET", "/cluster/ha/rules/r1")
    assert (rule["nodes"], rule["disable"], "comment" in rule) == ("pve2", 1, False)
    for _ in range(2):  # PVE does not mind that it is gone
        assert simulator.request("DELETE", "/cluster/ha/rules/r1") is None
    assert simulator.request("GET", "/cluster/ha/rules") == []


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"rule": "r1"}, "create ha rule failed: HA rule 'r1' already defined"),
        ({"resources": "vm:100"}, "create ha rule failed: cannot use unmanaged resource(s) vm:100."),
        ({"nodes": "pve9"}, "create ha rule failed: cannot use non-existent node(s) pve9."),
        ({"affinity": "positive"}, "create ha rule failed: unexpected property 'affinity'"),
    ],
)
def test_refusals_about_rules(simulator: Simulator, params: dict[str, Any], text: str) -> None:
    add_rule(simulator)
    given = {"rule": "r2", "type": "node-affinity", "resources": "vm:102", "nodes": "pve1", **params}
    assert refusal(simulator, "POST", "rules", given) == text


def test_what_a_type_of_rule_needs(simulator: Simulator) -> None:
    with pytest.raises(ParameterErrors) as caught:
        simulator.request("POST", "/cluster/ha/rules", {"rule": "r2", "type": "node-affinity"})
    assert set(caught.value.errors or {}) == {"oneOf[node-affinity].nodes", "oneOf[node-affinity].resources"}


@pytest.mark.parametrize(("purge", "left"), [(0, ["r1", "r2"]), (1, ["r1"])])
def test_a_resource_leaves_its_rules_when_purged(simulator: Simulator, purge: int, left: list[str]) -> None:
    add_rule(simulator, "r1", resources="vm:101,vm:102")
    add_rule(simulator, "r2")
    simulator.request("DELETE", "/cluster/ha/resources/vm:102", {"purge": purge})
    rules = simulator.request("GET", "/cluster/ha/rules")
    assert [rule["rule"] for rule in rules] == left
    assert rules[0]["resources"] == ("vm:101" if purge else "vm:101,vm:102")


@pytest.mark.parametrize(
    ("verb", "path", "params", "verb_in_text"),
    [
        ("GET", "groups", {}, "index groups"),
        ("POST", "groups", {"group": "g1", "nodes": "pve1"}, "create group"),
        ("GET", "groups/g1", {}, "read group"),
        ("PUT", "groups/g1", {}, "update group"),
        ("DELETE", "groups/g1", {}, "delete group"),
    ],
)
def test_groups_are_gone(simulator: Simulator, verb: str, path: str, params: dict[str, Any], verb_in_text: str) -> None:
    assert refusal(simulator, verb, path, params) == f"cannot {verb_in_text}: ha groups have been migrated to rules"


# -- the manager ---------------------------------------------------------------------------------------------------


def service(simulator: Simulator, sid: str) -> dict[str, Any]:
    status = simulator.request("GET", "/cluster/ha/status/current")
    found: dict[str, Any] = next(entry for entry in status if entry.get("sid") == sid)
    return found


def guest(simulator: Simulator, vmid: int) -> Guest:
    return simulator.world.rows(Guest)[vmid]


def test_status_with_nothing_to_manage() -> None:
    simulator = small_simulator()
    assert simulator.request("GET", "/cluster/ha/status/current") == [
        {"id": "quorum", "node": "pve1", "quorate": 1, "status": "OK", "type": "quorum"},
        {
            "armed-state": "standby",
            "id": "fencing",
            "node": "pve1",
            "status": "standby (CRM watchdog standby)",
            "type": "fencing",
        },
    ]
    assert simulator.request("GET", "/cluster/ha/status/manager_status") == {
        "manager_status": {"node_status": {}},
        "quorum": {"node": "pve1", "quorate": "1"},
    }


def test_status_lists_the_manager_its_agents_and_the_resources(simulator: Simulator) -> None:
    status = simulator.request("GET", "/cluster/ha/status/current")
    ids = ["quorum", "master", "lrm:pve1", "lrm:pve2", "fencing", "service:vm:102", "service:vm:101"]
    assert [entry["id"] for entry in status] == ids
    assert [entry["status"].split()[1] for entry in status[1:4]] == ["(active,", "(idle,", "(active,"]
    stopped = service(simulator, "vm:102")
    assert (stopped["request_state"], stopped["state"], stopped["node"]) == ("stopped", "stopped", "pve2")
    assert service(simulator, "vm:101")["state"] == "ignored"
    kept = simulator.request("GET", "/cluster/ha/status/manager_status")
    assert kept["manager_status"]["master_node"] == "pve1"
    assert kept["manager_status"]["service_status"]["vm:102"]["state"] == "stopped"


def test_a_resource_is_queued_until_the_manager_has_seen_it(simulator: Simulator) -> None:
    simulator.request("POST", "/cluster/ha/resources", {"sid": "ct:200"})
    assert service(simulator, "ct:200")["state"] == "queued"


def test_the_manager_starts_what_should_run(simulator: Simulator) -> None:
    simulator.request("POST", "/cluster/ha/resources", {"sid": "ct:200"})
    simulator.clock.advance(5.2)
    assert service(simulator, "ct:200")["state"] == "starting"
    simulator.clock.advance(30)
    assert guest(simulator, 200).running
    assert service(simulator, "ct:200")["state"] == "started"
    listed = simulator.request("GET", "/cluster/resources", {"type": "vm"})
    assert {row["id"]: row.get("hastate") for row in listed}["lxc/200"] == "started"


def test_the_manager_stops_what_should_not_run_even_if_it_does_not_heed(simulator: Simulator) -> None:
    simulator.world.put(replace(guest(simulator, 100), behaviour=Behaviour(acpi=False)))
    simulator.request("POST", "/cluster/ha/resources", {"sid": "vm:100", "state": "disabled"})
    simulator.clock.advance(10)
    assert service(simulator, "vm:100")["state"] == "stopping"
    simulator.clock.advance(130)
    assert not guest(simulator, 100).running
    assert service(simulator, "vm:100")["state"] == "disabled"


def test_the_manager_gives_up_after_some_tries(simulator: Simulator) -> None:
    broken = replace(guest(simulator, 101), config={"scsi0": "local:101/gone.raw,size=1G"})
    simulator.world.put(broken)
    simulator.request("PUT", "/cluster/ha/resources/vm:101", {"state": "started", "max_restart": 1})
    simulator.clock.advance(100)
    assert service(simulator, "vm:101")["state"] == "error"
    started = simulator.request("GET", "/nodes/pve1/tasks", {"typefilter": "qmstart", "vmid": 101})
    assert [task["status"] == "OK" for task in started] == [False, False]


def test_an_ignored_guest_is_left_alone(simulator: Simulator) -> None:
    simulator.request("POST", "/cluster/ha/resources", {"sid": "vm:100", "state": "ignored"})
    simulator.clock.advance(100)
    assert guest(simulator, 100).running
    assert simulator.request("GET", "/nodes/pve1/tasks") == []


def test_a_resource_that_is_deleted_is_not_acted_on(simulator: Simulator) -> None:
    simulator.request("POST", "/cluster/ha/resources", {"sid": "ct:200"})
    simulator.request("DELETE", "/cluster/ha/resources/ct:200")
    simulator.clock.advance(100)
    assert not guest(simulator, 200).running


def test_who_asks_for_a_start_and_looks_at_the_guest_sees_it_run(simulator: Simulator) -> None:
    path = "/nodes/pve2/qemu/102/status"
    upid = simulator.request("POST", f"{path}/start")
    assert upid.split(":")[5] == "hastart"
    polls = (simulator.request("GET", f"{path}/current")["status"] for _ in range(20))
    assert "running" in polls
    assert resource(simulator, "vm:102")["state"] == "started"


def test_nothing_is_done_on_a_node_that_does_not_answer(simulator: Simulator) -> None:
    simulator.request("PUT", "/cluster/ha/resources/vm:102", {"state": "started"})
    simulator.world.put(replace(simulator.world.rows(Node)["pve2"], online=False))
    simulator.clock.advance(60)
    assert not guest(simulator, 102).running
