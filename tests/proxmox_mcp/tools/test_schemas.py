"""What models see of the tools changes only where a reviewer sees it, too."""

import json

import pytest

from proxmox_mcp import schemas as kept
from proxmox_mcp import tooling
from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from tests.snapshots.schemas import FILE, made_schemas, schemas


@pytest.mark.anyio
async def test_what_a_model_reads_is_as_it_was_reviewed() -> None:
    now = {json.loads(line)["name"]: line for line in (await schemas()).splitlines()}
    reviewed = {json.loads(line)["name"]: line for line in FILE.read_text(encoding="utf-8").splitlines()}
    changed = sorted(name for name in now.keys() | reviewed.keys() if now.get(name) != reviewed.get(name))
    assert not changed, "run `python tests/snapshots/schemas.py`, look at what it changed, and commit it"


def test_the_schemas_that_are_kept_are_those_of_the_declarations() -> None:
    made = made_schemas()
    there = dict(json.loads(line) for line in kept.FILE.read_text(encoding="utf-8").splitlines())
    changed = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    assert not changed, "run `python tests/snapshots/schemas.py`, and commit both files that it writes"


def test_a_server_starts_without_making_a_model_or_a_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **fields: object) -> None:
        raise AssertionError("made at start")

    for cached in (tooling.arguments_of, tooling.arguments_schema, tooling.result_schema):
        cached.cache_clear()
    monkeypatch.setattr(tooling, "create_model", fail)
    monkeypatch.setattr(tooling, "made_schema", fail)
    settings = Settings(access="admin", toolsets=("all",))
    assert len(build_server(settings, Pve(settings)).declarations) > 100
