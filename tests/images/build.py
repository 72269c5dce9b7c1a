"""Builds the images of the Dockerfile, once in a run."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import docker

ROOT = Path(__file__).resolve().parents[2]
_ARGUMENTS = {"BASE": "PVE_IMAGE_BASE", "BUILD_BASE": "PVE_IMAGE_BUILD_BASE"}


def arguments() -> dict[str, str]:
    """What is not to be the Dockerfile's default."""
    return {name: os.environ[variable] for name, variable in _ARGUMENTS.items() if os.environ.get(variable)}


@cache
def build(target: str) -> Any:
    """The image of a target of the Dockerfile, tagged `TARGET:test`."""
    image, _ = docker.from_env().images.build(
        path=str(ROOT), target=target, tag=f"{target}:test", buildargs=arguments(), rm=True
    )
    return image
