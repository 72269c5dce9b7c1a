"""Records of the access area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Realm:
    """An authentication realm. `options` holds what its type adds (server, base_dn, …)."""

    realm: str
    type: str
    comment: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> str:
        return self.realm


@dataclass(frozen=True, slots=True)
class User:
    """A user. `expire` is 0 for never, else seconds since the epoch; `password` a salted hash, None for none."""

    userid: str
    enable: bool = True
    expire: int = 0
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    comment: str = ""
    keys: str = ""
    password: str | None = None

    @property
    def key(self) -> str:
        return self.userid

    @property
    def realm(self) -> str:
        return self.userid.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Token:
    """An API token of a user. `secret` is its UUID; a token without privilege separation has its user's rights."""

    userid: str
    tokenid: str
    secret: str
    privsep: bool = True
    expire: int = 0
    comment: str = ""

    @property
    def key(self) -> str:
        return f"{self.userid}!{self.tokenid}"


@dataclass(frozen=True, slots=True)
class Group:
    """A group with its members' user ids."""

    groupid: str
    comment: str = ""
    members: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.groupid


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of privileges; a `special` one is built in."""

    roleid: str
    privileges: tuple[str, ...] = ()
    special: bool = False

    @property
    def key(self) -> str:
        return self.roleid


@dataclass(frozen=True, slots=True)
class AclEntry:
    """A role given on a path to a user, a group or a token (`type`), and whether to what lies below as well."""

    path: str
    type: str
    ugid: str
    roleid: str
    propagate: bool = True

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.path, self.type, self.ugid, self.roleid)
