"""Makes certificates. Imported only where one is made: the library that it takes is large."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_LIFE = timedelta(days=365)
_CLOCK_SKEW = timedelta(days=1)


def make(names: Iterable[str] = ()) -> tuple[bytes, bytes, bytes]:
    """Make an authority and a certificate signed by it (EC P-256, valid one year).

    It is valid for localhost, both loopback addresses and `names` (host names or IP addresses). The certificate, its
    private key and the authority's certificate, all PEM.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("pvesim simulated cluster authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    every_name = list(dict.fromkeys([*_LOCAL_NAMES, *names]))
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(every_name[-1]), authority_name, key.public_key(), authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in every_name]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()),
        authority.public_bytes(serialization.Encoding.PEM),
    )


def write(names: Iterable[str]) -> None:
    """Write what `make` gives to standard output, a NUL between the parts: for a process that asked for it."""
    sys.stdout.buffer.write(b"\0".join(make(names)))


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number(), now - _CLOCK_SKEW, now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pvesim"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
