import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a simulated task moves its clock, so nobody has to wait between two looks."""
    monkeypatch.setattr("proxmox_mcp.tasks._FIRST_PAUSE", 0.0)
