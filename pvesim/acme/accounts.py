"""Accounts at ACME services. A service answers where the world lets its directory's URL be downloaded.

Source: `/cluster/acme/{account,meta,tos}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pvesim.acme.rules import DIRECTORIES
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.storage.records import Download

DEFAULT_DIRECTORY = next(iter(DIRECTORIES.values()))
DEFAULT_NAME = "default"
_FIRST_NUMBER = 1_000_000


@dataclass(frozen=True, slots=True)
class AcmeAccount:
    """An account: `location` is its URL at the service, `created` seconds since the epoch, `tos` the agreed terms."""

    name: str
    directory: str
    contact: tuple[str, ...]
    location: str
    created: float
    tos: str = ""

    @property
    def key(self) -> str:
        return self.name


# -- the service -------------------------------------------------------------------------------------------------------


def reach(world: World, directory: str) -> str:
    """The address of the service with this directory. Raises `Failure` where none answers."""
    parts = urlsplit(directory)
    if world.get(Download, directory) is None:
        reason = f"500 Can't connect to {parts.netloc}:{443 if parts.scheme == 'https' else 80} (No route to host)"
        raise Failure(f"GET to {directory} failed: {reason}")
    return f"{parts.scheme}://{parts.netloc}"


def meta(world: World, directory: str | None) -> dict[str, Any]:
    """`GET /cluster/acme/meta`: what a service says of itself. Raises `Failure`."""
    address = reach(world, directory or DEFAULT_DIRECTORY)
    host = urlsplit(address).netloc
    return {"caaIdentities": [host], "termsOfService": f"{address}/terms", "website": address}


# -- accounts ----------------------------------------------------------------------------------------------------------


def find_account(world: World, name: str) -> AcmeAccount:
    """The account. Raises `Failure`."""
    account = world.get(AcmeAccount, name)
    if account is None:
        raise Failure(f"ACME account config file '{name}' does not exist.")
    return account


def show(account: AcmeAccount) -> dict[str, Any]:
    """`GET /cluster/acme/account/{name}`."""
    created = datetime.fromtimestamp(account.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown: dict[str, Any] = {
        "account": {"contact": list(account.contact), "createdAt": created, "status": "valid"},
        "directory": account.directory,
        "location": account.location,
    }
    return {**shown, "tos": account.tos} if account.tos else shown


def _contacts(text: str) -> tuple[str, ...]:
    return tuple(f"mailto:{address}" for address in text.replace(",", " ").replace(";", " ").split())


def registration_steps(world: World, name: str, directory: str | None, contact: str, tos: str | None) -> list[Step]:
    """The task that registers an account. Raises `ParameterErrors` for a name that is taken."""
    if world.get(AcmeAccount, name) is not None:
        raise ParameterErrors({"name": f"ACME account config file '{name}' already exists."})
    arguments = (name, directory or DEFAULT_DIRECTORY, _contacts(contact), tos or "")
    return [
        Step(log=("Generating ACME account key..",)),
        Step(after=1.0, log=("Registering ACME account..",)),
        Step(after=0.5, effect="acme.register", arguments=arguments),
    ]


@effect("acme.register")
def register(
    world: World, task: Task | None, name: str, directory: str, contact: tuple[str, ...], tos: str
) -> Iterable[Step]:
    """Keep a new account. Raises `Failure` where no service answers."""
    try:
        address = reach(world, directory)
    except Failure as error:
        raise Failure(f"Registration failed: {error.message}") from error
    number = _FIRST_NUMBER + world.count("ACME account")
    location = f"{address}/acme/acct/{number}"
    world.put(AcmeAccount(name, directory, contact, location, world.now, tos))
    return [Step(log=(f"Registration successful, account URL: '{location}'",))]


def update_steps(world: World, name: str, contact: str | None) -> list[Step]:
    """The task that changes an account's contacts, or only asks for what the service knows. Raises `Failure`."""
    find_account(world, name)
    contacts = None if contact is None else _contacts(contact)
    return [Step(after=0.5, effect="acme.update", arguments=(name, contacts))]


@effect("acme.update")
def update(world: World, task: Task | None, name: str, contact: tuple[str, ...] | None) -> None:
    """Change the contacts of an account. Raises `Failure` where the service does not answer."""
    account = find_account(world, name)
    reach(world, account.directory)
    if contact is not None:
        world.put(replace(account, contact=contact))


def deactivation_steps(world: World, name: str) -> list[Step]:
    """The task that gives an account up. Raises `Failure`."""
    find_account(world, name)
    return [Step(after=0.5, effect="acme.deactivate", arguments=(name,))]


@effect("acme.deactivate")
def deactivate(world: World, task: Task | None, name: str) -> None:
    """Give an account up. Raises `Failure` where the service does not answer."""
    reach(world, find_account(world, name).directory)
    world.remove(AcmeAccount, name)
