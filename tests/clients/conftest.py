"""Other people's clients, each in an environment of its own, against a real `pvesim serve`.

They are installed by `nox -s clients`, which names their folder in `PVE_CLIENTS`; without it, as in the ordinary run of
all tests, nothing here is collected.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.running import FOLDER, Served, serving

collect_ignore_glob = [] if FOLDER else ["test_*.py"]


@pytest.fixture(scope="module")
def homelab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Three nodes with guests in all states; a world of its own for each test module."""
    with serving("homelab", tmp_path_factory.mktemp("homelab")) as served:
        yield served


@pytest.fixture(scope="module")
def single_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One node, as small as they come; a world of its own for each test module."""
    with serving("single-node", tmp_path_factory.mktemp("single-node")) as served:
        yield served
