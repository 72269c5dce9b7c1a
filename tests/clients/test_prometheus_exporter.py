"""prometheus-pve-exporter: a scrape of the whole cluster, every collector on, with a token that may only look."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.running import PASSWORD, Served, client

AUDITOR = "00000000-0000-4000-8000-00000000000a"  # of mcp@pve!auditor in the scenario homelab
Samples = dict[tuple[str, str], float]


@contextmanager
def exporting(served: Served, folder: Path, **credentials: str) -> Iterator[httpx.Client]:
    """The exporter's own server, as Prometheus meets it."""
    program = client("prometheus-pve-exporter").program("pve_exporter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "exporter.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [str(program), "--web.listen-address", f"127.0.0.1:{port}"],
            env={**served.environment, "PVE_VERIFY_SSL": "1", **credentials},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        try:
            _await_answer(http, log)
            yield http
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def exporter(homelab: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    token = {"PVE_USER": "mcp@pve", "PVE_TOKEN_NAME": "auditor", "PVE_TOKEN_VALUE": AUDITOR}
    with exporting(homelab, tmp_path_factory.mktemp("exporter"), **token) as http:
        yield http


def _await_answer(http: httpx.Client, log: Path) -> None:
    for _ in range(100):
        try:
            http.get("/")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the exporter does not answer:\n{log.read_text()}")


def scrape(exporter: httpx.Client, served: Served, **options: Any) -> Samples:
    """All samples, by metric and `id` (or what else names them)."""
    answer = exporter.get("/pve", params={"target": f"127.0.0.1:{served.port}", **options})
    assert answer.status_code == 200, answer.text
    samples: Samples = {}
    for line in answer.text.splitlines():
        found = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
        if found:
            name, labels, value = found.groups()
            named = re.search(r'\bid="([^"]*)"', labels or "")
            samples[name, named[1] if named else ""] = float(value)
    return samples


def test_the_figures_are_those_of_the_api(exporter: httpx.Client, homelab: Served) -> None:
    samples = scrape(exporter, homelab, cluster=1, node=1)
    rows = homelab.api.cluster.resources.get()
    for row in rows:
        if row["type"] in ("qemu", "lxc"):
            assert samples["pve_memory_size_bytes", row["id"]] == row["maxmem"]
            assert samples["pve_disk_size_bytes", row["id"]] == row["maxdisk"]
            assert samples["pve_up", row["id"]] == float(row["status"] == "running")
        elif row["type"] == "node":
            assert samples["pve_up", row["id"]] == 1
            assert samples["pve_cpu_usage_limit", row["id"]] == row["maxcpu"]
    assert samples["pve_onboot_status", "qemu/100"] == 1
    assert ("pve_version_info", "") in samples


def test_guests_without_a_backup_job_are_counted(exporter: httpx.Client, homelab: Served) -> None:
    samples = scrape(exporter, homelab, cluster=1, node=0)
    missed = homelab.api.cluster("backup-info/not-backed-up").get()
    assert samples["pve_not_backed_up_total", "cluster/homelab"] == len(missed)


def test_what_changes_is_seen_by_the_next_scrape(exporter: httpx.Client, homelab: Served) -> None:
    assert scrape(exporter, homelab, cluster=1, node=0)["pve_up", "qemu/100"] == 1
    stop = homelab.api.nodes("pve1").qemu(100).status.stop.post()
    while homelab.api.nodes("pve1").tasks(stop).status.get()["status"] == "running":
        time.sleep(0.05)
    assert scrape(exporter, homelab, cluster=1, node=0)["pve_up", "qemu/100"] == 0


def test_a_node_of_its_own_is_scraped(single_node: Served, tmp_path: Path) -> None:
    with exporting(single_node, tmp_path, PVE_USER="root@pam", PVE_PASSWORD=PASSWORD) as http:
        samples = scrape(http, single_node, cluster=1, node=1)
    assert samples["pve_up", "node/pve1"] == 1
    assert samples["pve_disk_size_bytes", "storage/pve1/local"] == 270553174016
    assert [name for name, id in samples if id.startswith("cluster/")] == ["pve_not_backed_up_total"]
