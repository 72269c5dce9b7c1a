"""One-time passwords by time, as RFC 6238 defines them and authenticator programs show them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from pvesim.core.errors import Failure

_ALGORITHMS = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Totp:
    """What a code is computed from; `period` is in seconds."""

    secret: bytes
    digits: int = 6
    period: int = 30
    algorithm: str = "SHA1"

    def step(self, time: float) -> int:
        """The number of the period that a time, in seconds since the epoch, falls into."""
        return int(time) // self.period

    def code(self, step: int) -> str:
        """The code of a period."""
        digest = hmac.new(self.secret, step.to_bytes(8, "big"), _ALGORITHMS[self.algorithm]).digest()
        offset = digest[-1] & 0xF
        number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
        return str(number % 10**self.digits).zfill(self.digits)

    def matching_step(self, code: str, time: float) -> int | None:
        """The period whose code this is: the present one, the one before or the one after. None for another code."""
        now = self.step(time)
        for step in (now - 1, now, now + 1):
            if step >= 0 and hmac.compare_digest(self.code(step).encode(), code.encode()):
                return step
        return None


def read_uri(uri: str) -> Totp:
    """The `otpauth://totp/ACCOUNT?secret=BASE32` that programs exchange as a QR code. Raises `Failure`."""
    parts = urlsplit(uri)
    if parts.scheme != "otpauth":
        raise Failure("not an otpauth uri")
    if parts.netloc != "totp":
        raise Failure("not a totp uri")
    options = dict(parse_qsl(parts.query))
    algorithm = options.get("algorithm", "SHA1").upper()
    if algorithm not in _ALGORITHMS:
        raise Failure(f"unknown algorithm: {options['algorithm']}")
    digits, period = (_number(options, *each) for each in (("digits", 6, 9), ("period", 30, 86400)))
    return Totp(_secret(options.get("secret")), digits, period, algorithm)


def _secret(text: str | None) -> bytes:
    if not text:
        raise Failure("missing secret in otpauth uri")
    text = unquote(text).upper().rstrip("=")
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise Failure("failed to decode otp secret in otpauth url") from None


def _number(options: dict[str, str], name: str, default: int, most: int) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= most:
        raise Failure(f"invalid {name} in otpauth uri: {text}")
    return int(text)
