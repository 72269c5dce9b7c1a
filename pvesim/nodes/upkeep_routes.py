"""Keeping a node: its packages, its subscription, its certificate, and shells to do the rest."""

from __future__ import annotations

from typing import Any

from pvesim.nodes import custom_certificates, packages, repositories, shell, subscription
from pvesim.routing import Call, route

_APT = "/nodes/{node}/apt"
_SUBSCRIPTION = "/nodes/{node}/subscription"


@route("GET", f"{_APT}/versions")
def list_versions(call: Call) -> list[dict[str, Any]]:
    return packages.versions(call.world)


@route("GET", f"{_APT}/update")
def list_updates(call: Call) -> list[dict[str, Any]]:
    return packages.updates()


@route("POST", f"{_APT}/update")
def refresh(call: Call) -> str:
    steps = packages.refresh_steps(repositories.addresses(call.world, call.node))
    return call.start("aptupdate", "", steps)


@route("GET", f"{_APT}/changelog")
def read_changelog(call: Call) -> str:
    return packages.changelog(call.world, call.params["name"], call.params.get("version"))


@route("GET", f"{_APT}/repositories")
def list_repositories(call: Call) -> dict[str, Any]:
    return repositories.show(call.world, call.node)


@route("POST", f"{_APT}/repositories")
def switch_repository(call: Call) -> None:
    params = call.params
    enabled, digest = params.get("enabled"), params.get("digest")
    repositories.switch(call.world, call.node, params["path"], params["index"], enabled, digest)


@route("PUT", f"{_APT}/repositories")
def add_repository(call: Call) -> None:
    repositories.add(call.world, call.node, call.params["handle"], call.params.get("digest"))


@route("GET", _SUBSCRIPTION)
def read_subscription(call: Call) -> dict[str, Any]:
    return subscription.show(call.world, call.node)


@route("PUT", _SUBSCRIPTION)
def set_subscription(call: Call) -> None:
    subscription.set_key(call.world, call.node, call.params["key"])


@route("POST", _SUBSCRIPTION)
def check_subscription(call: Call) -> None:
    subscription.check(call.world, call.node)


@route("DELETE", _SUBSCRIPTION)
def remove_subscription(call: Call) -> None:
    subscription.remove(call.world, call.node)


@route("POST", "/nodes/{node}/termproxy")
def open_terminal(call: Call) -> dict[str, Any]:
    return shell.terminal(call)


@route("POST", "/nodes/{node}/vncshell")
def open_vnc_shell(call: Call) -> dict[str, Any]:
    return shell.vnc(call)


@route("POST", "/nodes/{node}/spiceshell")
def open_spice_shell(call: Call) -> dict[str, Any]:
    return shell.spice(call)


@route("POST", "/nodes/{node}/certificates/custom")
def upload_certificate(call: Call) -> dict[str, Any]:
    params = call.params
    chain, key, force = params["certificates"], params.get("key"), bool(params.get("force"))
    return custom_certificates.upload(call.world, call.node, chain, key, force)


@route("DELETE", "/nodes/{node}/certificates/custom")
def remove_certificate(call: Call) -> None:
    custom_certificates.remove(call.world, call.node)
