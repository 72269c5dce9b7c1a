"""Second factors: one-time passwords and recovery keys that users log in with after their password.

PVE keeps them in `tfa.cfg`; a user that has some shows `x` as its keys. Security keys and Yubico's service cannot be
asked in a simulated world: adding one is refused, in PVE's words where its configuration is missing.
Source: `/access/tfa`, `/access/ticket`; the answers' shapes and the protocol of logging in as published.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pvesim.access.records import Group, Realm, User
from pvesim.access.rules import Identity, has_privileges
from pvesim.access.totp import Totp, read_uri
from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.core.world import World

ENABLED = "x"  # what the keys of a user with second factors say
RECOVERY = "recovery"
_RECOVERY_KEYS = 10
_MOST_WRONG_CODES, _MOST_WRONG_ANSWERS, _LOCK = 8, 100, 3600.0  # the lock in seconds
_ORDER = ("totp", "recovery")
_SEEING = ("User.Modify", "Sys.Audit")


@dataclass(frozen=True, slots=True)
class Factor:
    """One second factor. `keys` are the hashes of recovery keys, empty where one was used; `step` the last code's."""

    userid: str
    id: str
    type: str  # "totp" | "recovery"
    description: str
    created: int
    enabled: bool = True
    totp: Totp | None = None
    step: int = -1
    keys: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return (self.userid, self.id)

    @property
    def remaining(self) -> list[int]:
        """The numbers of the recovery keys that are left."""
        return [number for number, digest in enumerate(self.keys) if digest]


@dataclass(frozen=True, slots=True)
class WrongAnswers:
    """How often a user answered wrongly in a row: one-time codes, and anything. `until` is when a lock on all ends."""

    userid: str
    codes: int = 0
    all: int = 0
    until: float = 0.0

    @property
    def key(self) -> str:
        return self.userid

    @property
    def codes_locked(self) -> bool:
        return self.codes >= _MOST_WRONG_CODES


# -- reading -----------------------------------------------------------------------------------------------------------


def factors_of(world: World, userid: str) -> list[Factor]:
    """The second factors of a user, as lists show them."""
    found = [factor for factor in world.rows(Factor).values() if factor.userid == userid]
    return sorted(found, key=lambda factor: _ORDER.index(factor.type))


def show(factor: Factor) -> dict[str, Any]:
    """One entry; that it is enabled goes without saying."""
    entry: dict[str, Any] = {"id": factor.id, "type": factor.type, "description": factor.description}
    return {**entry, "created": factor.created, **({} if factor.enabled else {"enable": 0})}


def find_factor(world: World, userid: str, id: str) -> Factor:
    """One entry. Raises an `ApiError` of status 404."""
    factor = world.get(Factor, (userid, id))
    if factor is None:
        raise ApiError(f"No such tfa entry '{id}'", status=404)
    return factor


def list_all(world: World, identity: Identity) -> list[dict[str, Any]]:
    """`GET /access/tfa`: the users with second factors that who asks may see."""
    sees_all = has_privileges(world, identity, "/access/groups", _SEEING, any_of=True)
    shown = set() if sees_all else {identity.userid, *_members_seen(world, identity)}
    owners = sorted({factor.userid for factor in world.rows(Factor).values()})
    return [
        {"userid": userid, "entries": [show(factor) for factor in factors_of(world, userid)], **_locks(world, userid)}
        for userid in owners
        if sees_all or userid in shown
    ]


def _locks(world: World, userid: str) -> dict[str, int]:
    wrong = wrong_answers(world, userid)
    locks = {"totp-locked": 1} if wrong.codes_locked else {}
    return {**locks, "tfa-locked-until": int(wrong.until)} if wrong.until > world.now else locks


def wrong_answers(world: World, userid: str) -> WrongAnswers:
    """What a user has answered wrongly since the last right answer."""
    return world.get(WrongAnswers, userid) or WrongAnswers(userid)


def unlock(world: World, userid: str) -> bool:
    """`PUT /access/users/{userid}/unlock-tfa`: whether there was something to unlock."""
    locked = bool(_locks(world, userid))
    world.remove(WrongAnswers, userid)
    return locked


def _members_seen(world: World, identity: Identity) -> set[str]:
    groups = world.rows(Group).values()
    seen = [group for group in groups if has_privileges(world, identity, f"/access/groups/{group.groupid}", _SEEING,
                                                         any_of=True)]  # fmt: skip
    return {userid for group in seen for userid in group.members}


def types_of(world: World, userid: str, multiple: bool) -> dict[str, Any]:
    """`GET /access/users/{userid}/tfa`: what a login form has to ask for."""
    types = list(dict.fromkeys(factor.type for factor in factors_of(world, userid) if factor.enabled))
    if multiple:
        return {"types": types}
    return {"user": "oath"} if "totp" in types else {}


# -- changing ----------------------------------------------------------------------------------------------------------


def check_right(world: World, identity: Identity, userid: str, password: str | None, matches: Any) -> None:
    """Only root changes root's; all others confirm with their password. Raises `ApiError`.

    `matches(world, userid, password)` tells whether a password is a user's.
    """
    if world.get(User, userid) is None:
        raise Failure(f"no such user ('{userid}')")
    if identity.is_root:
        return
    if userid == "root@pam":
        raise Forbidden("Permission check failed")
    if password is None:
        raise ParameterErrors({"password": "password is required to modify TFA data"})
    if not matches(world, identity.userid, password):
        raise Failure("invalid credentials")


def add(world: World, userid: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """`POST /access/tfa/{userid}`: the new entry's id, and recovery keys in the only moment they are shown.

    Raises `Failure`.
    """
    adding = {"totp": _add_totp, RECOVERY: _add_recovery}.get(params["type"])
    if adding is None:
        raise _refusal(world, userid, params)
    answer = adding(world, userid, params)
    world.put(replace(world.rows(User)[userid], keys=ENABLED))
    return answer


def _refusal(world: World, userid: str, params: Mapping[str, Any]) -> Failure:
    """Why a factor that needs something outside cannot be added."""
    type, realm = params["type"], userid.rpartition("@")[2]
    if type == "yubico":
        found = world.get(Realm, realm)
        settings = str(found.options.get("tfa", "")) if found else ""
        if not settings:
            return Failure(f"no yubico otp configuration available for realm {realm}")
        if "yubico" not in settings:
            return Failure("realm is not setup for Yubico OTP")
        return Failure("Invalid response from server: 500 Can't connect to api.yubico.com:443 (No route to host)")
    if params.get("totp") is not None:
        return Failure(f"'totp' parameter is invalid for '{type}' entries")
    return Failure(f"no {type} configuration available")


def _add_totp(world: World, userid: str, params: Mapping[str, Any]) -> dict[str, Any]:
    if params.get("challenge") is not None:
        raise Failure("'challenge' parameter is invalid for 'totp' entries")
    if params.get("description") is None:
        raise Failure("'description' is required for new entries")
    if params.get("totp") is None or params.get("value") is None:
        raise Failure("'totp' type requires both 'totp' and 'value' parameters")
    totp = read_uri(params["totp"])
    step = totp.matching_step(params["value"], world.now)
    if step is None:
        raise Failure("failed to verify TOTP challenge")
    factor = Factor(userid, world.uuid(), "totp", params["description"], int(world.now), totp=totp, step=step)
    world.put(factor)
    return {"id": factor.id}


def _add_recovery(world: World, userid: str, params: Mapping[str, Any]) -> dict[str, Any]:
    if any(params.get(name) is not None for name in ("totp", "value", "challenge")):
        raise Failure("generating recovery tokens does not allow additional parameters")
    if world.get(Factor, (userid, RECOVERY)) is not None:
        raise Failure("user already has recovery keys")
    keys = [_recovery_key(world) for _ in range(_RECOVERY_KEYS)]
    hashes = tuple(_digest(key) for key in keys)
    world.put(Factor(userid, RECOVERY, RECOVERY, "", int(world.now), keys=hashes))
    return {"id": RECOVERY, "recovery": keys}


def _recovery_key(world: World) -> str:
    text = world.random_bytes(8, "recovery key").hex()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def update(world: World, userid: str, id: str, description: str | None, enable: bool | None) -> None:
    """`PUT`. Raises `Failure`."""
    factor = _existing(world, userid, id)
    if description is not None:
        factor = replace(factor, description=description)
    if enable is not None:
        factor = replace(factor, enabled=enable)
    world.put(factor)


def delete(world: World, userid: str, id: str) -> None:
    """`DELETE`. Raises `Failure`."""
    world.remove(Factor, _existing(world, userid, id).key)
    user = world.get(User, userid)
    if user is not None and not factors_of(world, userid):
        world.put(replace(user, keys=""))


def _existing(world: World, userid: str, id: str) -> Factor:
    factor = world.get(Factor, (userid, id))
    if factor is None:
        raise Failure("no such entry")
    return factor


def forget(world: World, userid: str) -> None:
    """Remove all of a user that is removed."""
    world.remove(WrongAnswers, userid)
    for factor in factors_of(world, userid):
        world.remove(Factor, factor.key)


# -- logging in --------------------------------------------------------------------------------------------------------


def challenge(world: World, userid: str) -> str | None:
    """What a user has to answer beside the password, as JSON; None where the password is enough."""
    factors = [factor for factor in factors_of(world, userid) if factor.enabled]
    wanted: dict[str, Any] = {}
    if any(factor.type == "totp" for factor in factors) and not wrong_answers(world, userid).codes_locked:
        wanted["totp"] = True
    left = [number for factor in factors for number in factor.remaining]
    if left:
        wanted[RECOVERY] = left
    return json.dumps(wanted, separators=(",", ":")) if factors else None


def answered(world: World, userid: str, response: str) -> WrongAnswers | None:
    """None if `totp:CODE` or `recovery:KEY` is right, else what the user has now answered wrongly.

    Each code and key is good once. Too many wrong codes in a row lock codes until a recovery key is used, too many
    wrong answers lock all for an hour.
    """
    type, _, value = response.partition(":")
    wrong = wrong_answers(world, userid)
    if wrong.until > world.now:
        return wrong
    if not (type == "totp" and wrong.codes_locked):
        for factor in factors_of(world, userid):
            used = _used(world, factor, value) if factor.type == type and factor.enabled else None
            if used is not None:
                world.put(used)
                world.remove(WrongAnswers, userid)
                return None
    times = wrong.all + 1
    until = world.now + _LOCK if times >= _MOST_WRONG_ANSWERS else 0.0
    return WrongAnswers(userid, wrong.codes + (type == "totp"), 0 if until else times, until)


def _used(world: World, factor: Factor, value: str) -> Factor | None:
    """The factor after its use, or None if the value is not good."""
    if factor.totp is not None:
        step = factor.totp.matching_step(value, world.now)
        return None if step is None or step <= factor.step else replace(factor, step=step)
    digest = _digest(value)
    if digest not in factor.keys:
        return None
    return replace(factor, keys=tuple("" if each == digest else each for each in factor.keys))
