"""The generated parts of README.md and docs/: `python docs/tables.py` writes them, a test fails when they drift.

A generated part stands between `<!-- NAME: generated -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenario_reference import reference

from proxmox_mcp.settings import PREFIX, Settings
from proxmox_mcp.tooling import ALLOWED, Declaration
from proxmox_mcp.tools import TOOLSETS
from pvesim.areas import load
from pvesim.contract import Contract
from pvesim.indexes import index_of
from pvesim.routing import modelled
from tests.contract.kinds import kind_of
from tests.contract.runner import contracts
from tests.proxmox_mcp.tools.matrix import DECLARED, TRIED, Kind, left_out

ROOT = Path(__file__).resolve().parent.parent


def tools() -> str:
    """Every tool with its level, its risk and what the model reads of it, by toolset."""
    lines = []
    for toolset in TOOLSETS:
        lines += [
            f"**{toolset.name}** ({toolset.purpose}{'' if toolset.default else '; not on by default'})",
            "",
            "| tool | from level | risk | what it does |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| `{tool.name}` | {_level(tool)} | {_risk(tool)} | {_cell(tool.description)} |"
            for tool in toolset.declarations
        ]
        lines.append("")
    return "\n".join(lines[:-1])


def _level(tool: Declaration) -> str:
    """The lowest access level on which a tool exists."""
    return next(level for level, risks in ALLOWED.items() if tool.least in risks)


def _risk(tool: Declaration) -> str:
    """What a call of a tool may do, which for some depends on its arguments."""
    return str(tool.risk) if tool.least is tool.risk else f"{tool.least} to {tool.risk}"


def settings() -> str:
    """Every setting by its environment variable."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = (
            ""
            if field.default is None
            else f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
        )
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {_cell(field.description or '')} |")
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *sorted(rows)])


def coverage() -> str:
    """The methods of the API by path: what they do here, and the test file that asks them most."""
    load()
    known, contract = set(modelled()), Contract.load()
    asked = json.loads((ROOT / "docs" / "asked.json").read_text())
    rows, counts = [], {"modelled": 0, "index": 0, "501": 0}
    for method in contract.methods:
        state = "modelled" if (method.verb, method.path) in known else "index" if index_of(contract, method) else "501"
        counts[state] += 1
        found = asked.get(f"{method.verb} {method.path}", {}) if state == "modelled" else {}
        effect = found.get("effect", "")
        if method.verb == "GET" and effect not in ("", "refuses"):
            effect = "reads"
        rows.append(f"| {method.verb} | `{method.path}` | {state} | {effect} | {_test_link(found.get('test'))} |")
    total = ", ".join(f"{number} {state}" for state, number in counts.items())
    head = ["| method | path | state | what it does | tested by |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"{len(rows)} methods: {total}.", "", *head, *rows])


def tools_coverage() -> str:
    """How each tool is proven, by the ways that a call can go: steps of contracts, or `t` for the test of all tools."""
    steps = [step for scenario in contracts().values() for step in scenario.contract]
    shown = Counter((step.call.tool, kind_of(step)) for step in steps)
    why: dict[str, int] = {}
    rows = []
    for tool in sorted(DECLARED):
        cells = []
        for kind in Kind:
            reason = left_out(tool, kind)
            mark = str(why.setdefault(reason, len(why) + 1)) if reason else ""
            parts = [str(shown[tool, kind] or ""), "t" if kind in TRIED and not reason else ""]
            cells.append(" ".join(part for part in parts if part) or f"<sup>{mark}</sup>")
        rows.append(f"| `{tool}` | {' | '.join(cells)} |")
    head = [f"| tool | {' | '.join(Kind)} |", f"| --- |{' --- |' * len(Kind)}"]
    notes = [f"{number}. {reason}" for reason, number in why.items()]
    total = f"{len(DECLARED)} tools, {len(steps)} steps of contracts."
    key = "Where a small number stands, that way asks nothing of the tool, which:"
    return "\n".join([total, "", *head, *rows, "", key, "", *notes])


def _test_link(file: str | None) -> str:
    return f"[{file.removeprefix('tests/pvesim/')}](../{file})" if file else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"tools": tools, "settings": settings},
    "docs/coverage.md": {"coverage": coverage},
    "docs/coverage-tools.md": {"kinds": tools_coverage},
    "docs/scenarios.md": {"scenario": reference},
}


def render(file: str, text: str) -> str:
    """The text of a file with its generated parts as they should be."""
    for name, make in PARTS[file].items():
        pattern = re.compile(rf"(<!-- {name}: generated -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{file} has no place for the generated part '{name}'")
        body = make()
        text = pattern.sub(lambda match, body=body: f"{match[1]}\n{body}\n{match[2]}", text)
    return text


def drifted() -> Iterable[str]:
    """The files whose generated parts are out of date."""
    for file in PARTS:
        text = (ROOT / file).read_text()
        if render(file, text) != text:
            yield file


if __name__ == "__main__":
    for file in PARTS:
        place = ROOT / file
        place.write_text(render(file, place.read_text()))
