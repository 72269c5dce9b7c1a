"""Accounts at ACME services, and the certificates that nodes get with them."""

from __future__ import annotations

from typing import Any

from pvesim.acme import accounts, orders
from pvesim.acme.accounts import DEFAULT_NAME, AcmeAccount
from pvesim.routing import Call, route

_ACCOUNT = "/cluster/acme/account/{name}"
_CERTIFICATE = "/nodes/{node}/certificates/acme/certificate"


@route("GET", "/cluster/acme/account")
def list_accounts(call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in sorted(call.world.rows(AcmeAccount))]


@route("POST", "/cluster/acme/account")
def register(call: Call) -> str:
    params = call.params
    name, directory = params.get("name", DEFAULT_NAME), params.get("directory")
    steps = accounts.registration_steps(call.world, name, directory, params["contact"], params.get("tos_url"))
    return call.start("acmeregister", "", steps)


@route("GET", _ACCOUNT)
def read_account(call: Call) -> dict[str, Any]:
    return accounts.show(accounts.find_account(call.world, call.params["name"]))


@route("PUT", _ACCOUNT)
def update_account(call: Call) -> str:
    steps = accounts.update_steps(call.world, call.params["name"], call.params.get("contact"))
    return call.start("acmeupdate", "", steps)


@route("DELETE", _ACCOUNT)
def deactivate_account(call: Call) -> str:
    return call.start("acmedeactivate", "", accounts.deactivation_steps(call.world, call.params["name"]))


@route("GET", "/cluster/acme/meta")
def read_meta(call: Call) -> dict[str, Any]:
    return accounts.meta(call.world, call.params.get("directory"))


@route("GET", "/cluster/acme/tos")
def read_terms(call: Call) -> str:
    terms: str = accounts.meta(call.world, call.params.get("directory"))["termsOfService"]
    return terms


@route("POST", _CERTIFICATE)
def order(call: Call) -> str:
    return call.start("acmenewcert", "", orders.order_steps(call.world, call.node, bool(call.params.get("force"))))


@route("PUT", _CERTIFICATE)
def renew(call: Call) -> str:
    return call.start("acmerenew", "", orders.renewal_steps(call.world, call.node, bool(call.params.get("force"))))


@route("DELETE", _CERTIFICATE)
def revoke(call: Call) -> str:
    return call.start("acmerevoke", "", orders.revocation_steps(call.world, call.node))
