"""Where secrets stand: under names of parameters and fields that say so, and at places of PVE's API that do.

The names are those of the API's parameters and answers; `tests/proxmox_mcp/safety/test_secret_names.py` holds every
name of the contract that sounds like one against them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

SHORTEST = 4
"""A secret that is shorter would also hide harmless text, such as every "a" in a log."""
SECRET_URL = "url-secret"
"""Under what name an address is judged that lets in whoever knows it."""
_NOTHING: frozenset[str] = frozenset()
_MOST_PARTS = 200  # each is looked for in every text
_LONGEST = 100  # what a name ends with decides
_NAME = re.compile(
    r"keys|(?:.*[_-])?(?:"
    r"(?:ci|vnc|api)?(?:password|passwd|passphrase|secret|token|token[_-]?value|ticket|challenge)"
    r"|(?:api|private|client|access|hmac|encryption|auth)[_-]?key|keyring|ssh[_-]?public[_-]?keys?|ssh[_-]?keys?"
    r"|csrfpreventiontoken|credentials?|headers?|env|otp|totp|recovery|input[_-]?data)",
    re.IGNORECASE,
)
# What a program is given to read: hidden on record, for a password may be in it, and shown to who decides on the call.
_INPUT = re.compile(r"input[_-]?data", re.IGNORECASE)
# Methods by whose path a plain name stands for a secret.
_PLACES: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(pattern), frozenset(names))
    for pattern, names in (
        (r"/cluster/acme/plugins", {"data"}),
        (r"/cluster/sdn/dns", {"key"}),
        (r"/cluster/notifications/endpoints/webhook", {"url"}),
        (r"/nodes/[^/]+/certificates/custom", {"key"}),
        (r"/nodes/[^/]+/subscription", {"key"}),
        (r"/access/tfa", {"value"}),
    )
)


def is_secret_name(name: str) -> bool:
    """Whether a parameter or field of that name holds a secret."""
    return _is_secret(name[-_LONGEST:])


@lru_cache(4096)
def _is_secret(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def is_input_name(name: str) -> bool:
    """Whether a parameter of that name is what a program in a guest reads."""
    return _INPUT.fullmatch(name) is not None


def secret_at(path: str) -> frozenset[str]:
    """The names that stand for secrets in what a method of PVE's API takes and answers, beside those that say so."""
    folded = re.sub(r"/+", "/", path)
    return next((names for pattern, names in _PLACES if pattern.match(folded)), _NOTHING)


def named(record: Mapping[Any, Any], beside: frozenset[str] = _NOTHING) -> Iterator[tuple[str, Any, str]]:
    """The fields of a record: key, value, and under what name the value is to be judged.

    Args:
        record: arguments of a call, or a record of an answer.
        beside: the names that are secrets at this place.
    """
    about = record.get("key")
    kind = record.get("type")
    for raw, inner in record.items():
        key = str(raw)
        if key == "url" and (key in beside or kind == "webhook"):
            yield key, inner, SECRET_URL
        elif (
            key in beside
            or (key == "value" and "full-tokenid" in record)  # PVE shows a new token's secret so
            or (key == "key" and kind == "powerdns")
            or (key == "data" and ("plugin" in record or "api" in record))  # credentials of an ACME plugin
        ):
            yield key, inner, "secret"
        elif key in ("value", "pending") and isinstance(about, str):
            yield key, inner, about  # a line of `GET …/pending`
        else:
            yield key, inner, key


def place_of(record: Mapping[Any, Any]) -> frozenset[str]:
    """The names that are secrets inside a record that names a path of the API, such as a raw request."""
    path = record.get("path")
    return secret_at(path) if isinstance(path, str) and path.startswith("/") else _NOTHING


def secrets_in(value: Any, name: str = "", beside: frozenset[str] = _NOTHING) -> Iterator[str]:
    """The texts among arguments, or in an answer, that stand under the name of a secret."""
    if isinstance(value, Mapping):
        here = beside | place_of(value)
        for _, inner, judged in named(value, here):
            yield from secrets_in(inner, name if is_secret_name(name) else judged, here)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secrets_in(inner, name, beside)
    elif isinstance(value, str) and is_secret_name(name) and not is_input_name(name):
        yield value


def clash(arguments: Mapping[str, Any]) -> str | None:
    """The name of an argument in which the value of a secret one stands, too; None where there is none.

    What is hidden wherever it stands would else let a caller hide any part of its call.
    """
    secrets = parts_of(secrets_in(arguments))
    if len(secrets) > _MOST_PARTS:
        return f"one of {len(secrets)} secrets"
    return _found(arguments, "", _NOTHING, secrets) if secrets else None


def parts_of(secrets: Iterable[str]) -> set[str]:
    """The texts to look for: the secrets, and their lines where there are not too many to look for each."""
    whole = {secret for secret in secrets if len(secret) >= SHORTEST}
    lines = {line for secret in whole for line in secret.splitlines() if len(line) >= SHORTEST}
    return whole | lines if len(whole | lines) <= _MOST_PARTS else whole


def _found(value: Any, name: str, beside: frozenset[str], secrets: set[str]) -> str | None:
    if is_secret_name(name) and not is_input_name(name):
        return None
    if isinstance(value, Mapping):
        here = beside | place_of(value)
        for key, inner, judged in named(value, here):
            if any(secret in key for secret in secrets):
                return key
            if found := _found(inner, judged, here, secrets):
                return found
        return None
    if isinstance(value, list | tuple):
        return next((found for inner in value if (found := _found(inner, name, beside, secrets))), None)
    return (name or "it") if isinstance(value, str) and any(secret in value for secret in secrets) else None
