"""What `import pvesim` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pvesim


@pytest.mark.parametrize("name", pvesim.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(pvesim, name) is not None
    assert name in dir(pvesim)


def test_another_name_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'pvesim' has no attribute 'nothing'"):
        pvesim.nothing  # noqa: B018 - looking it up is the test


def test_the_import_loads_nothing_of_weight() -> None:
    code = "import sys, pvesim; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pvesim", "pydantic", "yaml", "orjson", "fastapi"}
    assert [name for name in done.stdout.split() if name.partition(".")[0] in heavy] == ["pvesim"]


def test_the_short_session_of_the_docstring_works() -> None:
    sim = pvesim.Simulator("homelab")
    assert isinstance(sim.world, pvesim.World)
    with pytest.raises(pvesim.ScenarioError):
        pvesim.Simulator("no such scenario")
