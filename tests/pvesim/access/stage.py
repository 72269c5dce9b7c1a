"""What the tests of the access area share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator


def people() -> Simulator:
    """One node; `alice@pve` and `bob@pve` with passwords, `alice` in the group `ops`."""
    simulator = Simulator(root_password="root-secret")
    simulator.request("POST", "/access/groups", {"groupid": "ops"})
    for name, more in (("alice", {"groups": "ops"}), ("bob", {})):
        simulator.request("POST", "/access/users", {"userid": f"{name}@pve", "password": f"{name}-secret", **more})
    return simulator


def refusal(
    simulator: Simulator, verb: str, path: str, params: Mapping[str, Any] | None = None, *, user: str = "root@pam"
) -> tuple[int, str | dict[str, str]]:
    """Status and text of a request that must be refused; for a parameter error its texts by field."""
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params, user=user)
    return caught.value.status, caught.value.errors or caught.value.message


def give(simulator: Simulator, user: str, path: str, role: str, **more: Any) -> None:
    """Give a user (or with `groups=`, `tokens=` someone else) a role on a path."""
    subject = {"users": user} if user else {}
    simulator.request("PUT", "/access/acl", {"path": path, "roles": role, **subject, **more})


def held(simulator: Simulator, user: str, path: str) -> dict[str, int]:
    """The privileges of a user or token on a path, as the API tells root."""
    answer: dict[str, dict[str, int]] = simulator.request("GET", "/access/permissions", {"userid": user, "path": path})
    return answer[path]
