"""The command line against a cluster over HTTPS: a served simulator stands for the live side.

With `PVESIM_LIVE_HOST`, `PVESIM_LIVE_TOKEN`, `PVESIM_LIVE_SECRET` and `PVESIM_LIVE_FINGERPRINT` a real one is read too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pvesim import Simulator
from pvesim.cli import app
from pvesim.core.errors import SimError
from pvesim.live import LiveCluster, LiveError, SimulatedCluster, compare, read_cluster
from pvesim.serve import SimServer

TOKEN, SECRET = "mcp@pve!auditor", "00000000-0000-4000-8000-00000000000a"


@pytest.fixture(scope="module")
def server() -> Iterator[SimServer]:
    with SimServer(Simulator("homelab", clock="manual")) as server:
        yield server


def arguments(server: SimServer, *more: str) -> list[str]:
    return ["--host", server.host, "--port", str(server.port), "--token", TOKEN, "--secret", SECRET, *more]


def test_import_and_compare(server: SimServer, tmp_path: Path) -> None:
    scenario = tmp_path / "read.yaml"
    done = CliRunner().invoke(app, ["import", *arguments(server, "--ca", server.ca_file, "-o", str(scenario))])
    assert done.exit_code == 0, done.output
    assert f"{scenario}: 3 nodes, 13 guests" in done.output
    verbs = {record.verb for record in server.simulator.requests}
    assert verbs == {"GET"}
    same = ["compare", *arguments(server, "--fingerprint", server.fingerprint, "--scenario", str(scenario), "--json")]
    done = CliRunner().invoke(app, same)
    # An auditor may not see backups and snippets, and so they are not in the scenario.
    assert all("/storage/" in finding["path"] for finding in json.loads(done.stdout)["findings"]), done.stdout
    done = CliRunner().invoke(app, ["compare", *arguments(server, "--insecure", "--scenario", "single-node")])
    assert done.exit_code == 3
    assert "GET /cluster/status data[cluster]" in done.stdout


def test_an_anonymised_import_goes_to_the_terminal(server: SimServer) -> None:
    done = CliRunner().invoke(app, ["import", *arguments(server, "--insecure", "--anonymise", "--no-tasks")])
    assert done.exit_code == 0
    assert "node1:" in done.stdout
    assert "pve1" not in done.stdout


def test_a_certificate_that_nobody_vouches_for(server: SimServer) -> None:
    with pytest.raises(LiveError, match=r"the certificate cannot be verified .*: give --ca or --fingerprint"):
        LiveCluster(server.host, TOKEN, SECRET, port=server.port).get("/version")
    wrong = ":".join(["00"] * 32)
    with pytest.raises(LiveError, match="give --ca or --fingerprint"):
        LiveCluster(server.host, TOKEN, SECRET, port=server.port, fingerprint=wrong).get("/version")


def test_a_token_that_is_refused(server: SimServer) -> None:
    live = LiveCluster(server.host, TOKEN, SECRET[:-1] + "f", port=server.port, insecure=True)
    with pytest.raises(LiveError, match=r"the token is refused .*: check its name and secret"):
        live.get("/version")
    with pytest.raises(LiveError, match="a token is written user@realm!name, not 'root@pam'"):
        LiveCluster("localhost", "root@pam", "secret")


def test_nobody_answers(server: SimServer) -> None:
    with SimServer(Simulator("single-node")) as gone:
        port = gone.port
    with pytest.raises(LiveError, match=r"no answer: .*Connection refused"):
        LiveCluster("127.0.0.1", TOKEN, SECRET, port=port, insecure=True).get("/version")


def test_a_place_that_cannot_be_written(server: SimServer) -> None:
    wanted = ["import", *arguments(server, "--insecure", "--no-tasks", "-o", "/no/such/folder/x.yaml")]
    done = CliRunner().invoke(app, wanted)
    assert isinstance(done.exception, SimError)
    assert "cannot write /no/such/folder/x.yaml" in str(done.exception)


@pytest.mark.skipif("PVESIM_LIVE_HOST" not in os.environ, reason="PVESIM_LIVE_HOST names no real cluster")
def test_a_real_cluster_is_read_and_answers_alike() -> None:
    live = LiveCluster(
        os.environ["PVESIM_LIVE_HOST"],
        os.environ["PVESIM_LIVE_TOKEN"],
        os.environ["PVESIM_LIVE_SECRET"],
        fingerprint=os.environ.get("PVESIM_LIVE_FINGERPRINT"),
    )
    reading = read_cluster(live)
    found = compare(live, SimulatedCluster(Simulator(reading.scenario, clock="manual")))
    wrong = [finding for finding in found.findings if finding.path.endswith("/config")]
    assert wrong == []
