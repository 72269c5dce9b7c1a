"""Certificates from an ACME service for a node's API: `/nodes/{node}/certificates/acme/certificate`."""

from __future__ import annotations

from collections.abc import Iterable

from pvesim.acme.accounts import DEFAULT_NAME, find_account, reach
from pvesim.acme.rules import find_plugin
from pvesim.core.errors import ApiError, Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.nodes.certificates import CustomCertificate, read_chain, service_certificate
from pvesim.nodes.rules import find_node

_RENEWED_BEFORE = 30 * 86400.0
_DOMAINS = 6


def domains_of(world: World, name: str) -> tuple[str, dict[str, str]]:
    """The account that a node uses, and its names, each with the plugin that proves it."""
    config = find_node(world, name).config
    settings = _pairs(str(config.get("acme", "")))
    names = dict.fromkeys(settings.get("domains", "").replace(";", " ").split(), "standalone")
    for number in range(_DOMAINS):
        entry = config.get(f"acmedomain{number}")
        if entry:
            fields = _pairs(str(entry), "domain")
            names[fields["domain"]] = fields.get("plugin", "standalone")
    return settings.get("account", DEFAULT_NAME), names


def _pairs(text: str, leader: str = "") -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(",") if part)
    return {name if separator else leader: value if separator else name for name, separator, value in parts}


def _require_domains(world: World, name: str) -> None:
    if not domains_of(world, name)[1]:
        raise ApiError("ACME domain list in node configuration is missing!", status=400)


# -- ordering ----------------------------------------------------------------------------------------------------------


def order_steps(world: World, name: str, force: bool) -> list[Step]:
    """The task that orders a first certificate. Raises `ApiError`: there is one, or no name to order one for."""
    if world.get(CustomCertificate, name) is not None and not force:
        raise ParameterErrors({"force": "Custom certificate exists but 'force' is not set."})
    _require_domains(world, name)
    return _ordering(name)


def renewal_steps(world: World, name: str, force: bool) -> list[Step]:
    """The task that orders the next certificate. Raises `ApiError`: there is none, or it is good for long."""
    current = world.get(CustomCertificate, name)
    if current is None:
        raise Failure("No current (custom) certificate found, please order a new certificate!")
    left = read_chain(current.chain)[0].not_valid_after_utc.timestamp() - world.now
    if left > _RENEWED_BEFORE and not force:
        text = "Certificate does not expire within the next 30 days, and 'force' is not set."
        raise ParameterErrors({"force": text})
    _require_domains(world, name)
    return _ordering(name)


def _ordering(name: str) -> list[Step]:
    return [
        Step(log=("Loading ACME account details",)),
        Step(after=0.5, effect="acme.order", arguments=(name,)),
    ]


@effect("acme.order")
def order(world: World, task: Task | None, name: str) -> Iterable[Step]:
    """Prove each name and fetch the certificate. Raises `Failure`: no account, no service, no such plugin."""
    account_name, names = domains_of(world, name)
    account = find_account(world, account_name)
    address = reach(world, account.directory)
    number = world.count("ACME order", start=5_000_000)
    steps = [Step(log=("Placing ACME order", f"Order URL: {address}/acme/order/{number}"))]
    for domain, plugin in names.items():
        if find_plugin(world, plugin).options.get("disable"):
            raise Failure(f"ACME plugin '{plugin}' is disabled")
        steps.append(Step(log=(f"The validation for {domain} is pending!", "Triggering validation")))
        steps.append(Step(after=5.0, log=(f"Status is 'valid', domain '{domain}' OK!",)))
    return [
        *steps,
        Step(log=("All domains validated!", "Creating CSR", "Checking order status")),
        Step(log=("Order is ready, finalizing order",)),
        Step(after=1.0, log=("valid!", "Downloading certificate", "Setting pveproxy certificate and key"),
             effect="acme.install", arguments=(name, tuple(names), number)),
        Step(log=("Restarting pveproxy",)),
    ]  # fmt: skip


@effect("acme.install")
def install(world: World, task: Task | None, name: str, domains: tuple[str, ...], number: int) -> None:
    """The node's API serves the new certificate."""
    chain, key = service_certificate(world.seed, domains, number, world.now)
    world.put(CustomCertificate(name, chain, key))


# -- revoking ----------------------------------------------------------------------------------------------------------


def revocation_steps(world: World, name: str) -> list[Step]:
    """The task that gives a certificate back. Raises `ApiError`."""
    _require_domains(world, name)
    return [
        Step(log=("Loading ACME account details",)),
        Step(after=0.5, log=("Revoking old certificate",), effect="acme.revoke", arguments=(name,)),
        Step(log=("Deleting certificate files", "Restarting pveproxy")),
    ]


@effect("acme.revoke")
def revoke(world: World, task: Task | None, name: str) -> None:
    """The node's API serves the cluster's own certificate again. Raises `Failure`."""
    reach(world, find_account(world, domains_of(world, name)[0]).directory)
    if world.get(CustomCertificate, name) is None:
        raise Failure("No current (custom) certificate found")
    world.remove(CustomCertificate, name)
