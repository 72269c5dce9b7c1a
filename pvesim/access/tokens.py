"""API tokens of users. Sources: recorded exchanges `access/047` to `access/059`, `access/098` to `access/100`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pvesim.access.acl import forget_subject
from pvesim.access.records import Token, User
from pvesim.access.userfile import changing
from pvesim.contract import split_list
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World

_SETTINGS = ("privsep", "expire", "comment")
_UNSET: Mapping[str, Any] = {"privsep": True, "expire": 0, "comment": ""}  # what a deleted setting falls back to


def tokens_of(world: World, userid: str) -> list[Token]:
    """The tokens of a user, by name."""
    own = [token for token in world.rows(Token).values() if token.userid == userid]
    return sorted(own, key=lambda token: token.tokenid)


def shown_token(token: Token) -> dict[str, Any]:
    """A token as lists show it, without its name and secret."""
    shown: dict[str, Any] = {"privsep": int(token.privsep), "expire": token.expire}
    return {**shown, "comment": token.comment} if token.comment else shown


def list_tokens(world: World, userid: str) -> list[dict[str, Any]]:
    """A user's tokens with their names. Raises `Failure` for an unknown user."""
    _existing_user(world, userid)
    return [{"tokenid": token.tokenid, **shown_token(token)} for token in tokens_of(world, userid)]


def existing_token(world: World, userid: str, tokenid: str) -> Token:
    """The token. Raises `Failure` for an unknown user or token."""
    _existing_user(world, userid)
    token = world.get(Token, f"{userid}!{tokenid}")
    if token is None:
        raise Failure(f"no such token '{tokenid}' for user '{userid}'")
    return token


def create_token(world: World, userid: str, tokenid: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Add a token. The answer is the only one that ever shows the secret; `info` repeats what was given."""
    _existing_user(world, userid)
    full = f"{userid}!{tokenid}"
    if world.get(Token, full) is not None:
        raise ParameterErrors({"tokenid": "Token already exists."})
    with changing(world, "generating token failed"):
        token = _changed(Token(userid, tokenid, world.uuid()), given)
        world.put(token)
    return {"full-tokenid": full, "value": token.secret, "info": {"privsep": 1, **_echo(given)}}


def update_token(
    world: World, userid: str, tokenid: str, given: Mapping[str, Any], delete: str | None, regenerate: bool
) -> dict[str, Any]:
    """Change a token and show it. A new secret kills the old one at once and is shown this once."""
    token = existing_token(world, userid, tokenid)
    with changing(world, "updating token info failed"):
        reset = {name: _UNSET[name] for name in split_list(delete or "") if name in _UNSET}
        token = _changed(replace(token, **reset), given)
        if regenerate:
            token = replace(token, secret=world.uuid())
        world.put(token)
    shown = {**shown_token(token), **_echo(given)}
    return {**shown, "full-tokenid": token.key, "value": token.secret} if regenerate else shown


def delete_token(world: World, userid: str, tokenid: str) -> None:
    """Remove a token and its ACL entries."""
    token = existing_token(world, userid, tokenid)
    with changing(world, "deleting token failed"):
        forget_subject(world, "token", token.key)
        world.remove(Token, token.key)


def _existing_user(world: World, userid: str) -> None:
    if world.get(User, userid) is None:
        raise Failure(f"no such user ('{userid}')")


def _changed(token: Token, given: Mapping[str, Any]) -> Token:
    return replace(token, **{name: given[name] for name in _SETTINGS if given.get(name) is not None})


def _echo(given: Mapping[str, Any]) -> dict[str, str]:
    """What was given, as the text that PVE reads it as."""
    echoed = {name: given[name] for name in _SETTINGS if given.get(name) is not None}
    texts = {name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in echoed.items()}
    return {name: text for name, text in texts.items() if text}
