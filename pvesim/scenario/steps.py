"""The contract part of a scenario: calls of MCP tools, what they return, and what the PVE API shows afterwards.

It is read here because it stands in the same file; nothing in this package runs it.
"""

# ruff: noqa: RUF012 - a pydantic model copies its defaults for every instance.
from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pvesim.scenario.values import Model, Options


class ToolCallModel(Model):
    """An MCP tool and its arguments."""

    tool: str
    arguments: dict[str, Any] = {}


class AfterModel(Model):
    """What the PVE API must show after a call: `data` is a part of the answer to a GET."""

    get: str = Field(pattern=r"^/")
    params: Options = {}
    data: Any


class ContractStepModel(Model):
    """A tool call with what it must return: a part of its result, or a part of its error's text.

    `user` is a user or token of the scenario (root if left out); `access` is the server's level (operate if left out).
    `approved` is false where nobody approves of the call; `policy` is the text of the server's policy.
    """

    name: str
    call: ToolCallModel
    user: str | None = None
    expect: Any = None
    error: str | None = None
    after: list[AfterModel] = []
    access: Literal["read", "operate", "admin"] | None = None
    approved: bool = True
    policy: str | None = None
    simulated_only: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_outcome(self) -> ContractStepModel:
        if self.expect is not None and self.error is not None:
            raise ValueError("a call has a result (expect) or an error, not both")
        return self
