"""Status, ids, log, options and membership of the cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.core.log import log_event
from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from tests.pvesim.small_world import give, small_simulator


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


def options(simulator: Simulator, user: str = "root@pam") -> dict[str, Any]:
    answer: dict[str, Any] = simulator.request("GET", "/cluster/options", user=user)
    return answer


# -- members -------------------------------------------------------------------------------------------------------


def test_status_of_a_cluster(simulator: Simulator) -> None:
    cluster, first, second = simulator.request("GET", "/cluster/status")
    assert cluster == {"id": "cluster", "type": "cluster", "name": "test", "nodes": 2, "quorate": 1, "version": 1}
    assert (first["local"], second["local"]) == (1, 0)
    assert set(first) == {"id", "ip", "level", "local", "name", "nodeid", "online", "type"}


def test_status_without_quorum(simulator: Simulator) -> None:
    simulator.world.put(replace(simulator.world.rows(Node)["pve2"], online=False))
    cluster, _, second = simulator.request("GET", "/cluster/status")
    assert (cluster["quorate"], second["online"]) == (0, 0)


def test_a_lone_node_is_no_cluster() -> None:
    simulator = small_simulator(name="")
    assert {entry["type"] for entry in simulator.request("GET", "/cluster/status")} == {"node"}
    assert simulator.request("GET", "/cluster/config/nodes") == []
    assert simulator.request("GET", "/cluster/config/totem") is None
    with pytest.raises(ApiError) as caught:
        simulator.request("GET", "/cluster/config/join")
    assert (caught.value.status, caught.value.message) == (
        424,
        "node is not in a cluster, no join info available!",
    )


def test_the_members_of_a_cluster_are_corosyncs(simulator: Simulator) -> None:
    members = simulator.request("GET", "/cluster/config/nodes")
    assert [(member["name"], member["ring0_addr"]) for member in members] == [
        ("pve1", "10.0.0.1"),
        ("pve2", "10.0.0.2"),
    ]
    assert simulator.request("GET", "/cluster/config/totem")["cluster_name"] == "test"
    assert simulator.request("GET", "/cluster/config/qdevice") == {}


def test_what_a_new_node_needs_to_join(simulator: Simulator) -> None:
    known = {node["node"]: node["ssl_fingerprint"] for node in simulator.request("GET", "/nodes")}
    join = simulator.request("GET", "/cluster/config/join")
    assert {member["name"]: member["pve_fp"] for member in join["nodelist"]} == known
    assert join["preferred_node"] == "pve1"
    assert simulator.request("GET", "/cluster/config/join", {"node": "pve2"})["preferred_node"] == "pve2"
    with pytest.raises(Failure, match="no such cluster node 'pve9'"):
        simulator.request("GET", "/cluster/config/join", {"node": "pve9"})


# -- ids -----------------------------------------------------------------------------------------------------------


def test_the_next_id_is_the_lowest_free_one_as_text(simulator: Simulator) -> None:
    assert simulator.request("GET", "/cluster/nextid") == "103"
    assert simulator.request("GET", "/cluster/nextid", {"vmid": 500}) == "500"
    simulator.request("PUT", "/cluster/options", {"next-id": "lower=200,upper=300"})
    assert simulator.request("GET", "/cluster/nextid") == "201"


def test_an_id_that_is_taken_on_any_node_is_refused(simulator: Simulator) -> None:
    with pytest.raises(ParameterErrors) as caught:
        simulator.request("GET", "/cluster/nextid", {"vmid": 102})
    assert caught.value.errors == {"vmid": "VM 102 already exists"}


def test_a_range_can_be_full(simulator: Simulator) -> None:
    simulator.request("PUT", "/cluster/options", {"next-id": "lower=100,upper=102"})
    with pytest.raises(Failure, match=r"unable to get any free VMID in range \[100, 102\]"):
        simulator.request("GET", "/cluster/nextid")


# -- log -----------------------------------------------------------------------------------------------------------


def test_the_log_is_newest_first_and_limited(simulator: Simulator) -> None:
    for number in range(3):
        log_event(simulator.world, "pve1", "root@pam", "pvedaemon", f"line {number}")
    assert [line["msg"] for line in simulator.request("GET", "/cluster/log", {"max": 2})] == ["line 2", "line 1"]
    line = simulator.request("GET", "/cluster/log")[0]
    assert line["id"] == f"{line['uid']}:pve1"
    assert set(line) == {"id", "msg", "node", "pid", "pri", "tag", "time", "uid", "user"}
    with pytest.raises(ParameterErrors):
        simulator.request("GET", "/cluster/log", {"max": 0})


def test_without_the_right_to_the_log_one_sees_ones_own_lines(simulator: Simulator) -> None:
    for user in ("root@pam", "alice@pve"):
        log_event(simulator.world, "pve1", user, "pvedaemon", "starting task")

    def users() -> list[str]:
        return [line["user"] for line in simulator.request("GET", "/cluster/log", user="alice@pve")]

    assert users() == ["alice@pve"]
    give(simulator.world, "alice@pve", "/", "PVESysAdmin")
    assert users() == ["alice@pve", "root@pam"]


# -- options -------------------------------------------------------------------------------------------------------


def test_options_of_a_fresh_cluster(simulator: Simulator) -> None:
    assert options(simulator) == {
        "allowed-tags": ["prod", "web"],
        "description": "",
        "keyboard": "en-us",
        "mac_prefix": "BC:24:11",
    }


def test_options_are_set_shown_taken_apart_and_deleted(simulator: Simulator) -> None:
    given = {"keyboard": "de", "description": "dc notes", "migration": "insecure,network=10.0.0.0/8", "max_workers": 3}
    assert simulator.request("PUT", "/cluster/options", given) is None
    shown = options(simulator)
    assert shown["migration"] == {"type": "insecure", "network": "10.0.0.0/8"}
    assert (shown["keyboard"], shown["description"], shown["max_workers"]) == ("de", "dc notes\n", "3")
    simulator.request("PUT", "/cluster/options", {"delete": "description,migration,keyboard"})
    assert options(simulator) == {
        "allowed-tags": ["prod", "web"],
        "description": "",
        "mac_prefix": "BC:24:11",
        "max_workers": "3",
    }


@pytest.mark.parametrize(
    ("given", "field"), [({"keyboard": "klingon"}, "keyboard"), ({"migration": "type=fast"}, "migration")]
)
def test_bad_options_change_nothing(simulator: Simulator, given: dict[str, str], field: str) -> None:
    before = options(simulator)
    with pytest.raises(ParameterErrors) as caught:
        simulator.request("PUT", "/cluster/options", {**given, "description": "x"})
    assert set(caught.value.errors or {}) == {field}
    assert options(simulator) == before


def test_without_audit_only_what_the_interface_needs_is_shown(simulator: Simulator) -> None:
    simulator.request("PUT", "/cluster/options", {"console": "html5", "tag-style": "shape=full"})
    shown = {"allowed-tags": [], "console": "html5", "tag-style": {"shape": "full"}}
    assert options(simulator, "alice@pve") == shown
    with pytest.raises(Forbidden):
        simulator.request("PUT", "/cluster/options", {"console": "vv"}, user="alice@pve")


@pytest.mark.parametrize(
    ("access", "tags"),
    [
        ("user-allow=free", ["own", "prod", "web"]),
        ("user-allow=existing", ["own", "prod", "web"]),
        ("user-allow=list", ["own"]),
        ("user-allow=none", []),
    ],
)
def test_which_tags_a_user_may_give(simulator: Simulator, access: str, tags: list[str]) -> None:
    given = {"user-tag-access": f"{access},user-allow-list=own", "registered-tags": "only-admin"}
    simulator.request("PUT", "/cluster/options", given)
    assert options(simulator, "audit@pve")["allowed-tags"] == tags
    assert options(simulator)["allowed-tags"] == ["only-admin", "own", "prod", "web"]
    assert options(simulator)["registered-tags"] == ["only-admin"]
    assert options(simulator)["user-tag-access"]["user-allow-list"] == ["own"]
