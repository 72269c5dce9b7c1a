"""What all changes of users, groups, roles, tokens and access lists share: PVE keeps them in one file, `user.cfg`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pvesim.access.records import AclEntry, Group, Token, User
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import Counter, World

_WRITES = "user.cfg"


@contextmanager
def changing(world: World, refusal: str) -> Iterator[None]:
    """A change of the file. What goes wrong inside is a `Failure` that begins with `refusal`.

    A parameter error loses its status that way: PVE puts its text behind the prefix and answers 500.
    """
    try:
        yield
    except ParameterErrors as error:
        lines = "".join(f"\n{name}: {text}" for name, text in (error.errors or {}).items())
        raise Failure(f"{refusal}: 400 {error.message}{lines}") from error
    except Failure as error:
        raise Failure(f"{refusal}: {error.message}") from error
    world.count(_WRITES)


def is_written(world: World) -> bool:
    """Whether the file exists. A fresh node has none, and then `root@pam` has no `expire` to show."""
    if world.get(Counter, _WRITES) is not None or len(world.rows(User)) > 1:
        return True
    return any(world.rows(kind) for kind in (Group, Token, AclEntry))
