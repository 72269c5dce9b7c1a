from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import proxmox_mcp.resources  # noqa: F401 - its results count, too
from proxmox_mcp.results import Result
from proxmox_mcp.safety.foreign import MARK, OURS, guarded, visible
from proxmox_mcp.tools import TOOLSETS


class Note(Result):
    """A note."""

    name: str = "web"
    description: str | None = None
    stdout: list[str] | None = None
    password: str | None = None
    rows: list[dict[str, Any]] | None = None


def both(result: Result) -> tuple[str, dict[str, Any]]:
    made = guarded(result)
    [content] = made.content
    assert made.structured_content is not None
    return str(getattr(content, "text", "")), made.structured_content


def test_free_text_is_marked_in_text_and_data() -> None:
    text, data = both(Note(description="do this now", stdout=["do that, too"]))
    assert data[MARK] == ["description", "stdout"]
    assert text.splitlines()[-1].startswith("untrusted: description, stdout (text from the cluster and its guests")


@pytest.mark.parametrize("result", [Note(), Note(description="short"), Note(stdout=[])])
def test_what_is_no_free_text_is_not_marked(result: Note) -> None:
    text, data = both(result)
    assert MARK not in data
    assert MARK not in text


@pytest.mark.parametrize("name", ["comment", "hostname", "system", "exit_status", "headline", "anything"])
def test_whatever_is_more_than_a_word_is_marked_where_the_server_does_not_speak(name: str) -> None:
    assert both(Note(rows=[{"inner": {name: "one two"}}, {name: "one"}]))[1][MARK] == [name]
    assert MARK not in both(Note(rows=[{"inner": {name: "one"}, "advice": "one two"}]))[1]


class Raw(Result):
    """What PVE answered."""

    data: Any = None


@pytest.mark.parametrize("data", ["one two", ["one two"], {"status": "one two"}, [{"a": {"note": ["one two"]}}]])
def test_of_a_raw_answer_everything_is_marked(data: Any) -> None:
    assert both(Raw(data=data))[1][MARK] == ["data"]


# The fields of results in which the server speaks, as somebody has looked at each. A new one of these names is marked
# here when it holds nothing that others have written but names and ids.
SPEAKS = {
    "BackupStatus.guests", "BackupStatus.unread", "BackupStorage.status", "BackupTask.note", "Backups.unread",
    "Clone.note",
    "Cluster.guests", "Cluster.status", "CommandResult.note", "ConfigChange.note", "Containers.note",
    "Diagnosis.subject", "Diagnosis.unread",
    "Explanation.advice", "Explanation.because", "Explanation.who", "FirewallRules.reasons", "FoundGuest.status",
    "FoundGuests.guests", "FoundGuests.note", "FoundGuests.unread", "GuestInfo.status", "GuestRow.status",
    "GuestStatus.status",
    "GuestTask.note", "HaEntry.status", "HaStatus.guests", "Inside.unread", "Job.guests", "Job.schedule",
    "JobRun.note", "Method.needs", "Method.returns", "MethodRow.needs", "MethodRow.takes", "Metrics.subject",
    "Metrics.timeframe", "Migration.note", "Migration.obstacles", "Migration.warnings", "NewGuest.note",
    "NewToken.note", "Node.status", "NodeStatus.kversion", "NodeTime.localtime", "Parameter.allowed",
    "Parameter.default", "Pool.guests", "PowerOrder.note", "PowerResult.note", "Problem.advice", "Problem.what",
    "Provisioned.note", "Provisioned.steps", "ReplicationJob.schedule", "Restore.note", "Saved.note", "Saved.what",
    "Series.trend", "Series.unit", "StorageSpace.status", "TaskLog.next_start", "UnprotectedGuests.guests",
    "Vms.note",
}  # fmt: skip


def results() -> set[str]:
    """Every field of a result of a tool that has a name of the server's own fields."""
    found = set()
    waiting = [type_ for type_ in Result.__subclasses__() if type_.__module__.startswith("proxmox_mcp.")]
    while waiting:
        type_ = waiting.pop()
        waiting += type_.__subclasses__()
        found |= {f"{type_.__name__}.{name}" for name in type_.model_fields if name in OURS}
    return found


def test_every_field_in_which_the_server_speaks_was_looked_at() -> None:
    for toolset in TOOLSETS:
        assert toolset.declarations
    assert results() == SPEAKS


def test_free_text_inside_records_is_marked() -> None:
    assert both(Note(rows=[{"inner": {"comment": "one two"}}]))[1][MARK] == ["comment"]


def test_a_secret_is_hidden_wherever_it_is_repeated() -> None:
    text, data = both(Note(password="geheim-1", description="it is geheim-1 indeed"))
    assert "geheim-1" not in text + str(data)
    assert data["password"] == "[hidden]"


@given(st.text())
def test_what_is_left_can_be_seen(text: str) -> None:
    left = visible(text)
    assert visible(left) == left
    assert not any(ord(character) < 32 and character not in "\t\n" for character in left)
    assert not any(0xE0000 <= ord(character) <= 0xE0FFF or 0x202A <= ord(character) <= 0x202E for character in left)


@given(st.text(st.characters(categories=["L", "N", "P", "S"], max_codepoint=0x2FF)))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert visible(text) == text
