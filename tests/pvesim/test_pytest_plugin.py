"""The plugin as another project meets it: tests of its own, run by pytester."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import pvesim
from pvesim.testing import Cluster

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def everything_is_loaded() -> None:
    """pytester forgets the modules that a run has loaded; loaded again, they would register their routes twice."""
    for module in pkgutil.walk_packages(pvesim.__path__, "pvesim."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


@pytest.fixture
def elsewhere(
    everything_is_loaded: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """A project with the plugin, whether or not the distribution around it is installed with its entry points."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    pytester.makeini("[pytest]\naddopts = -p pvesim.pytest_plugin --strict-markers -p no:cacheprovider\n")
    return pytester


def test_every_test_has_a_fresh_world(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("round", [1, 2])
        def test_delete(pve, round):
            assert pve.guest(105).exists
            pve.api.nodes("pve2").qemu(105).delete()
            pve.clock.advance(60)
            assert not pve.guest(105).exists
            assert not pve.tasks.failed
        """
    )
    elsewhere.runpytest_inprocess().assert_outcomes(passed=2)


def test_the_marker_names_scenario_seed_and_clock(elsewhere: pytest.Pytester) -> None:
    elsewhere.makefile(".yaml", own="nodes:\n  alone: {}\n")
    elsewhere.makepyfile(
        """
        import pytest

        @pytest.mark.pve("single-node", seed=5, clock="manual")
        def test_named(pve):
            assert [node.record.name for node in pve.nodes] == ["pve1"]
            assert pve.world.seed == 5
            assert pve.clock.mode == "manual"

        @pytest.mark.pve("own.yaml")
        def test_file_beside_the_test(pve):
            assert pve.node("alone").is_online

        @pytest.mark.pve({"fleet": {"vms": 3}}, clock="scaled", time_scale=0)
        def test_mapping(pve):
            assert len(pve.guests) == 3
        """
    )
    elsewhere.runpytest_inprocess().assert_outcomes(passed=3)


def test_the_ini_option_is_for_tests_without_a_marker(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile("def test_it(pve):\n    assert not pve.guests\n")
    elsewhere.runpytest_inprocess("-o", "pve_scenario=single-node").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("'homelab', 'twice'", "*@pytest.mark.pve of test_*::test_it: takes*"),
        ("seeds=3", "*got an unexpected keyword argument 'seeds'*"),
        ("'no-such'", "*no scenario 'no-such'*"),
    ],
)
def test_a_wrong_marker_says_what_is_wrong(elsewhere: pytest.Pytester, marker: str, text: str) -> None:
    elsewhere.makepyfile(f"import pytest\n\n@pytest.mark.pve({marker})\ndef test_it(pve):\n    pass\n")
    result = elsewhere.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([text])


def test_the_server_is_the_same_cluster_and_its_certificate_can_be_verified(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile(
        """
        import requests

        def test_verified(pve, pve_server):
            api = pve_server.connect("mcp@pve!auditor")
            assert len(api.cluster.resources.get(type="vm")) == len(pve.guests)
            pve.simulator.request("POST", "/nodes/pve1/qemu/100/status/stop")
            pve.clock.advance(30)
            assert api.nodes("pve1").qemu(100).status.current.get()["status"] == "stopped"
            assert pve.requests.matching("GET", "/cluster/resources", user="mcp@pve!auditor")
            assert requests.get(pve_server.url, verify=pve_server.ca_file).status_code == 200

        def test_another_port_each(pve_server):
            assert pve_server.port > 0
        """
    )
    elsewhere.runpytest_inprocess().assert_outcomes(passed=2)


def test_the_clock_is_the_clusters(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile(
        """
        def test_clock(pve, pve_clock):
            pve_clock.freeze()
            upid = pve.api.nodes("pve2").qemu(105).status.start.post()
            assert pve.tasks.running
            pve_clock.run_until_done(upid)
            assert pve.guest(105).is_running
        """
    )
    elsewhere.runpytest_inprocess().assert_outcomes(passed=1)


def test_faults_are_the_clusters(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile(
        """
        def test_fault(pve, pve_faults):
            pve_faults.add(task="qmstart", guest=105, fail="no more memory")
            upid = pve.api.nodes("pve2").qemu(105).status.start.post()
            pve.clock.run_until_done(upid)
            assert pve.tasks.failed.only().exitstatus == "no more memory"
            pve_faults.cause(node_offline="pve3")
            assert not pve.node("pve3").is_online

        def test_none_is_left(pve_faults):
            assert len(pve_faults) == 0
        """
    )
    elsewhere.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_failed_assertion_tells_the_story(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile("def test_it(pve):\n    assert pve.guest(105).is_running\n")
    elsewhere.runpytest_inprocess().stdout.fnmatch_lines(["*<guest 105: staging, stopped on pve2>.is_running*"])


def test_the_plugin_loads_no_engine_until_it_is_used(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile("import sys\n\ndef test_it():\n    assert 'pvesim.engine' not in sys.modules\n")
    elsewhere.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_guide_s_tests_pass(elsewhere: pytest.Pytester) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "pytest.md").read_text()
    parts = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    elsewhere.makepyfile(**{f"test_part_{number}": part for number, part in enumerate(parts)})
    elsewhere.runpytest_inprocess().assert_outcomes(passed=sum(part.count("def test_") for part in parts))


def test_a_cluster_can_be_had_without_the_plugin() -> None:
    from pvesim import Simulator

    assert repr(Cluster(Simulator("homelab"))) == "<cluster: 3 nodes, 13 guests>"
