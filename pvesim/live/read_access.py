"""Realms, roles, groups, users, tokens and permissions. Passwords and secrets cannot be read, by nobody."""

from __future__ import annotations

from typing import Any

from pvesim.live.reader import Reader, without

_BUILT_IN_REALMS = ("pam", "pve")
_TEXTS = ("firstname", "lastname", "email", "comment")


def read_access(reader: Reader, scenario: dict[str, Any]) -> None:
    """Fill in who may do what."""
    scenario["realms"] = _realms(reader)
    scenario["roles"] = {
        row["roleid"]: sorted(filter(None, (row.get("privs") or "").split(",")))
        for row in reader.list("/access/roles")
        if not row.get("special")
    }
    scenario["groups"] = {row["groupid"]: {"comment": row.get("comment", "")} for row in reader.list("/access/groups")}
    scenario["users"] = {row["userid"]: _user(row) for row in reader.list("/access/users", full=1)}
    scenario["acl"] = [
        {
            "path": row["path"],
            row["type"]: row["ugid"],
            "role": row["roleid"],
            **({} if row.get("propagate", 1) else {"propagate": False}),
        }
        for row in reader.list("/access/acl")
    ]


def _realms(reader: Reader) -> dict[str, Any]:
    realms = {}
    for row in reader.list("/access/domains"):
        if row["realm"] not in _BUILT_IN_REALMS:
            config = reader.get(f"/access/domains/{row['realm']}") or row  # an auditor may list them only
            realms[row["realm"]] = {"type": row["type"], "config": without(config, ("digest", "realm", "type", "tfa"))}
    return realms


def _user(row: dict[str, Any]) -> dict[str, Any]:
    user: dict[str, Any] = {name: row[name] for name in _TEXTS if row.get(name)}
    if not row.get("enable", 1):
        user["enable"] = False
    if row.get("expire"):
        user["expire"] = row["expire"]
    groups = row.get("groups") or []
    groups = groups.split(",") if isinstance(groups, str) else groups
    if any(groups):
        user["groups"] = [group for group in groups if group]
    tokens = {token["tokenid"]: _token(token) for token in row.get("tokens") or []}
    return {**user, "tokens": tokens} if tokens else user


def _token(row: dict[str, Any]) -> dict[str, Any]:
    token: dict[str, Any] = {"comment": row["comment"]} if row.get("comment") else {}
    if not row.get("privsep", 1):
        token["privsep"] = False
    if row.get("expire"):
        token["expire"] = row["expire"]
    return token
