"""The policy in the handbook is one."""

import re
from pathlib import Path

from proxmox_mcp.safety.policy import Policy
from proxmox_mcp.safety.policy_file import load_policy
from proxmox_mcp.tools import TOOLSETS

HANDBOOK = Path(__file__).parents[3] / "docs" / "safety.md"


def test_the_policy_in_the_handbook_is_right_and_uses_all_there_is(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", HANDBOOK.read_text(), re.DOTALL)
    file = tmp_path / "policy.toml"
    file.write_text(text)
    policy = load_policy(file, [tool.name for toolset in TOOLSETS for tool in toolset.declarations])
    assert policy.model_fields_set == set(Policy.model_fields) - {"default"}
    assert {rule.effect for rule in policy.rules} == {"allow", "ask", "deny"}
