"""What all tests share."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio: the MCP SDK and uvicorn are used on no other loop here."""
    return "asyncio"
