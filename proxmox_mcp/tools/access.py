"""Access: users, tokens and roles; who may do what, and why not."""

import difflib
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Moment, Page, Preview, Result, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, Risk, Toolset
from proxmox_mcp.tools.creation import Password
from proxmox_mcp.tools.saving import Done, Saved, create, preview_removal, remove, saved, update

access = Toolset("access", "Users, tokens, roles and rights", default=False)

UserId = Annotated[
    str, Field(max_length=64, pattern=r"^[^\s:/!]+@[A-Za-z][A-Za-z0-9_.-]+$", description="As alice@pve")
]
TokenName = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_.-]+$")]
AuthId = Annotated[str, Field(max_length=140, description="User as alice@pve, or token as alice@pve!name")]
AclPath = Annotated[str, Field(max_length=256, pattern=r"^/", description="As /, /vms/100, /pool/lab, /storage/nas")]
RoleId = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Privilege = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z]+(?:\.[A-Za-z]+)+$", description="As VM.PowerMgmt")]
Expire = Annotated[int, Field(ge=0, description="Seconds since 1970; 0: never")]


class User(Result):
    """A user."""

    userid: str
    enable: bool
    expire: Moment | None = None
    email: str | None = None
    comment: str | None = None
    groups: list[str] | None = None
    tokens: list[str] | None = None


class Users(Page):
    """Users."""

    users: list[User]


class AclEntry(Result):
    """A role that someone has on a path, and with `propagate` below it."""

    path: str
    type: str
    ugid: str
    roleid: str
    propagate: bool


class Acl(Page):
    """Who has which role where."""

    entries: list[AclEntry]


class Role(Result):
    """A role and its privileges; `special` ones are PVE's own."""

    roleid: str
    special: bool | None = None
    privs: list[str]


class Roles(Page):
    """Roles."""

    roles: list[Role]


class Explanation(Result):
    """Whether someone holds a privilege on a path, and what makes it so, or what is missing."""

    who: str
    privilege: str
    path: str
    granted: bool
    because: list[str]
    advice: str | None = None


class NewToken(Result):
    """A new token, without its secret."""

    full_tokenid: str
    privsep: bool
    note: str


@access.tool(risk=Risk.READ, title="List users")
async def list_users(
    call: Call,
    text: Annotated[str, Field(max_length=64, description="Part of id or comment")] | None = None,
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Users:
    """List the users with their groups and tokens."""
    records = [
        record
        for record in await call.pve.get("/access/users", full=True)
        if text is None or text.lower() in f"{record['userid']} {record.get('comment', '')}".lower()
    ]
    page, total, following = paginate(records, lambda record: str(record["userid"]), limit, cursor)
    return Users(total=total, next_cursor=following, users=[_user(record) for record in page])


@access.tool(risk=Risk.READ, title="List roles")
async def list_roles(call: Call, limit: Limit = 100, cursor: Cursor | None = None) -> Roles:
    """List the roles with the privileges that each gives."""
    records = await call.pve.get("/access/roles")
    page, total, following = paginate(records, lambda record: str(record["roleid"]), limit, cursor)
    rows = [
        Role(
            roleid=record["roleid"], special=True if record.get("special") else None, privs=_words(record.get("privs"))
        )
        for record in page
    ]
    return Roles(total=total, next_cursor=following, roles=rows)


@access.tool(risk=Risk.READ, title="List rights")
async def list_acl(
    call: Call, path: AclPath | None = None, who: AuthId | None = None, limit: Limit = 100, cursor: Cursor | None = None
) -> Acl:
    """List who has which role on which path. `path` and `who` narrow it down."""
    records = [
        record
        for record in await call.pve.get("/access/acl")
        if path in (None, record["path"]) and who in (None, record["ugid"])
    ]
    key = ("path", "ugid", "roleid")
    page, total, following = paginate(records, lambda record: tuple(str(record[name]) for name in key), limit, cursor)
    return Acl(total=total, next_cursor=following, entries=[AclEntry(**record) for record in page])


@access.tool(risk=Risk.READ, title="Explain a right")
async def explain_permission(call: Call, who: AuthId, privilege: Privilege, path: AclPath = "/") -> Explanation:
    """Say whether a user or token holds a privilege on a path, which entry gives it, or what is missing."""
    user, _, token = who.partition("!")
    groups, privsep = await _known(call, user, token)
    roles = {record["roleid"]: set(_words(record.get("privs"))) for record in await call.pve.get("/access/roles")}
    _require_privilege(privilege, sorted(set().union(*roles.values())))
    entries = await call.pve.get("/access/acl")
    if user == "root@pam" and not (token and privsep):
        return Explanation(
            who=who, privilege=privilege, path=path, granted=True, because=["root@pam may do everything"]
        )
    parties = [(user, groups)] if not (token and privsep) else [(user, groups), (who, [])]
    because, granted = [], True
    for party, of_groups in parties:
        holds, lines = _effective(entries, roles, party, of_groups, path, privilege)
        granted = granted and holds
        because += lines
    because += ["a token with privilege separation needs it for itself and for its user"] if len(parties) > 1 else []
    givers = sorted(role for role, held in roles.items() if privilege in held)
    advice = (
        None if granted else f"Roles that give it: {', '.join(givers[:8]) or 'none'}. set_acl grants one on {path}."
    )
    return Explanation(who=who, privilege=privilege, path=path, granted=granted, because=because, advice=advice)


def _require_privilege(privilege: str, known: list[str]) -> None:
    """Refuse a privilege that no role has, for the role Administrator has all that there are."""
    if privilege not in known:
        near = difflib.get_close_matches(privilege, known, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
        raise InvalidArgument(f"PVE has no privilege {privilege}.", hint)


async def _known(call: Call, user: str, token: str) -> tuple[list[str], bool]:
    """The groups of a user, and whether the token has rights of its own."""
    for record in await call.pve.get("/access/users", full=True):
        if record["userid"] == user:
            found = next((entry for entry in record.get("tokens") or () if entry["tokenid"] == token), None)
            if token and found is None:
                raise InvalidArgument(f"{user} has no token {token}.", "Call list_users for the tokens of each.")
            return _words(record.get("groups")), bool(int((found or {}).get("privsep", 1)))
    raise InvalidArgument(
        f"There is no user {user} that the configured user may see.", "Call list_users for those there are."
    )


def _effective(
    entries: list[dict[str, Any]], roles: dict[str, set[str]], party: str, groups: list[str], path: str, privilege: str
) -> tuple[bool, list[str]]:
    """Whether somebody holds a privilege on a path: the nearest entries count, and one's own before those of groups."""
    for place in _upwards(path):
        here = [
            entry for entry in entries if entry["path"] == place and (place == path or int(entry.get("propagate", 1)))
        ]
        own = [entry for entry in here if entry["ugid"] == party and entry["type"] in {"user", "token"}]
        of_groups = [entry for entry in here if entry["type"] == "group" and entry["ugid"] in groups]
        if chosen := own or of_groups:
            names = ", ".join(f"{entry['roleid']} of {entry['ugid']}" for entry in chosen)
            denied = any(entry["roleid"] == "NoAccess" for entry in chosen)
            holds = not denied and any(privilege in roles.get(entry["roleid"], ()) for entry in chosen)
            verdict = "gives it" if holds else "does not hold it, and hides what stands further up"
            return holds, [f"{party}: on {place}, {names} {verdict}"]
    return False, [f"{party}: no entry on {path} or above it"]


def _upwards(path: str) -> Iterator[str]:
    """A path and those above it, up to /."""
    parts = [part for part in path.split("/") if part]
    for count in range(len(parts), -1, -1):
        yield "/" + "/".join(parts[:count])


@access.tool(risk=Risk.CHANGE, title="Make a user")
async def create_user(
    call: Call,
    userid: UserId,
    password: Password | None = None,
    groups: Annotated[list[str], Field(max_length=50)] | None = None,
    email: Annotated[str, Field(max_length=254)] | None = None,
    comment: Annotated[str, Field(max_length=2048)] | None = None,
    expire: Expire | None = None,
) -> Saved:
    """Make a user, who may do nothing until set_acl gives a role. password is for the realm pve alone."""
    params: dict[str, Any] = {"userid": userid, "password": password, "groups": ",".join(groups) if groups else None}
    params |= {"email": email, "comment": comment, "expire": expire}
    return await create(call, f"user {userid}", "/access/users", f"/access/users/{userid}", params)


@access.tool(risk=Risk.CHANGE, title="Change a user", idempotent=True)
async def update_user(
    call: Call,
    userid: UserId,
    enable: bool | None = None,
    groups: Annotated[list[str], Field(max_length=50, description="In place of those there are")] | None = None,
    email: Annotated[str, Field(max_length=254)] | None = None,
    comment: Annotated[str, Field(max_length=2048)] | None = None,
    expire: Expire | None = None,
) -> Saved:
    """Change a user, or switch one off and on."""
    params: dict[str, Any] = {"enable": enable, "groups": ",".join(groups) if groups is not None else None}
    params |= {"email": email, "comment": comment, "expire": expire}
    if all(value is None for value in params.values()):
        raise InvalidArgument("There is nothing to change.", "Give what is to be another.")
    return await update(call, f"user {userid}", f"/access/users/{userid}", params)


async def _preview_user(call: Call, userid: str) -> Preview:
    lost = "its tokens and its rights are gone with it."
    made = await preview_removal(call, f"user {userid}", f"/access/users/{userid}", lost)
    records = await call.pve.get("/access/acl")
    own = [record for record in records if str(record["ugid"]).partition("!")[0] == userid]
    rights = sorted(f"Right: {record['roleid']} on {record['path']} for {record['ugid']}" for record in own)
    return made.model_copy(update={"facts": [*made.facts, *rights]})


@access.tool(risk=Risk.DESTROY, title="Delete a user", preview=_preview_user)
async def delete_user(call: Call, userid: UserId) -> Saved:
    """Delete a user with its tokens and rights."""
    return await remove(call, f"user {userid}", f"/access/users/{userid}")


@access.tool(risk=Risk.CHANGE, title="Make an API token")
async def create_token(
    call: Call,
    userid: UserId,
    name: TokenName,
    privsep: Annotated[bool, Field(description="Rights of its own, never more than the user's")] = True,
    expire: Expire | None = None,
    comment: Annotated[str, Field(max_length=2048)] | None = None,
) -> NewToken:
    """Make an API token. Its secret is not shown to you: the user makes a new one in the web interface."""
    params: dict[str, Any] = {"privsep": privsep, "expire": expire, "comment": comment}
    made = await call.pve.post(f"/access/users/{userid}/token/{name}", **params)
    note = (
        "PVE tells the secret once, and an assistant must not hold it. To have one, a human runs "
        f"`pveum user token modify {userid} {name} --regenerate 1`, or regenerates it in the web interface."
    )
    return NewToken(full_tokenid=made["full-tokenid"], privsep=privsep, note=note)


async def _preview_token(call: Call, userid: str, name: str) -> Preview:
    item = f"/access/users/{userid}/token/{name}"
    return await preview_removal(call, f"token {userid}!{name}", item, "whatever uses it is locked out.")


@access.tool(risk=Risk.DESTROY, title="Delete an API token", preview=_preview_token)
async def delete_token(call: Call, userid: UserId, name: TokenName) -> Saved:
    """Delete an API token; whatever logs in with it is locked out at once."""
    return await remove(call, f"token {userid}!{name}", f"/access/users/{userid}/token/{name}")


@access.tool(risk=Risk.CHANGE, title="Grant or revoke a role", destructive=True, idempotent=True)
async def set_acl(
    call: Call,
    path: AclPath,
    role: RoleId,
    who: Annotated[str, Field(max_length=140, description="alice@pve, alice@pve!token, or a group as @operators")],
    revoke: bool = False,
    propagate: Annotated[bool, Field(description="Below the path, too")] = True,
) -> Saved:
    """Grant a role on a path to a user, token or group, or revoke it. explain_permission tells what comes of it."""
    kind, name = _party(who)
    before = _entry(await call.pve.get("/access/acl"), path, role, name)
    if revoke and not before:
        raise InvalidArgument(f"{name} has no role {role} on {path}.", "Call list_acl for the entries there are.")
    params: dict[str, Any] = {"path": path, "roles": role, kind: name, "propagate": propagate, "delete": revoke or None}
    await call.pve.put("/access/acl", **params)
    after = _entry(await call.pve.get("/access/acl"), path, role, name)
    done: Done = "deleted" if revoke else "updated" if before else "created"
    return saved(f"role {role} of {name} on {path}", done, before, after)


def _party(who: str) -> tuple[str, str]:
    if who.startswith("@"):
        return "groups", who[1:]
    return ("tokens" if "!" in who else "users"), who


def _entry(entries: list[dict[str, Any]], path: str, role: str, name: str) -> dict[str, Any]:
    wanted = (path, role, name)
    return next((entry for entry in entries if (entry["path"], entry["roleid"], entry["ugid"]) == wanted), {})


def _user(record: dict[str, Any]) -> User:
    return User(
        userid=record["userid"],
        enable=bool(int(record.get("enable", 1))),
        expire=record.get("expire") or None,
        email=record.get("email"),
        comment=record.get("comment"),
        groups=_words(record.get("groups")) or None,
        tokens=[entry["tokenid"] for entry in record.get("tokens") or ()] or None,
    )


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return [word for word in str(value or "").split(",") if word]
