"""Tickets, CSRF tokens, API tokens and passwords: how a request shows who it comes from.

Formats as a genuine node uses them (recorded exchanges `auth/*`, `access/*`): a ticket is
`PVE:root@pam:HEXTIME::SIGNATURE`, good for two hours of virtual time; a CSRF token is `HEXTIME:SIGNATURE`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

from pvesim.access.records import AclEntry, Realm, Token, User
from pvesim.access.rules import Identity, effective, has_privileges
from pvesim.access.second_factors import answered, challenge
from pvesim.cluster.rules import the_cluster
from pvesim.core.errors import Unauthorized
from pvesim.core.world import World

TICKET_LIFE = 7200.0  # seconds; a ticket from up to five minutes in the future is taken too
CLOCK_SKEW = 300.0
REFUSAL_DELAY = 3.0  # a genuine node takes its time to refuse

COOKIE = "PVEAuthCookie"
TOKEN_PREFIX = "PVEAPIToken="

# Which privileges the web interface asks for in which part, by their beginning (recorded exchange auth/004).
_PARTS: dict[str, tuple[str, ...]] = {
    "access": ("User.", "Group.", "Permissions.Modify"),
    "dc": ("Sys.Audit", "Sys.Modify", "SDN."),
    "mapping": ("Mapping.", "Permissions.Modify"),
    "nodes": ("Sys.", "Permissions.Modify"),
    "sdn": ("SDN.", "Permissions.Modify"),
    "storage": ("Datastore.", "Permissions.Modify"),
    "vms": ("VM.", "Permissions.Modify"),
}
_OF_POOLS = ("storage", "vms")  # the parts that privileges on a pool count for
_REQUIRED_PATHS = ("/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping")


def authentication_failure() -> Unauthorized:
    """What a failed login gets, whatever the reason."""
    return Unauthorized("authentication failure", body=True, delay=REFUSAL_DELAY)


def _refused() -> Unauthorized:
    return Unauthorized("Authentication failed!", delay=REFUSAL_DELAY)


def sign(world: World, purpose: str, text: str) -> str:
    """A signature that only this world makes."""
    key = hashlib.blake2b(f"{world.seed}:{purpose}".encode(), digest_size=32).digest()
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode().rstrip("=")


def make_ticket(world: World, userid: str) -> str:
    """A ticket for a user, signed, with the virtual time in it."""
    text = f"PVE:{userid}:{int(world.now):08X}"
    return f"{text}::{sign(world, 'ticket', text)}"


def make_csrf_token(world: World, userid: str) -> str:
    """The token that a write needs beside its ticket."""
    stamp = f"{int(world.now):08X}"
    return f"{stamp}:{sign(world, 'csrf', f'{stamp}:{userid}')}"


def _fresh(world: World, stamp: str) -> bool:
    try:
        age = world.now - int(stamp, 16)
    except ValueError:
        return False
    return -CLOCK_SKEW < age < TICKET_LIFE


def verify_ticket(world: World, ticket: str) -> str:
    """The user id in a good ticket. Raises `Unauthorized` for any other."""
    text, separator, signature = ticket.rpartition("::")
    parts = text.split(":")
    good = (
        separator
        and len(parts) == 3
        and parts[0] == "PVE"
        and hmac.compare_digest(signature, sign(world, "ticket", text))
        and _fresh(world, parts[2])
    )
    if not good or not is_enabled(world, parts[1]):
        raise _refused()
    return parts[1]


def verify_csrf_token(world: World, userid: str, token: str | None) -> None:
    """Raise `Unauthorized` unless the token is the user's and fresh."""
    stamp, _, signature = (token or "").partition(":")
    if not _fresh(world, stamp) or not hmac.compare_digest(signature, sign(world, "csrf", f"{stamp}:{userid}")):
        raise Unauthorized("Permission denied - invalid csrf token", delay=REFUSAL_DELAY)


def verify_api_token(world: World, text: str) -> Identity:
    """The identity behind `USER!NAME=SECRET`. Raises `Unauthorized` unless token and user are known and not expired."""
    name, _, secret = text.partition("=")
    token = world.get(Token, name)
    if token is None or not hmac.compare_digest(token.secret.encode(), secret.encode()):
        raise _refused()
    if 0 < token.expire <= world.now or not is_enabled(world, token.userid):
        raise _refused()
    return Identity(token.userid, token.tokenid)


def is_enabled(world: World, userid: str) -> bool:
    """Whether a user exists, is enabled and has not expired."""
    user = world.get(User, userid)
    return user is not None and user.enable and not 0 < user.expire <= world.now


def identify(world: World, headers: Any, verb: str) -> Identity | None:
    """Who a request comes from, by its `Authorization` or `Cookie` header; None when it brings neither.

    Raises `Unauthorized` for credentials that are not good, and for a write by ticket without its CSRF token.
    """
    authorization = headers.get("authorization", "")
    if authorization.startswith(TOKEN_PREFIX):
        return verify_api_token(world, authorization[len(TOKEN_PREFIX) :])
    ticket = _cookie(headers.get("cookie", ""))
    if ticket is None:
        return None
    userid = verify_ticket(world, ticket)
    if verb != "GET":
        verify_csrf_token(world, userid, headers.get("csrfpreventiontoken"))
    return Identity(userid)


def _cookie(header: str) -> str | None:
    for part in header.split(";"):
        name, separator, value = part.strip().partition("=")
        if separator and name == COOKIE:
            return unquote(value)
    return None


# -- passwords -----------------------------------------------------------------------------------------------------


def hash_password(world: World, password: str) -> str:
    """A salted hash, `SALT$HEX`. Fast on purpose: a simulated world guards no secret."""
    salt = world.random_bytes(8, "salt").hex()
    return f"{salt}${hashlib.sha256(f'{salt}{password}'.encode()).hexdigest()}"


def set_password(world: World, userid: str, password: str) -> None:
    """Give a user that exists a new password."""
    world.put(replace(world.rows(User)[userid], password=hash_password(world, password)))


def password_matches(world: World, userid: str, password: str) -> bool:
    """Whether this is the user's password; False for a user that is not there or has none."""
    user = world.get(User, userid)
    if user is None or user.password is None:
        return False
    salt, _, digest = user.password.partition("$")
    return hmac.compare_digest(digest, hashlib.sha256(f"{salt}{password}".encode()).hexdigest())


def log_in(
    world: World,
    username: str,
    password: str,
    realm: str | None = None,
    needed: tuple[str, Sequence[str]] | None = None,
    *,
    code: str | None = None,
    asked: str | None = None,
) -> dict[str, Any]:
    """The answer of `POST /access/ticket`. A still good ticket serves as the password. Raises `Unauthorized`.

    With `needed`, a path and privileges on it, no ticket is made: the answer says that the user holds them. A user with
    second factors gets a ticket that is good for one thing: to be sent back as `asked`, with the answer to it as the
    password; a one-time `code` given at once does too.
    """
    userid = f"{username}@{realm}" if realm else username
    name, _, realm = userid.rpartition("@")
    if not name or world.get(Realm, realm) is None or not is_enabled(world, userid):
        raise authentication_failure()
    identity = Identity(userid)
    open_question = _prove(world, userid, password, code, asked)
    answer: dict[str, Any] = {"username": userid}
    if open_question is None or needed is not None:
        answer["cap"] = capabilities(world, identity)
    else:
        answer["NeedTFA"] = 1
    if needed is None:
        answer["ticket"] = open_question or make_ticket(world, userid)
        answer["CSRFPreventionToken"] = make_csrf_token(world, userid)
    elif not has_privileges(world, identity, *needed):
        raise authentication_failure()
    name = the_cluster(world).name
    return {**answer, "clustername": name} if name and has_privileges(world, identity, "/", ("Sys.Audit",)) else answer


def _prove(world: World, userid: str, password: str, code: str | None, asked: str | None) -> str | None:
    """Check who logs in; the ticket of a challenge where a second factor is still due. Raises `Unauthorized`."""
    if asked is not None:
        if not _is_challenge(world, userid, asked):
            raise authentication_failure()
        _check_answer(world, userid, password)
        return None
    if _renewed(world, userid, password):
        return None
    if not password_matches(world, userid, password):
        raise authentication_failure()
    question = challenge(world, userid)
    if question is None:
        return None
    if code is not None:
        _check_answer(world, userid, f"totp:{code}")
        return None
    text = f"PVE:!tfa!{quote(question, safe='')}:{int(world.now):08X}"
    return f"{text}::{sign(world, 'challenge', f'{text}:{userid}')}"


def _check_answer(world: World, userid: str, response: str) -> None:
    """Raise `Unauthorized` for a wrong answer, which is counted."""
    wrong = answered(world, userid, response)
    if wrong is not None:
        error = authentication_failure()
        error.kept = wrong
        raise error


def _is_challenge(world: World, userid: str, ticket: str) -> bool:
    text, _, signature = ticket.rpartition("::")
    good = hmac.compare_digest(signature.encode(), sign(world, "challenge", f"{text}:{userid}").encode())
    return good and _fresh(world, text.rpartition(":")[2])


def _renewed(world: World, userid: str, password: str) -> bool:
    try:
        return password.startswith("PVE:") and verify_ticket(world, password) == userid
    except Unauthorized:
        return False


def capabilities(world: World, identity: Identity) -> dict[str, dict[str, int]]:
    """What the web interface may show: privileges held anywhere, by part of the interface."""
    parts: dict[str, dict[str, int]] = {name: {} for name in _PARTS}
    paths = (*_REQUIRED_PATHS, *(entry.path for entry in world.rows(AclEntry).values()))
    for path in dict.fromkeys(paths):
        held = effective(world, identity, path)
        top = path.split("/")[1] or "dc"
        for part in _OF_POOLS if top == "pool" else (top,):
            for name in held:
                if name.startswith(_PARTS.get(part, ())):
                    parts[part][name] = 1
    return parts
