"""Lists of typed sections, the kind of file in which PVE keeps storages, HA resources and rules, jobs, realms, SDN, ….

An area declares once what its file is made of and gets reading, creating, updating and deleting with PVE's checks:

    STORAGES = SectionFile(Storage, TYPES, write=…, read=…)

    STORAGES.create(world, "dir", "d1", {"path": "/srv"})
    STORAGES.update(world, record, {"content": "iso"}, delete=["disable"], digest=None)

`write` takes a record apart into type, id and options; `read` builds it from them (with the record before, for state
that is no option). The options are what the file holds, values typed as the API shows them. Texts are those of the
recorded exchanges `storage/*` and `cluster/*`; an area adds its own prefix where PVE has one (`under`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pvesim.core.errors import ApiError, Failure
from pvesim.core.world import Record, World

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound="Section")

MODIFIED = "detected modified configuration - file changed by other user? Try again."


@dataclass(frozen=True, slots=True)
class SectionType:
    """Which options a section of this type takes. A `fixed` one is given at creation and never changed."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *, required: str = "", optional: str = "", fixed: str = "") -> SectionType:
        """From lists of names between blanks. A fixed option is optional unless it is required too."""
        must, always = frozenset(required.split()), frozenset(fixed.split())
        return cls(must, (frozenset(optional.split()) | always) - must, always)

    @property
    def options(self) -> frozenset[str]:
        """All options of the type."""
        return self.required | self.optional

    def check_new(self, options: Mapping[str, Any]) -> None:
        """Raise `Failure` for an option that the type does not have, or for a required one that is missing."""
        self._check_known(options)
        for name in sorted(self.required):
            if name not in options:
                raise Failure(f"missing value for required option '{name}'")

    def changed(self, before: Mapping[str, Any], given: Mapping[str, Any], delete: Sequence[str]) -> dict[str, Any]:
        """The options after an update. Raises `Failure` for what may not be set, changed or deleted."""
        self._check_known(given)
        for name, value in given.items():
            if name in self.fixed and before.get(name) != value:
                raise Failure(f"can't change value of fixed parameter '{name}'")
        for name in delete:
            if name not in self.options:
                raise Failure(f"no such option '{name}'")
            if name in self.required:
                raise Failure(f"unable to delete required option '{name}'")
            if name in self.fixed:
                raise Failure(f"unable to delete fixed option '{name}'")
            if name in given:
                raise Failure(f"cannot set and delete property '{name}' at the same time!")
        return {**{name: value for name, value in before.items() if name not in delete}, **given}

    def _check_known(self, options: Mapping[str, Any]) -> None:
        for name in options:
            if name not in self.options:
                raise Failure(f"unexpected property '{name}'")


Parts = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Section:
    """A section that has nothing beside its options. Each file derives a class, and so has a table, of its own."""

    id: str
    type: str
    options: Mapping[str, Any]

    @property
    def key(self) -> str:
        return self.id


class SectionFile(Generic[R]):
    """One such file: the records of a class, and the types that its sections may have."""

    def __init__(
        self,
        record: type[R],
        types: Mapping[str, SectionType],
        *,
        write: Callable[[R], Parts],
        read: Callable[[str, str, Mapping[str, Any], R | None], R],
    ) -> None:
        self.record = record
        self.types = types
        self._write = write
        self._read = read

    # -- reading ---------------------------------------------------------------------------------------------------

    def options(self, record: R) -> Mapping[str, Any]:
        """The options of a section as the file holds them."""
        return self._write(record)[2]

    def text(self, world: World) -> str:
        """The file as PVE would write it; the digest is taken of it."""
        return "\n".join(_render(*self._write(record)) for record in world.rows(self.record).values())

    def digest(self, world: World) -> str:
        """The SHA-1 of the file, 40 hexadecimal digits."""
        return world.cached(("section digest", self.record), (self.record,), lambda: digest_of(self.text(world)))

    def check_digest(self, world: World, digest: str | None) -> None:
        """Raise `Failure` if a client's digest shows that it has read an older state of the file."""
        check_digest(self.digest(world), digest)

    # -- writing ---------------------------------------------------------------------------------------------------

    def create(self, world: World, type: str, id: str, options: Mapping[str, Any]) -> R:
        """Add a section and return its record. Raises `Failure`; that the id is free is the area's to check."""
        self.types[type].check_new(options)
        record = self._read(type, id, options, None)
        world.put(record)
        return record

    def update(self, world: World, record: R, given: Mapping[str, Any], delete: Sequence[str] = ()) -> R:
        """Change a section and return its new record. Raises `Failure`; see `check_digest` for the digest."""
        type, id, before = self._write(record)
        changed = self._read(type, id, self.types[type].changed(before, given, delete), record)
        world.put(changed)
        return changed

    def delete(self, world: World, record: R) -> None:
        """Remove a section."""
        world.remove(self.record, record.key)


def plain_file(record: type[S], types: Mapping[str, SectionType]) -> SectionFile[S]:
    """The file of a class derived from `Section`."""
    return SectionFile(
        record,
        types,
        write=lambda section: (section.type, section.id, section.options),
        read=lambda kind, name, options, _before: record(name, kind, as_stored(options)),
    )


def _render(type: str, id: str, options: Mapping[str, Any]) -> str:
    lines = [f"{type}: {id}", *(f"\t{name} {_text(value)}" for name, value in options.items() if value is not None)]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def digest_of(text: str) -> str:
    """The SHA-1 of a configuration text, as PVE's `digest` fields hold it."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def check_digest(current: str, given: str | None) -> None:
    """Raise `Failure` if `given` is another digest than `current`; none given is right."""
    if given and given != current:
        raise Failure(MODIFIED)


@contextmanager
def under(prefix: str) -> Iterator[None]:
    """Put `prefix: ` before the text of a `Failure` raised inside, such as `create storage failed`."""
    try:
        yield
    except Failure as error:
        raise Failure(f"{prefix}: {error.message}") from error


@contextmanager
def nested(prefix: str = "") -> Iterator[None]:
    """Make every error raised inside a `Failure` whose text holds status and fields, as PVE does where it rewrites
    errors as text: `create sdn vnet object failed: 400 Parameter verification failed.`, then a line for each field.
    """
    try:
        yield
    except ApiError as error:
        text = error.message if isinstance(error, Failure) else f"{error.status} {error.message}"
        lines = [text, *(f"{name}: {reason}" for name, reason in (error.errors or {}).items())]
        raise Failure((f"{prefix}: " if prefix else "") + "\n".join(lines)) from error


def as_stored(params: Mapping[str, Any]) -> dict[str, Any]:
    """Verified parameters as files hold them and answers show them: 1 and 0 for true and false."""
    return {name: int(value) if isinstance(value, bool) else value for name, value in params.items()}


def split_changes(params: Mapping[str, Any], *other: str) -> tuple[dict[str, Any], list[str], str | None]:
    """What an update gives: the options, the names to delete, and the digest. `other` names what is no option."""
    apart = {"delete", "digest", *other}
    given = as_stored({name: value for name, value in params.items() if name not in apart})
    deleted = params.get("delete") or ""
    names = deleted if isinstance(deleted, list) else deleted.replace(",", " ").replace(";", " ").split()
    return given, cast("list[str]", names), params.get("digest")
