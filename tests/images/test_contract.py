"""Every contract on the images; `PVE_IMAGE_RECORD` is a file for what both of them together did."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from proxmox_mcp import __version__
from tests.contract.runner import contracts, run_contract
from tests.images.targets import IMAGE_TARGETS, Served, serve
from tests.real.record import Record

CONTRACTS = contracts()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(list(CONTRACTS)) as worlds:
        yield worlds


@pytest.fixture(scope="module")
def records() -> Iterator[dict[str, Record]]:
    """A record for each way that the images are used."""
    made = {name: Record("container", f"proxmoxapi-mcp {__version__}", called=name) for name in IMAGE_TARGETS}
    yield made
    if path := os.environ.get("PVE_IMAGE_RECORD"):
        made["pvesim and proxmox-mcp"].write(Path(path))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.contract
@pytest.mark.anyio
@pytest.mark.parametrize("images", IMAGE_TARGETS)
@pytest.mark.parametrize("contract", CONTRACTS)
async def test_contract_holds(contract: str, images: str, served: Served, records: dict[str, Record]) -> None:
    with IMAGE_TARGETS[images](contract, CONTRACTS[contract], served) as there:
        left_out = await run_contract(contract, there, "auto", partial(records[images].add, contract))
    assert not left_out, "a simulated target runs every step"
