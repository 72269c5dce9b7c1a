"""The certificate that a served world shows: made at start, or brought along.

As a PVE cluster does, a small authority signs the node's certificate, so that a client can either trust the
authority's file or pin the certificate's SHA-256 fingerprint.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pvesim.serve.errors import ServeError

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PART = b"\0"  # between the parts of an identity, on its way from the process that made it


@dataclass(frozen=True, slots=True)
class Identity:
    """A server's certificate and private key, both PEM, and the authority's certificate if it is known."""

    certificate: bytes
    key: bytes
    authority: bytes | None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as PVE writes it: 32 upper-case hex pairs joined by colons."""
        return hashlib.sha256(_first_der(self.certificate)).digest().hex(":").upper()

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
    """Make an authority and a certificate signed by it; see `pvesim.serve.authority.make`."""
    from pvesim.serve.authority import make

    return Identity(*make(names))


def make_identity_apart(names: Iterable[str] = ()) -> Identity:
    """The same, made by a process of its own: the library that makes certificates weighs 8 MiB in memory.

    A server that runs for long would carry it all its life for the work of a moment. Raises `ServeError`.
    """
    script = "import sys; from pvesim.serve import authority; authority.write(sys.argv[1:])"
    paths = [path for path in sys.path if path]
    done = subprocess.run(  # noqa: S603 - this interpreter and our own script
        [sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}; {script}", *names],
        capture_output=True,
        check=False,
    )
    parts = done.stdout.split(_PART)
    if done.returncode != 0 or len(parts) != 3:
        raise ServeError(f"no certificate could be made: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return Identity(*parts)


def read_identity(certificate: Path, key: Path) -> Identity:
    """Read one's own certificate (with its chain) and key from PEM files. Raises `ServeError` naming the file."""
    contents = []
    for path in (certificate, key):
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            raise ServeError(f"cannot read {path}: {error.strerror}") from error
    try:
        _first_der(contents[0])
    except ValueError as error:
        raise ServeError(f"{certificate} holds no PEM certificate") from error
    identity = Identity(certificate=contents[0], key=contents[1], authority=None)
    identity.context()
    return identity


def _first_der(pem: bytes) -> bytes:
    """The first certificate of a PEM text, without its wrapping. Raises ValueError if there is none."""
    found = _CERTIFICATE.search(pem)
    if found is None:
        raise ValueError("no certificate")
    return ssl.PEM_cert_to_DER_cert(found[0].decode("ascii", "replace"))
