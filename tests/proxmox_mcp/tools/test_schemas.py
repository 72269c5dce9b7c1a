"""What models see of the tools changes only where a reviewer sees it, too."""

import json

import pytest

from tests.snapshots.schemas import FILE, schemas


@pytest.mark.anyio
async def test_what_a_model_reads_is_as_it_was_reviewed() -> None:
    now = {json.loads(line)["name"]: line for line in (await schemas()).splitlines()}
    reviewed = {json.loads(line)["name"]: line for line in FILE.read_text(encoding="utf-8").splitlines()}
    changed = sorted(name for name in now.keys() | reviewed.keys() if now.get(name) != reviewed.get(name))
    assert not changed, "run `python tests/snapshots/schemas.py`, look at what it changed, and commit it"
