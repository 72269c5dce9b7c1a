"""The pipelines as they are written: their jobs, the shell that these run, and the examples for others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPENDABOT = ROOT / ".github" / "dependabot.yml"
GITLAB = ROOT / ".gitlab-ci.yml"
PIPELINES = (*WORKFLOWS, GITLAB)
EXAMPLES: list[tuple[str, str]] = re.findall(
    r"^```yaml\n# (\S+)\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL | re.MULTILINE
)
"""The examples of docs/ci.md: the path of the file that each is, and its text."""

# What GitLab's top level holds besides jobs.
_GITLAB_KEYWORDS = {"default", "include", "stages", "variables", "workflow"}


def read(text: str) -> dict[str, Any]:
    """A YAML document. Its `on:` is read as a word, not as YAML 1.1's yes."""
    document: dict[Any, Any] = yaml.safe_load(text)
    return {"on" if name is True else name: value for name, value in document.items()}


def github_jobs(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(workflow["jobs"])


def gitlab_jobs(pipeline: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The jobs that run, each with what it extends; hidden ones are only extended."""
    return {
        name: _extended(pipeline, job)
        for name, job in pipeline.items()
        if name not in _GITLAB_KEYWORDS and not name.startswith(".")
    }


def _extended(pipeline: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    names = job.get("extends", [])
    whole: dict[str, Any] = {}
    for name in [names] if isinstance(names, str) else names:
        whole |= pipeline[name]
    return {**pipeline.get("default", {}), **whole, **job}


def scripts(document: dict[str, Any]) -> list[str]:
    """The shell of each job of a pipeline of either kind, as one text a piece that is run by one shell."""
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    return [
        "\n".join(job.get(part, [])) for job in gitlab_jobs(document).values() for part in ("before_script", "script")
    ]
