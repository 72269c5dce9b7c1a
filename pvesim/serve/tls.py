"""The certificate that a served world shows: made at start, or brought along.

As a PVE cluster does, a small authority signs the node's certificate, so that a client can either trust the
authority's file or pin the certificate's SHA-256 fingerprint.
"""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pvesim.serve.errors import ServeError

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_LIFE = timedelta(days=365)
_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A server's certificate and private key, both PEM, and the authority's certificate if it is known."""

    certificate: bytes
    key: bytes
    authority: bytes | None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as PVE writes it: 32 upper-case hex pairs joined by colons."""
        digest = x509.load_pem_x509_certificate(self.certificate).fingerprint(hashes.SHA256())
        return digest.hex(":").upper()

    def context(self) -> ssl.SSLContext:
        """A server-side TLS context. Raises `ServeError` if certificate and key do not belong together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # OpenSSL reads certificates from files only; these are readable by this user alone and gone at once.
        with tempfile.TemporaryDirectory(prefix="pvesim-") as folder:
            certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
            certificate.write_bytes(self.certificate)
            key.write_bytes(self.key)
            try:
                # The empty password keeps OpenSSL from asking for one on the terminal.
                context.load_cert_chain(certificate, key, password="")
            except ssl.SSLError as error:
                raise ServeError(f"certificate and key cannot be used together: {error.reason or error}") from error
        return context


def make_identity(names: Iterable[str] = ()) -> Identity:
    """Make an authority and a certificate signed by it (EC P-256, valid one year).

    It is valid for localhost, both loopback addresses and `names` (host names or IP addresses).
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
    return Identity(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        authority=authority.public_bytes(serialization.Encoding.PEM),
    )


def read_identity(certificate: Path, key: Path) -> Identity:
    """Read one's own certificate (with its chain) and key from PEM files. Raises `ServeError` naming the file."""
    contents = []
    for path in (certificate, key):
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            raise ServeError(f"cannot read {path}: {error.strerror}") from error
    try:
        x509.load_pem_x509_certificate(contents[0])
    except ValueError as error:
        raise ServeError(f"{certificate} holds no PEM certificate") from error
    identity = Identity(certificate=contents[0], key=contents[1], authority=None)
    identity.context()
    return identity


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
