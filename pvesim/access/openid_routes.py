"""`/access/openid`, as far as no provider has to be asked: there is none that a simulated node reaches."""

from __future__ import annotations

from typing import NoReturn

from pvesim.access.login import authentication_failure
from pvesim.access.records import Realm
from pvesim.core.errors import Failure, NotModelled
from pvesim.routing import Call, refusal


@refusal("POST", "/access/openid/auth-url")
def authorization_url(call: Call) -> NoReturn:
    name = call.params["realm"]
    realm = call.world.get(Realm, name)
    if realm is None:
        raise Failure(f"authentication domain '{name}' does not exist")
    if realm.type != "openid":
        raise Failure(f"wrong realm type ({realm.type} != openid)")
    raise NotModelled("OpenID providers are not modelled by pvesim")


@refusal("POST", "/access/openid/login")
def log_in(call: Call) -> NoReturn:
    """No state was ever given out that a provider could send back."""
    raise authentication_failure()
