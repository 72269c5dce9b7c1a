"""Who may call a method, by the permission expression that its schema publishes.

An expression is compiled once into a tree of rules. `evaluate` gives the text of PVE's refusal, or None; whoever asked
raises it. root@pam itself passes every expression; a token of root does not, unless its rights say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pvesim.contract.formats import split_list

if TYPE_CHECKING:
    from pvesim.contract.methods import Method

REFUSED = "Permission check failed"


class Subject(Protocol):
    """Who asks: a user, or a token with the rights that are left to it."""

    @property
    def userid(self) -> str:
        """`alice@pve`, or `alice@pve!token`."""

    @property
    def is_root(self) -> bool:
        """Whether this is root@pam with a ticket."""

    def has(self, path: str, privileges: Sequence[str], any_of: bool) -> bool:
        """Whether the subject holds all of the privileges on an ACL path, or at least one of them."""

    def groups_of(self, userid: str) -> Iterable[str]:
        """The groups that a user is a member of; none for an unknown user."""


Params = Mapping[str, object]


class Rule(Protocol):
    """One node of a permission expression."""

    # In PVE a failed "and" ends the check even inside an "or"; the other kinds let the next alternative try.
    final: bool

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """The text of the refusal, or None if the subject may."""


def refused(path: str, privileges: Sequence[str]) -> str:
    """PVE's text for missing privileges on an ACL path: `Permission check failed (/vms/100, VM.Audit)`."""
    return f"{REFUSED} ({path}, {'|'.join(privileges)})"


class Everyone:
    """Whoever is logged in, or even that is not asked for."""

    final = False

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """Never refuses."""
        return None


class RootOnly:
    """A method without a permission expression."""

    final = False

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """Refuses everyone but root@pam."""
        return None if subject.is_root else f"{REFUSED} (user != root@pam)"


_SLASHES = re.compile(r"/+")
_PLACEHOLDER = re.compile(r"\{([^}]+)\}")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def acl_path(template: str, params: Params) -> str:
    """An ACL path with its placeholders filled in; what is not given leaves nothing, and no slash behind."""
    path = _PLACEHOLDER.sub(lambda match: _text(params.get(match[1])), template)
    return _SLASHES.sub("/", "/" + path).rstrip("/") or "/"


class Privileges:
    """Privileges on one ACL path: all of them, or any."""

    __slots__ = ("any_of", "final", "privileges", "require_param", "template")

    def __init__(self, template: str, privileges: Sequence[str], options: Mapping[str, Any]) -> None:
        self.final = False
        self.template = template
        self.privileges = tuple(privileges)
        self.any_of = bool(options.get("any"))
        self.require_param: str | None = options.get("require_param")

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """Names the path and the first privilege that is missing, or all that would do."""
        if self.require_param is not None and params.get(self.require_param) is None:
            return REFUSED
        path = acl_path(self.template, params) if "{" in self.template else self.template
        if subject.has(path, self.privileges, self.any_of):
            return None
        if self.any_of or len(self.privileges) == 1:
            return refused(path, self.privileges)
        missing = next(name for name in self.privileges if not subject.has(path, (name,), False))
        return refused(path, (missing,))


class AllOf:
    """Every part must allow."""

    final = True

    def __init__(self, parts: Sequence[Rule]) -> None:
        self.parts = parts

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """The first part's refusal."""
        for part in self.parts:
            text = part.refusal(params, subject)
            if text is not None:
                return text
        return None


class AnyOf:
    """One part is enough."""

    final = False

    def __init__(self, parts: Sequence[Rule]) -> None:
        self.parts = parts

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """No place is named, because more than one would do; but a failed "and" speaks for itself."""
        for part in self.parts:
            text = part.refusal(params, subject)
            if text is None:
                return None
            if part.final:
                return text
        return REFUSED


class Oneself:
    """The user that the request is about."""

    final = False

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """Refuses whoever asks about someone else."""
        return None if _text(params.get("userid")) == subject.userid else REFUSED


class RealmPrivilege:
    """A privilege on the realm of the user that the request is about."""

    final = False

    def __init__(self, privilege: str) -> None:
        self.privilege = privilege

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """Names the realm's ACL path."""
        realm = _text(params.get("userid")).rpartition("@")[2]
        path = f"/access/realm/{realm}"
        return None if subject.has(path, (self.privilege,), False) else refused(path, (self.privilege,))


class UserGroups:
    """Privileges on all groups, or on the groups that matter: the user's own, or those asked for."""

    final = False

    def __init__(self, privileges: Sequence[str], options: Mapping[str, Any]) -> None:
        self.privileges = tuple(privileges)
        self.groups_param: str | None = options.get("groups_param")

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """Names the group that is out of reach, if a group was asked for."""
        if subject.has("/access/groups", self.privileges, True):
            return None
        if self.groups_param is not None:
            asked = split_list(_text(params.get("groups")))
            if self.groups_param == "create" and not asked:
                return refused("/access/groups", self.privileges)
            for group in asked:
                if not self._reaches(subject, group):
                    return refused(f"/access/groups/{group}", self.privileges)
            if self.groups_param == "create":
                return None
        own = subject.groups_of(_text(params.get("userid")))
        return None if any(self._reaches(subject, group) for group in own) else REFUSED

    def _reaches(self, subject: Subject, group: str) -> bool:
        return subject.has(f"/access/groups/{group}", self.privileges, True)


# Who may allocate an object may also hand out rights on it.
_OWNERS = (
    ("/storage/", "Datastore.Allocate"),
    ("/vms/", "VM.Allocate"),
    ("/pool/", "Pool.Allocate"),
)


class ModifyPermissions:
    """The right to change the ACL of a path."""

    final = False

    def __init__(self, template: str) -> None:
        self.template = template

    def refusal(self, params: Params, subject: Subject) -> str | None:
        """Names the path and every privilege that would do."""
        path = acl_path(self.template, params)
        privileges = ("Permissions.Modify", *(privilege for prefix, privilege in _OWNERS if path.startswith(prefix)))
        return None if subject.has(path, privileges, True) else refused(path, privileges)


def _options(rest: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(rest[::2], rest[1::2], strict=True))


def _compile(check: Sequence[Any]) -> Rule:
    kind, *rest = check
    if kind in ("and", "or"):
        parts = [_compile(part) for part in rest]
        return AllOf(parts) if kind == "and" else AnyOf(parts)
    if kind == "perm":
        return Privileges(rest[0], rest[1], _options(rest[2:]))
    if kind == "userid-param":
        return Oneself() if rest[0] == "self" else RealmPrivilege(rest[0])
    if kind == "userid-group":
        return UserGroups(rest[0], _options(rest[1:]))
    if kind == "perm-modify":
        return ModifyPermissions(rest[0])
    raise ValueError(f"unknown kind of permission check: {kind!r}")


def compile_rule(permissions: Mapping[str, Any] | None) -> Rule:
    """The rule for a method's published `permissions`; None is root's alone."""
    if permissions is None:
        return RootOnly()
    if permissions.get("user") in ("all", "world"):
        return Everyone()
    check = permissions.get("check")
    return RootOnly() if check is None else _compile(check)


def evaluate(method: Method, params: Params, subject: Subject) -> str | None:
    """PVE's refusal as text, or None if the subject may call the method with these parameters.

    `params` are as the request gave them: PVE looks at permissions before it verifies parameters. A method open to
    the world (`method.world`) refuses nobody here; whether somebody has to be logged in is asked before.
    Source: the `permissions` of each API path; recorded refusals of a genuine node.
    """
    return None if subject.is_root else method.rule.refusal(params, subject)
