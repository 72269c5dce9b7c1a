"""Every contract on every target that is at hand, in both eras of the protocol."""

import pytest

from tests.contract.runner import ERAS, Era, contracts, run_contract
from tests.contract.targets import TARGETS

CONTRACTS = contracts()


@pytest.mark.contract
@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("contract", CONTRACTS)
async def test_contract_holds(contract: str, target: str, era: Era) -> None:
    with TARGETS[target](CONTRACTS[contract]) as there:
        left_out = await run_contract(contract, there, era)
    assert not left_out, "a simulated target runs every step"
