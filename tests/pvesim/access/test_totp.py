"""One-time passwords by time: RFC 6238's own examples, and what a URI may say."""

from __future__ import annotations

import pytest

from pvesim.access.totp import Totp, read_uri
from pvesim.core.errors import Failure

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("algorithm", "secret", "time", "code"),
    [  # RFC 6238, appendix B
        ("SHA1", SECRET, 59, "94287082"),
        ("SHA1", SECRET, 1111111109, "07081804"),
        ("SHA1", SECRET, 20000000000, "65353130"),
        ("SHA256", b"12345678901234567890123456789012", 59, "46119246"),
        ("SHA512", (SECRET * 4)[:64], 1234567890, "93441116"),
    ],
)
def test_codes_are_those_of_the_standard(algorithm: str, secret: bytes, time: int, code: str) -> None:
    totp = Totp(secret, digits=8, algorithm=algorithm)
    assert totp.code(totp.step(time)) == code


def test_a_code_is_good_one_period_before_and_after() -> None:
    totp = Totp(SECRET)
    now = 1_000_000
    assert [totp.matching_step(totp.code(totp.step(now) + shift), now) for shift in (-2, -1, 0, 1, 2)] == [
        None,
        *(totp.step(now) + shift for shift in (-1, 0, 1)),
        None,
    ]


def test_a_uri_says_all() -> None:
    uri = "otpauth://totp/PVE:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8&period=60&algorithm=SHA256"
    assert read_uri(uri) == Totp(SECRET, 8, 60, "SHA256")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://totp/x?secret=GEZDGNBV", "not an otpauth uri"),
        ("otpauth://hotp/x?secret=GEZDGNBV", "not a totp uri"),
        ("otpauth://totp/x", "missing secret in otpauth uri"),
        ("otpauth://totp/x?secret=1!", "failed to decode otp secret in otpauth url"),
        ("otpauth://totp/x?secret=GEZDGNBV&digits=0", "invalid digits in otpauth uri: 0"),
        ("otpauth://totp/x?secret=GEZDGNBV&period=x", "invalid period in otpauth uri: x"),
        ("otpauth://totp/x?secret=GEZDGNBV&algorithm=MD5", "unknown algorithm: MD5"),
    ],
)
def test_what_is_no_such_uri_is_refused(uri: str, message: str) -> None:
    with pytest.raises(Failure, match=f"^{message}$"):
        read_uri(uri)
