"""One version, wherever it is told."""

import tomllib
from pathlib import Path

import proxmox_mcp
import pvesim


def test_the_packages_have_the_version_of_the_distribution() -> None:
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["version"]
    assert (proxmox_mcp.__version__, pvesim.__version__) == (declared, declared)
