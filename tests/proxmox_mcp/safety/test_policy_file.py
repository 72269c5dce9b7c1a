import sys
from pathlib import Path

import pytest

from proxmox_mcp.errors import SettingsError
from proxmox_mcp.safety.policy_file import load_policy

TOOLS = ["delete_vm", "delete_lxc", "get_vms"]

GOOD = """
default = "ask"
protected = [100, "200-299", "tag:prod"]

[[rules]]
effect = "deny"
tools = ["delete_*"]
reason = "By hand only."

[[rules]]   # a comment
effect = "allow"
guests = [
  105, # one
  "300-399",
]

[exec]
allow = ["systemctl status *", "df **"]

[limits]
guests_per_hour = 5
"""


def test_a_whole_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(GOOD)
    policy = load_policy(file, TOOLS)
    assert (policy.default, len(policy.rules), policy.limits.guests_per_hour) == ("ask", 2, 5)
    assert policy.rules[1].guests == (105, "300-399")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = 1\n", 1, "x: there is no such key"),
        ("\nprotect = []\n", 2, "did you mean protected?"),
        ('default = "yes"\n', 1, "default: should be 'ask' or 'deny'"),
        ('default = "allow"\n', 1, "default: should be 'ask' or 'deny'"),
        ('[[rules]]\neffect = "deny"\ntools = ["delet_*"]\n', 3, "there is no tool delet_*; did you mean delete_"),
        ('protected = [100,\n "tag: prod"]\n', 2, "without blanks around it"),
        ('[[rules]]\neffect = "deny"\ntags = ["prod "]\n', 3, "without blanks around it"),
        ('[[rules]]\neffect = "deny"\npools = [""]\n', 3, "without blanks around it"),
        ('\n\n[[rules]]\ntools = ["get_vms"]\n', 3, "rules[1].effect: is required"),
        ('[[rules]]\neffect = "deny"\n\n[[rules]]\neffect = "no"\n', 5, "rules[2].effect"),
        ('[[rules]]\neffect = "deny"\ntool = ["get_vms"]\n', 3, "did you mean tools?"),
        ('[[rules]]\neffect = "deny"\ntools = ["get_vmz"]\n', 3, "there is no tool get_vmz; did you mean get_vms?"),
        ('[[rules]]\neffect = "deny"\ntools = []\n', 3, "rules[1].tools"),
        ('[[rules]]\neffect = "deny"\ntools = "get_vms"\n', 3, "rules[1].tools"),
        ('[[rules]]\neffect = "deny"\nguests = ["9-1"]\n', 3, "expected a guest id such as 100"),
        ('[[rules]]\neffect = "deny"\nguests = [\n  100,\n  # "x"\n  "a,b",\n  "web",\n]\n', 6, "rules[1].guests[2]"),
        ('[[rules]]\neffect = "deny"\nrisks = ["destroys"]\n', 3, "rules[1].risks[1]"),
        ('protected = [100,\n "name:web"]\n', 2, "expected a guest id, a range, tag:NAME or pool:NAME"),
        ("[limits]\ntasks = 0\n", 2, "limits.tasks: should be greater than or equal to 1"),
        ("[limits]\ntask = 1\n", 2, "did you mean tasks?"),
        ('[exec]\nallow = ["sh -c \'x"]\n', 2, "expected the words of a command"),
        ('[exec]\nallow = [""]\n', 2, "expected the words of a command"),
        ('[exec]\nallow = ["** x"]\n', 2, "at the end only"),
        ('default = "ask"\n[[rules]\n', 2, "this is not TOML"),
        ("[exec]\nallow = [\n", 2, "this is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_policy(file, TOOLS)
    told = str(caught.value)
    assert f"{file}, line {line}" in told
    assert says in told


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('default = "no"\n[limits]\ntasks = -1\n')
    with pytest.raises(SettingsError) as caught:
        load_policy(file, TOOLS)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "policy.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"policy\.toml cannot be read"):
        load_policy(file, TOOLS)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_a_policy_that_everyone_may_write_is_not_trusted(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(GOOD)
    file.chmod(0o666)
    with pytest.raises(SettingsError, match=r"policy\.toml can be written by everyone"):
        load_policy(file, TOOLS)
