"""The MCP project's conformance suite, in both eras of the protocol.

It is run twice: on a server of our class that has the suite's fixtures, which must pass all that counts; and on the
product as it is, which must pass all but what the baseline names: scenarios that are about those fixtures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.running import CONFORMANCE, run_node, serving

SUITE = Path("@modelcontextprotocol/conformance/dist/index.js")
# How many scenarios of servers a revision requires: that so many ran is what makes "none failed" worth something.
REVISIONS = {"2025-11-25": 30, "2026-07-28": 37}
# What is run, and is not scored: all of it is passed but for what nobody has a use for here.
UNSCORED_FAILURES = {
    "2025-11-25": ["server-sse-polling"],  # there are no events to be sent again
    "2026-07-28": [],
}


@pytest.fixture(scope="module")
def with_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the suite's fixtures."""
    with serving(tmp_path_factory.mktemp("served") / "log", "--fixtures") as address:
        yield address


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the product as it is."""
    with serving(tmp_path_factory.mktemp("served") / "log") as address:
        yield address


def suite(folder: Path, address: str, revision: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a revision's scenarios; the suite's exit status, and what it says at the end, with all that failed."""
    results = folder / "results"
    done = run_node(
        Path(CONFORMANCE or ""),
        folder,
        *(SUITE, "server", "--url", address, "--requirements", revision, "-o", results, *arguments),
    )
    assert "=== SUMMARY ===" in done.stdout, f"{done.stdout}\n{done.stderr}"
    summary = done.stdout.partition("=== SUMMARY ===")[2]
    sys.stdout.write(f"{revision}: {summary}{failures(results, unscored(summary))}\n")
    return done.returncode, summary


def failures(results: Path, left_out: set[str]) -> str:
    """Each check that failed, with its reason, but for those of some scenarios."""
    # A scenario's folder is named server-SCENARIO-TIME.
    files = sorted(results.glob("*/checks.json"))
    told = [file for file in files if not any(file.parent.name.startswith(f"server-{name}-20") for name in left_out)]
    return "\n".join(
        f"{check['id']}: {check['status']}: {check.get('errorMessage')}"[:200]
        for file in told
        for check in json.loads(file.read_text())
        if check["status"] in ("FAILURE", "WARNING")
    )


def ran(summary: str) -> dict[str, bool]:
    """Which scenarios ran, and whether each passed; those that are not scored among them."""
    lines = [line for line in summary.splitlines() if line[:2] in ("✓ ", "✗ ")]
    return {line[2:].partition(":")[0]: line[0] == "✓" for line in lines}


def unscored(summary: str) -> set[str]:
    """The scenarios that the suite runs to tell about them only."""
    told = summary.partition("Not scored")[2].splitlines()[1:]
    return {line.split()[1] for line in told if line.strip()}


@pytest.mark.parametrize("revision", REVISIONS)
def test_our_server_with_the_fixtures_passes_all_that_is_scored_and_nearly_all_that_is_not(
    with_fixtures: str, revision: str, tmp_path: Path
) -> None:
    status, summary = suite(tmp_path, with_fixtures, revision)
    outcomes, left_out = ran(summary), unscored(summary)
    assert [name for name, passed in outcomes.items() if not passed and name not in left_out] == []
    assert [name for name, passed in outcomes.items() if not passed] == UNSCORED_FAILURES[revision]
    assert len(outcomes.keys() - left_out) == REVISIONS[revision]
    assert status == 0


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_product_fails_what_is_about_fixtures_and_nothing_else(product: str, revision: str, tmp_path: Path) -> None:
    baseline = Path(__file__).with_name(f"baseline-{revision}.yaml")
    status, summary = suite(tmp_path, product, revision, "--expected-failures", baseline)
    assert status == 0
    assert len(ran(summary)) >= REVISIONS[revision]
