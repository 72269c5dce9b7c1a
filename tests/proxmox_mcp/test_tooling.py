from typing import Any

import pytest

from proxmox_mcp.errors import SettingsError
from proxmox_mcp.results import Result
from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import (
    Call,
    NodeName,
    Risk,
    StorageName,
    Toolset,
    Vmid,
    allowed,
    build_tool,
    chosen,
    twin_of,
)
from proxmox_mcp.tools import TOOLSETS

made = Toolset("made", "For these tests")


class Answer(Result):
    """An answer."""

    title: str
    note: str | None = None


@made.tool(risk=Risk.READ, title="Look")
async def look(call: Call, vmid: Vmid, node: NodeName | None = None, storage: StorageName | None = None) -> Answer:
    """Look at it.

    Indented in the source.
    """
    return Answer(title=str(vmid), note=node)


@made.tool(risk=Risk.OPERATE, title="Stop", destructive=True)
async def stop(call: Call) -> Answer:
    """Stop it."""
    return Answer(title="stopped")


@made.tool(risk=Risk.CHANGE, title="Change", idempotent=True)
async def change(call: Call) -> Answer:
    """Change it."""
    return Answer(title="changed")


@made.tool(risk=Risk.DESTROY, title="Delete")
async def delete(call: Call) -> Answer:
    """Delete it."""
    return Answer(title="deleted")


async def unused(declaration: Any, ctx: Any, given: Any) -> Any:
    raise AssertionError("not called")


@pytest.mark.parametrize(
    ("access", "names"),
    [("read", ["look"]), ("operate", ["look", "stop"]), ("admin", ["look", "stop", "change", "delete"])],
)
def test_the_access_level_decides_which_tools_exist(access: Any, names: list[str]) -> None:
    assert [tool.name for tool in allowed([made], access)] == names


def test_annotations_follow_the_risk() -> None:
    hints = [
        (hint.read_only_hint, hint.destructive_hint, hint.idempotent_hint)
        for hint in (tool.annotations for tool in made.declarations)
    ]
    assert hints == [(True, False, True), (False, True, False), (False, False, True), (False, True, False)]


def test_schemas_are_strict_and_slim() -> None:
    tool = build_tool(made.declarations[0], unused)
    assert tool.description == "Look at it.\n\nIndented in the source."
    assert tool.parameters["additionalProperties"] is False
    assert tool.parameters["required"] == ["vmid"]
    assert tool.parameters["properties"]["vmid"] == {
        "type": "integer",
        "minimum": 100,
        "description": "Guest id",
    }
    assert tool.output_schema == {
        "description": "An answer.",
        "type": "object",
        "properties": {"title": {"type": "string"}, "note": {"type": "string"}},
        "required": ["title"],
    }


@pytest.mark.parametrize("node", ["a/b", "..", "-a", "a b", "", "a" * 64, "pve1\n", "a.b"])
def test_what_cannot_be_a_node_is_refused(node: str) -> None:
    with pytest.raises(ValueError, match="node"):
        build_tool(made.declarations[0], unused).fn_metadata.validate_arguments({"vmid": 100, "node": node})


@pytest.mark.parametrize("vmid", [99, 10**9, "x", None, 1.5])
def test_what_cannot_be_a_guest_is_refused(vmid: Any) -> None:
    with pytest.raises(ValueError, match="vmid"):
        build_tool(made.declarations[0], unused).fn_metadata.validate_arguments({"vmid": vmid})


more = Toolset("more", "Also for tests", default=False)


@more.tool(risk=Risk.READ, title="Look closer")
async def look_closer(call: Call) -> Answer:
    """Look closer."""
    return Answer(title="close")


@more.tool(risk=Risk.DESTROY, least=Risk.READ, title="Anything")
async def anything(call: Call) -> Answer:
    """Do anything."""
    return Answer(title="done")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["look", "stop"]),
        ({"toolsets": "default"}, ["look", "stop"]),
        ({"toolsets": "all"}, ["look", "stop", "look_closer", "anything"]),
        ({"toolsets": "more"}, ["look_closer", "anything"]),
        ({"toolsets": "default, more"}, ["look", "stop", "look_closer", "anything"]),
        ({"tools": "look"}, ["look"]),
        ({"tools": "look,look_closer"}, ["look", "look_closer"]),
        ({"tools": "look_closer", "toolsets": "made"}, ["look", "stop", "look_closer"]),
        ({"tools": "delete"}, []),
    ],
)
def test_tools_are_chosen_by_toolset_and_name_within_the_access_level(options: Any, names: list[str]) -> None:
    settings = Settings(access="operate", **options)
    assert [tool.name for tool in chosen([made, more], settings)] == names


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"toolsets": ("mad",)}, "PROXMOX_TOOLSETS: there is no toolset mad. Did you mean made?"),
        ({"tools": ("lok",)}, "PROXMOX_TOOLS: there is no tool lok. Did you mean look?"),
        ({"tools": ("zzz",)}, "There are: anything, change, delete, look, look_closer, stop."),
    ],
)
def test_what_there_is_not_cannot_be_chosen(options: Any, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen([made, more], Settings(**options))
    assert says in str(caught.value)


@pytest.mark.parametrize("confirm", [True, False])
def test_only_tools_that_change_something_are_confirmed(confirm: bool) -> None:
    taken = [
        tool.name
        for tool in made.declarations
        if "confirm" in build_tool(tool, unused, confirm=confirm).parameters["properties"]
    ]
    assert taken == (["stop", "change", "delete"] if confirm else [])


def test_tools_for_vms_and_for_containers_know_each_other() -> None:
    known = {tool.name for toolset in TOOLSETS for tool in toolset.declarations}
    pairs = {name: twin for name in known if (twin := twin_of(name, known)) is not None}
    assert {pairs[twin] for twin in pairs.values()} == set(pairs), "each is the twin of its twin"
    assert {name for name in known if "_lxc" in name} <= set(pairs)
    assert (pairs["get_vm_info"], pairs["manage_lxc_container"]) == ("get_lxc_container_info", "manage_vm")
    assert twin_of("get_vm_info", {"get_vm_info"}) is None
