"""Contracts on a node that is reached over HTTPS: set up by its API, run, and left as it was."""

from typing import Any

import pytest

from pvesim.scenario import Scenario, load
from tests.contract.runner import FOLDER
from tests.real.conftest import Served
from tests.real.node import NodeUnfit
from tests.real.plan import NO_VM_BACKUPS
from tests.real.record import Record
from tests.real.risks import NETWORK, PENDING, WATCHDOG
from tests.real.run import run_all
from tests.real.sweep import sweep

SOME = {name: load(FOLDER / "contract" / f"{name}.yaml") for name in ("api", "snapshots", "firewall")}


def test_what_a_node_can_do_passes_and_the_rest_is_named(served: Served) -> None:
    before = served.state()
    said: list[str] = []
    node = served.node()
    record = run_all(node, said.append, only=SOME)
    node.close()
    assert record.counts()["broken"] == 0, [run for runs in record.scenarios.values() for run in runs if run.why]
    assert record.counts()["passed"] >= 40
    steps = {name: [step.name for step in scenario.contract] for name, scenario in SOME.items()}
    assert {name: [run.step for run in runs] for name, runs in record.scenarios.items()} == steps
    assert all(record.reasons())
    assert served.state() == before
    assert said[0] == "node pve1, PVE 9.2.11, 0 guests"


def test_a_node_as_the_installer_leaves_it(fresh: Served) -> None:
    before = fresh.state()
    said: list[str] = []
    node = fresh.node()
    names = ("diagnosis", "snapshots", "inventory")
    record = run_all(node, said.append, only={name: load(FOLDER / "contract" / f"{name}.yaml") for name in names})
    node.close()
    assert record.counts()["broken"] == 0, [run for runs in record.scenarios.values() for run in runs if run.why]
    assert record.reasons() == {}
    assert "container template none that is small: a tiny one is uploaded for the run" in said
    assert "thin pool pve/data" in said
    assert fresh.state() == before


def test_a_node_that_takes_no_template_is_tried_without_containers(fresh: Served) -> None:
    before = fresh.state()
    fresh.simulator.faults.add("no-box", task="vzcreate", fail="unable to detect OS distribution")
    said: list[str] = []
    node = fresh.node()
    record = run_all(node, said.append, only={"snapshots": SOME["snapshots"]})
    node.close()
    fresh.simulator.faults.clear()
    assert record.counts()["broken"] == 0, record.differences()
    assert {"take a snapshot", "delete one"} <= passed(record, "snapshots")
    assert list(record.reasons()) == ["the node makes no containers of the template that was brought along"]
    assert any("unable to detect OS distribution" in line for line in said)
    assert fresh.state() == before


def test_a_step_that_does_not_hold_is_told_and_the_node_is_cleared(served: Served) -> None:
    before = served.state()
    wrong = SOME["api"].model_copy(deep=True)
    step = wrong.contract[6]
    wrong.contract[6] = step.model_copy(update={"call": step.call.model_copy(update={"arguments": {"path": "/none"}})})
    node = served.node()
    record = run_all(node, lambda line: None, only={"wrong": wrong})
    node.close()
    assert record.counts() == {"passed": len(wrong.contract) - 1, "left out": 0, "broken": 1}
    assert "expected a result, got the error" in record.scenarios["wrong"][6].why
    assert served.state() == before


def passed(record: Record, scenario: str) -> set[str]:
    return {run.step for run in record.scenarios[scenario] if run.state == "passed"}


def test_what_concerns_the_node_as_a_whole_is_run_where_nobody_needs_it_afterwards(served: Served) -> None:
    names = ("networking", "availability")
    both = {name: load(FOLDER / "contract" / f"{name}.yaml") for name in names}
    before = served.state()
    node = served.node()
    spared = run_all(node, lambda line: None, only=both)
    assert served.state() == before
    used = run_all(node, lambda line: None, only=both, throwaway=True)
    assert node.get("cluster/ha/resources") == node.get("cluster/ha/rules") == []
    node.close()
    assert {NETWORK, WATCHDOG} <= spared.reasons().keys()
    assert used.counts()["broken"] == 0, used.differences()
    assert {"apply it", "apply the virtual networks"} <= passed(used, "networking") - passed(spared, "networking")
    assert {"put a guest under HA", "make a rule"} <= passed(used, "availability") - passed(spared, "availability")


def test_a_token_can_do_all_but_lock_guests(served: Served) -> None:
    users = served.simulator.connect().access.users
    secret = users("root@pam").token("run").post(privsep=0)["value"]
    before = served.state()
    node = served.node(password=None, token_name="run", token_value=secret)
    names = ("diagnosis", "snapshots")
    record = run_all(node, lambda line: None, only={name: load(FOLDER / "contract" / f"{name}.yaml") for name in names})
    node.close()
    assert record.counts()["broken"] == 0, record.differences()
    assert (
        "diagnosis: what is wrong with a guest" in record.reasons()["only root@pam, with its password, can lock guests"]
    )
    assert served.state() == before


def test_a_state_that_the_node_refuses_is_told_and_the_next_scenario_runs(served: Served) -> None:
    bad = Scenario.model_validate(
        {
            "nodes": {"pve1": {}},
            "vms": {"100": {"config": {"name": "web", "colour": "red"}}},
            "contract": [
                {"name": "nodes", "call": {"tool": "get_nodes"}},
                {"name": "elsewhere", "simulated_only": "it is elsewhere", "call": {"tool": "get_nodes"}},
                {"name": "VMs", "call": {"tool": "get_vms"}},
            ],
        }
    )
    node = served.node()
    record = run_all(node, lambda line: None, only={"bad": bad, "api": SOME["api"]})
    node.close()
    assert "property is not defined in schema" in record.scenarios["bad"][0].why
    assert record.scenarios["bad"][2].why == "the scenario's state was not there"
    assert record.counts() == {"passed": len(SOME["api"].contract), "left out": 1, "broken": 2}


def test_a_run_that_is_stopped_clears_away_itself(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    before = served.state()

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tests.real.run.anyio.run", stopped)
    node = served.node()
    with pytest.raises(KeyboardInterrupt):
        run_all(node, lambda line: None, only=SOME)
    node.close()
    assert served.state() == before


def test_a_node_with_guests_is_refused_unless_told_what_is_ours(served: Served) -> None:
    served.simulator.connect().nodes.pve1.qemu.post(vmid=100, name="theirs", memory=64)
    before = served.state()
    node = served.node()
    with pytest.raises(NodeUnfit, match=r"holds 1 guests that no run made.*--range 9000-9099 --pool pvemcp-test"):
        run_all(node, lambda line: None, only=SOME)
    record = run_all(node, lambda line: None, told=True, only={"api": SOME["api"]})
    node.close()
    assert record.counts()["broken"] == 0
    assert served.state() == before


def test_a_range_that_is_taken_is_refused_and_not_swept(served: Served) -> None:
    served.simulator.connect().nodes.pve1.qemu.post(vmid=9005, name="theirs", memory=64)
    before = served.state()
    node = served.node()
    with pytest.raises(NodeUnfit, match="guests in the range 9000-9099 already: 9005"):
        run_all(node, lambda line: None, told=True, only=SOME)
    with pytest.raises(NodeUnfit, match="nothing is removed"):
        sweep(node)
    node.close()
    assert served.state() == before


def test_a_user_without_rights_is_told_the_command_that_gives_them(served: Served) -> None:
    served.simulator.connect().access.users.post(userid="small@pve", password="small-secret")
    node = served.node(user="small@pve", password="small-secret")
    with pytest.raises(NodeUnfit, match=r"lacks Datastore.Allocate.*pveum acl modify / --users 'small@pve'"):
        run_all(node, lambda line: None, only=SOME)
    node.close()


def test_what_the_node_has_under_the_names_of_a_scenario_is_not_touched(served: Served) -> None:
    api = served.simulator.connect()
    api.cluster.backup.post(id="nightly", schedule="02:00", storage="local", all=1, enabled=0)
    api.nodes.pve1.network.post(iface="vmbr7", type="bridge", autostart=1)
    api.nodes.pve1.network.put()
    before = served.state()
    node = served.node()
    names = ("backup-jobs", "networking")
    record = run_all(node, lambda line: None, only={name: load(FOLDER / "contract" / f"{name}.yaml") for name in names})
    node.close()
    assert record.counts()["broken"] == 0, record.differences()
    assert "make a job" in passed(record, "backup-jobs")
    assert "the node has a backup job that takes all guests" in record.reasons()
    assert "networking: make a bridge" in record.reasons()["the node has an interface of that name"]
    assert served.state() == before


def test_changes_of_the_network_that_wait_are_someones_own(served: Served) -> None:
    served.simulator.connect().nodes.pve1.network.post(iface="vmbr3", type="bridge", autostart=1)
    before = served.state()
    node = served.node()
    record = run_all(node, lambda line: None, only={"networking": load(FOLDER / "contract" / "networking.yaml")})
    node.close()
    assert "networking: make a bridge" in record.reasons()[PENDING]
    assert served.state() == before


def test_the_firewall_is_not_switched_on_for_guests_of_others(served: Served) -> None:
    served.simulator.connect().nodes.pve1.qemu.post(vmid=100, name="theirs", memory=64)
    node = served.node()
    record = run_all(node, lambda line: None, told=True, only={"firewall": SOME["firewall"]})
    node.close()
    assert list(record.reasons()) == ["it switches the firewall on, which other guests on the node would notice"]


def test_pool_and_next_id_that_were_there_are_there_again(served: Served) -> None:
    api = served.simulator.connect()
    api.pools.post(poolid="pvemcp-test", comment="ours for tests")
    api.cluster.options.put(**{"next-id": "lower=500,upper=600"})
    before = served.state()
    node = served.node()
    run_all(node, lambda line: None, told=True, only={"api": SOME["api"]})
    node.close()
    assert served.state() == before


def test_a_node_that_cannot_back_up_machines_does_all_else(fresh: Served) -> None:
    """As one that lacks the program for it; the recorded node is such a one."""
    names = ("backup-jobs", "tasks")
    chosen = {name: load(FOLDER / "contract" / f"{name}.yaml") for name in names}
    before = fresh.state()
    fresh.simulator.faults.add("no-vma", task="vzdump", log="(qemu)", fail="job errors")
    said: list[str] = []
    node = fresh.node()
    record = run_all(node, said.append, only=chosen)
    node.close()
    fresh.simulator.faults.clear()
    assert record.counts()["broken"] == 0, record.differences()
    assert {"tasks: back up what takes a while", "backup-jobs: run a job"} <= set(record.reasons()[NO_VM_BACKUPS])
    assert any("cannot be backed up here" in line and "job errors" in line for line in said)
    assert len(passed(record, "tasks")) > 10
    assert fresh.state() == before
