"""The certificates of a node: made once for a world, from its seed, so that they are the same in every run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple

from pvesim.core.world import World
from pvesim.nodes.records import Node

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

_YEARS_OF_CA, _YEARS_OF_NODE = 10, 2
_AGE, _LIFE_OF_SERVICE = timedelta(days=1), timedelta(days=90)


CUSTOM_FILE = "pveproxy-ssl.pem"


@dataclass(frozen=True, slots=True)
class CustomCertificate:
    """A certificate for a node's API in place of the one that the cluster signed; `private_key` is PEM too."""

    node: str
    chain: str
    private_key: str

    @property
    def key(self) -> str:
        return self.node


class _Pair(NamedTuple):
    authority: Certificate
    node: Certificate


def node_fingerprint(world: World, node: Node) -> str:
    """The SHA-256 of the certificate that a node's API serves, in pairs of digits between colons."""
    custom = world.get(CustomCertificate, node.name)
    if custom is not None:
        return _fingerprint(read_chain(custom.chain)[0])
    return _fingerprint(_certificates(world, node).node)


def information(world: World, node: Node) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/certificates/info`."""
    pair = _certificates(world, node)
    own = [describe("pve-root-ca.pem", pair.authority), describe("pve-ssl.pem", pair.node)]
    custom = world.get(CustomCertificate, node.name)
    return own if custom is None else [*own, describe(CUSTOM_FILE, read_chain(custom.chain)[0])]


def read_chain(text: str) -> list[Certificate]:
    """The certificates in a text. Raises `ValueError` where there is none."""
    from cryptography import x509

    return x509.load_pem_x509_certificates(text.encode())


def _certificates(world: World, node: Node) -> _Pair:
    domain = node.dns.get("search", "local")
    return _make(world.seed, int(world.started), node.name, domain, node.ip)


@lru_cache(maxsize=1024)
def _make(seed: int, started: int, name: str, domain: str, ip: str) -> _Pair:
    from cryptography import x509  # heavy, and most worlds are never asked for a certificate

    made = datetime.fromtimestamp(started, UTC) - _AGE
    cluster = hashlib.blake2b(f"{seed}:cluster".encode(), digest_size=16).hexdigest()
    issuer = _name(CN="Proxmox Virtual Environment", OU=cluster, O="PVE Cluster Manager CA")
    subject = _name(OU="PVE Cluster Node", O="Proxmox Virtual Environment", CN=f"{name}.{domain}")
    addresses = [x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "::1")]
    names = x509.SubjectAlternativeName(
        [
            *addresses,
            x509.DNSName("localhost"),
            x509.IPAddress(ip_address(ip)),
            x509.DNSName(name),
            x509.DNSName(f"{name}.{domain}"),
        ]
    )
    authority = _sign(seed, "authority", issuer, issuer, made, _YEARS_OF_CA, None)
    return _Pair(authority, _sign(seed, name, subject, issuer, made, _YEARS_OF_NODE, names))


def _sign(seed: int, who: str, subject: Name, issuer: Name, made: datetime, years: int, names: Any) -> Certificate:
    from cryptography import x509

    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_key(seed, who).public_key())
        .serial_number(int.from_bytes(_bytes(seed, f"serial {who}")[:16], "big") >> 1 | 1)
        .not_valid_before(made)
        .not_valid_after(made + timedelta(days=365 * years))
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(_key(seed, "authority"), None)


def service_certificate(seed: int, domains: tuple[str, ...], number: int, time: float) -> tuple[str, str]:
    """A certificate for names from a public service, good for 90 days, with its private key; both PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made, who = datetime.fromtimestamp(int(time), UTC), f"order {number}"
    names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
    subject, issuer = _name(CN=domains[0]), _name(CN="Simulated ACME service", O="pvesim")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_key(seed, who).public_key())
        .serial_number(int.from_bytes(_bytes(seed, f"serial {who}")[:16], "big") >> 1 | 1)
        .not_valid_before(made)
        .not_valid_after(made + _LIFE_OF_SERVICE)
        .add_extension(names, critical=False)
    )
    certificate = builder.sign(_key(seed, "service"), None)
    key = _key(seed, who).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), key.decode()


def _bytes(seed: int, purpose: str) -> bytes:
    return hashlib.blake2b(f"{seed}:certificate:{purpose}".encode(), digest_size=32).digest()


def _key(seed: int, who: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    # Ed25519 signs the same text to the same bytes every time, which RSA keys made at random do not.
    return Ed25519PrivateKey.from_private_bytes(_bytes(seed, f"key {who}"))


def _name(**parts: str) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    oids = {"CN": NameOID.COMMON_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "O": NameOID.ORGANIZATION_NAME}
    return x509.Name([x509.NameAttribute(oids[key], value) for key, value in parts.items()])


def _fingerprint(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex(":").upper()


def describe(filename: str, certificate: Certificate) -> dict[str, Any]:
    """A certificate as PVE shows it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    kind, bits = _public_key(certificate)
    return {
        "filename": filename,
        "fingerprint": _fingerprint(certificate),
        "issuer": _path(certificate.issuer),
        "notafter": int(certificate.not_valid_after_utc.timestamp()),
        "notbefore": int(certificate.not_valid_before_utc.timestamp()),
        "pem": certificate.public_bytes(Encoding.PEM).decode(),
        "public-key-bits": bits,
        "public-key-type": kind,
        "san": _alternative_names(certificate),
        "subject": _path(certificate.subject),
    }


def _public_key(certificate: Certificate) -> tuple[str, int]:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = certificate.public_key()
    if isinstance(key, RSAPublicKey):
        return "rsaEncryption", key.key_size
    return ("id-ecPublicKey", key.key_size) if isinstance(key, EllipticCurvePublicKey) else ("ED25519", 256)


def _path(name: Name) -> str:
    return "".join(f"/{part.rfc4514_attribute_name}={part.value!s}" for part in name)


def _alternative_names(certificate: Certificate) -> list[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.value.exploded if isinstance(name, x509.IPAddress) else str(name.value) for name in names]
