"""Certificates made by a process of their own."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from pvesim.serve.errors import ServeError
from pvesim.serve.tls import make_identity_apart


def test_an_identity_made_apart_is_as_good() -> None:
    identity = make_identity_apart(["pve1", "10.10.10.11"])
    certificate = x509.load_pem_x509_certificate(identity.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "pve1"} <= set(names.get_values_for_type(x509.DNSName))
    assert identity.fingerprint == certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    assert identity.authority is not None
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(identity.authority))
    identity.context()


def test_a_certificate_that_cannot_be_made_is_one_clear_error() -> None:
    with pytest.raises(ServeError, match="no certificate could be made"):
        make_identity_apart(["ümlaut"])
