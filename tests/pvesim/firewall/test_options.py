"""Firewall options, logs, macros and indexes."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.engine import Simulator
from pvesim.firewall.macros import macros
from pvesim.wire import WireRequest
from tests.pvesim.access.stage import refusal

CLUSTER, NODE, VM, CT = PLACES = (
    "/cluster/firewall",
    "/nodes/pve1/firewall",
    "/nodes/pve1/qemu/100/firewall",
    "/nodes/pve1/lxc/200/firewall",
)
EMPTY = "da39a3ee5e6b4b0d3255bfef95601890afd80709"  # of nothing at all, as recorded


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.mark.parametrize("place", PLACES)
def test_options_are_shown_once_they_are_set(simulator: Simulator, place: str) -> None:
    path = f"{place}/options"
    assert simulator.request("GET", path) == {"digest": EMPTY}
    simulator.request("PUT", path, {"enable": 1, "digest": EMPTY})
    shown = simulator.request("GET", path)
    assert shown.pop("digest") != EMPTY
    assert shown == {"enable": 1}
    assert type(shown["enable"]) is int
    simulator.request("PUT", path, {"delete": "enable"})
    assert simulator.request("GET", path) == {"digest": EMPTY}


@pytest.mark.parametrize(
    ("place", "given"),
    [
        (CLUSTER, {"policy_in": "DROP", "log_ratelimit": "enable=1,rate=5/second", "ebtables": 0}),
        (NODE, {"nf_conntrack_max": 65536, "log_level_in": "info", "nosmurfs": 1}),
        (VM, {"dhcp": 1, "policy_out": "REJECT", "macfilter": 0}),
        (CT, {"ipfilter": 1, "log_level_out": "nolog"}),
    ],
)
def test_each_place_has_its_own(simulator: Simulator, place: str, given: dict[str, Any]) -> None:
    simulator.request("PUT", f"{place}/options", given)
    shown = simulator.request("GET", f"{place}/options")
    assert {name: shown[name] for name in given} == given


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"policy_in": "MAYBE"}, (400, ["policy_in"])),
        ({"delete": "nothing"}, (400, ["delete"])),
        ({"delete": "digest"}, (400, ["delete"])),
        ({"dhcp": 1}, (400, ["dhcp"])),
    ],
)
def test_what_is_no_option_is_refused(simulator: Simulator, params: dict[str, Any], expected: Any) -> None:
    status, errors = refusal(simulator, "PUT", f"{CLUSTER}/options", params)
    assert (status, list(errors)) == expected
    assert simulator.request("GET", f"{CLUSTER}/options") == {"digest": EMPTY}


def test_a_digest_keeps_from_overwriting_what_was_not_seen(simulator: Simulator) -> None:
    simulator.request("PUT", f"{CLUSTER}/options", {"enable": 0})
    text = "detected modified configuration - file changed by other user? Try again."
    assert refusal(simulator, "PUT", f"{CLUSTER}/options", {"enable": 1, "digest": EMPTY}) == (500, text)


def test_the_cluster_keeps_the_time_when_its_firewall_is_switched_on_with_more_than_one(simulator: Simulator) -> None:
    simulator.request("PUT", f"{CLUSTER}/options", {"enable": 2})
    assert simulator.request("GET", f"{CLUSTER}/options")["enable"] == int(simulator.world.now)


@pytest.mark.parametrize("place", [NODE, VM, CT])
def test_the_log_is_that_of_a_node_that_has_logged_nothing(simulator: Simulator, place: str) -> None:
    secret = simulator.request("POST", "/access/users/root@pam/token/ci", {"privsep": 0})["value"]
    headers = {"authorization": f"PVEAPIToken=root@pam!ci={secret}"}
    response = simulator.handle(WireRequest("GET", f"/api2/json{place}/log", "limit=3", headers))
    assert response.body == b'{"data":[{"n":1,"t":"unable to open file - No such file or directory"}],"total":1}'


@pytest.mark.parametrize(
    ("place", "children"),
    [
        (CLUSTER, "aliases rules options groups ipset macros refs"),
        (NODE, "rules options log"),
        (VM, "rules aliases ipset refs options"),
        (CT, "rules aliases ipset refs options"),
    ],
)
def test_the_index_lists_what_a_genuine_node_lists(simulator: Simulator, place: str, children: str) -> None:
    assert {entry["name"] for entry in simulator.request("GET", place)} == set(children.split())


def test_macros_have_a_name_a_description_and_traffic(simulator: Simulator) -> None:
    listed = simulator.request("GET", f"{CLUSTER}/macros")
    assert len(listed) == len({entry["macro"].lower() for entry in listed}) == 86
    assert all(set(entry) == {"macro", "descr"} and entry["descr"] for entry in listed)
    for macro in macros().values():
        for traffic in macro.traffic:
            rule = {name: value for name, value in traffic._asdict().items() if value is not None}
            simulator.request("POST", f"{CLUSTER}/rules", {"type": "in", "action": "ACCEPT", **rule})
