"""Bringing one's own certificate for a node's API: `/nodes/{node}/certificates/custom`."""

from __future__ import annotations

from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.nodes.certificates import CUSTOM_FILE, CustomCertificate, describe, read_chain
from pvesim.nodes.rules import find_node


def upload(world: World, name: str, chain: str, private_key: str | None, force: bool) -> dict[str, Any]:
    """`POST`: what the new certificate says. Raises `ParameterErrors` and `Failure`."""
    find_node(world, name)
    before = world.get(CustomCertificate, name)
    if before is not None and not force:
        raise ParameterErrors({"force": "Custom certificate exists but 'force' is not set."})
    key = private_key or (before.private_key if before else None)
    if key is None:
        raise ParameterErrors({"key": "Attempted to upload custom certificate without (existing) key."})
    try:
        certificate = read_chain(chain)[0]
        matching = _public_part(key) == _public_bytes(certificate)
    except (ValueError, TypeError) as error:
        raise Failure(f"unable to read certificate or key: {error}") from error
    if not matching:
        raise Failure("certificate and key do not match")
    world.put(CustomCertificate(name, chain, key))
    return describe(CUSTOM_FILE, certificate)


def _public_part(private_key: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(private_key.encode(), None)
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_bytes(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encoded: bytes = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def remove(world: World, name: str) -> None:
    """`DELETE`: the API serves the cluster's own certificate again."""
    world.remove(CustomCertificate, name)
