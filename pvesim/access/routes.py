"""`/access`: logging in, users, groups, roles, tokens, realms and the access control list."""

from __future__ import annotations

from typing import Any

from pvesim.access import acl, groups, realms, roles, tokens, users
from pvesim.access.login import log_in
from pvesim.access.rules import ROOT
from pvesim.contract import split_list
from pvesim.core.log import log_event
from pvesim.routing import Call, route

_USER = "/access/users/{userid}"
_TOKEN = "/access/users/{userid}/token/{tokenid}"


@route("GET", "/access/ticket")
def ticket_page(call: Call) -> None:
    """Answers nothing, as PVE does: it exists for a redirect of the web interface."""


@route("POST", "/access/ticket")
def create_ticket(call: Call) -> dict[str, Any]:
    params = call.params
    needed = (params["path"], split_list(params["privs"])) if params.get("path") and params.get("privs") else None
    answer = log_in(call.world, params["username"], params["password"], params.get("realm"), needed,
                    code=params.get("otp"), asked=params.get("tfa-challenge"))  # fmt: skip
    if answer.get("NeedTFA"):
        return answer
    log_event(call.world, call.local_node, ROOT, "pvedaemon", f"successful auth for user '{answer['username']}'")
    return answer


@route("PUT", "/access/password")
def change_password(call: Call) -> None:
    params = call.params
    users.change_password(
        call.world, call.identity, params["userid"], params["password"], params.get("confirmation-password")
    )
    log_event(call.world, call.local_node, ROOT, "pvedaemon", f"changed password for user '{params['userid']}'")


# -- users ---------------------------------------------------------------------------------------------------------


@route("GET", "/access/users")
def list_users(call: Call) -> list[dict[str, Any]]:
    return users.list_users(call.world, call.identity, call.params.get("enabled"), bool(call.params.get("full")))


@route("POST", "/access/users")
def create_user(call: Call) -> None:
    users.create_user(call.world, call.params)


@route("GET", _USER)
def read_user(call: Call) -> dict[str, Any]:
    return users.read_user(call.world, call.params["userid"])


@route("PUT", _USER)
def update_user(call: Call) -> None:
    users.update_user(call.world, call.params["userid"], call.params)


@route("DELETE", _USER)
def delete_user(call: Call) -> None:
    users.delete_user(call.world, call.params["userid"])


# -- tokens --------------------------------------------------------------------------------------------------------


@route("GET", "/access/users/{userid}/token")
def list_tokens(call: Call) -> list[dict[str, Any]]:
    return tokens.list_tokens(call.world, call.params["userid"])


@route("GET", _TOKEN)
def read_token(call: Call) -> dict[str, Any]:
    return tokens.shown_token(tokens.existing_token(call.world, call.params["userid"], call.params["tokenid"]))


@route("POST", _TOKEN)
def create_token(call: Call) -> dict[str, Any]:
    return tokens.create_token(call.world, call.params["userid"], call.params["tokenid"], call.params)


@route("PUT", _TOKEN)
def update_token(call: Call) -> dict[str, Any]:
    params = call.params
    return tokens.update_token(
        call.world, params["userid"], params["tokenid"], params, params.get("delete"), bool(params.get("regenerate"))
    )


@route("DELETE", _TOKEN)
def delete_token(call: Call) -> None:
    tokens.delete_token(call.world, call.params["userid"], call.params["tokenid"])


# -- groups --------------------------------------------------------------------------------------------------------


@route("GET", "/access/groups")
def list_groups(call: Call) -> list[dict[str, Any]]:
    return groups.list_groups(call.world, call.identity)


@route("POST", "/access/groups")
def create_group(call: Call) -> None:
    groups.create_group(call.world, call.params["groupid"], call.params.get("comment"))


@route("GET", "/access/groups/{groupid}")
def read_group(call: Call) -> dict[str, Any]:
    return groups.read_group(call.world, call.params["groupid"])


@route("PUT", "/access/groups/{groupid}")
def update_group(call: Call) -> None:
    groups.update_group(call.world, call.params["groupid"], call.params.get("comment"))


@route("DELETE", "/access/groups/{groupid}")
def delete_group(call: Call) -> None:
    groups.delete_group(call.world, call.params["groupid"])


# -- roles ---------------------------------------------------------------------------------------------------------


@route("GET", "/access/roles")
def list_roles(call: Call) -> list[dict[str, Any]]:
    return roles.list_roles(call.world)


@route("POST", "/access/roles")
def create_role(call: Call) -> None:
    roles.create_role(call.world, call.params["roleid"], split_list(call.params.get("privs") or ""))


@route("GET", "/access/roles/{roleid}")
def read_role(call: Call) -> dict[str, int]:
    return roles.read_role(call.world, call.params["roleid"])


@route("PUT", "/access/roles/{roleid}")
def update_role(call: Call) -> None:
    params = call.params
    roles.update_role(call.world, params["roleid"], split_list(params.get("privs") or ""), bool(params.get("append")))


@route("DELETE", "/access/roles/{roleid}")
def delete_role(call: Call) -> None:
    roles.delete_role(call.world, call.params["roleid"])


# -- realms --------------------------------------------------------------------------------------------------------


@route("GET", "/access/domains")
def list_realms(call: Call) -> list[dict[str, Any]]:
    return realms.list_realms(call.world)


@route("POST", "/access/domains")
def create_realm(call: Call) -> None:
    realms.create_realm(call.world, call.params)


@route("GET", "/access/domains/{realm}")
def read_realm(call: Call) -> dict[str, Any]:
    return realms.read_realm(call.world, call.params["realm"])


@route("PUT", "/access/domains/{realm}")
def update_realm(call: Call) -> None:
    realms.update_realm(call.world, call.params)


@route("DELETE", "/access/domains/{realm}")
def delete_realm(call: Call) -> None:
    realms.delete_realm(call.world, call.params["realm"])


# -- access control ------------------------------------------------------------------------------------------------


@route("GET", "/access/acl")
def list_acl(call: Call) -> list[dict[str, Any]]:
    return acl.list_acl(call.world, call.identity)


@route("PUT", "/access/acl")
def update_acl(call: Call) -> None:
    acl.update_acl(call.world, call.identity, call.params)


@route("GET", "/access/permissions")
def permissions(call: Call) -> dict[str, dict[str, int]]:
    userid = call.params.get("userid") or call.identity.name
    if not acl.is_own(call.identity, userid):
        call.check("/access", "Sys.Audit")
    return acl.permissions(call.world, userid, call.params.get("path"))
