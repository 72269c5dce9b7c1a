"""The part of a scenario that is configured as an administrator would do it: by requests of the API.

Jobs, replication, networks, notifications, mappings, metric servers, …: all that is configuration and has no section
of its own. The requests are made by root when everything else is there, before time begins and before any fault.
"""

# ruff: noqa: RUF012 - a pydantic model copies its defaults for every instance.
from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from pvesim.core.errors import ApiError, ParameterErrors
from pvesim.scenario.values import Model, Options

if TYPE_CHECKING:
    from pvesim.scenario.context import Context

_VERBS = ("post", "put", "delete")


class SetupModel(Model):
    """One request: a path of the API under `post`, `put` or `delete`, and its parameters."""

    post: str | None = Field(None, pattern=r"^/")
    put: str | None = Field(None, pattern=r"^/")
    delete: str | None = Field(None, pattern=r"^/")
    params: Options = {}

    @model_validator(mode="after")
    def _one_verb(self) -> SetupModel:
        if sum(getattr(self, verb) is not None for verb in _VERBS) != 1:
            raise ValueError("give exactly one of post, put and delete: a path of the API")
        return self

    @property
    def request(self) -> tuple[str, str]:
        """The verb and the path."""
        return next((verb.upper(), path) for verb in _VERBS if (path := getattr(self, verb)) is not None)


def build_setup(context: Context) -> None:
    """Make the requests; what PVE refuses is noted with its place, and so is what would take time."""
    requests = context.scenario.setup
    if not requests:
        return
    from pvesim.engine import Simulator

    simulator = Simulator(context.world, clock="manual")
    for position, model in enumerate(requests):
        verb, path = model.request
        try:
            answer = simulator.request(verb, path, model.params)
        except ParameterErrors as error:
            for name, text in (error.errors or {}).items():
                field = ("params", name) if name in model.params else ()
                context.problem(("setup", position, *field), f"PVE refuses it: {name}: {' '.join(text.split())}")
        except ApiError as error:
            context.problem(("setup", position, verb.lower()), f"PVE refuses it: {error.status} {error.message}")
        else:
            if isinstance(answer, str) and answer.startswith("UPID:"):
                context.problem(
                    ("setup", position, verb.lower()),
                    "this starts a task, which takes time: nothing does before the beginning",
                )
