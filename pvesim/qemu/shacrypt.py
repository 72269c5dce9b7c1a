"""Passwords as cloud-init's user data carry them: the SHA-256 variant of crypt (`$5$salt$…`), in its published form."""

from __future__ import annotations

from hashlib import sha256

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ROUNDS = 5000
_LONGEST = 512  # bytes from which on `crypt` refuses a password
# The digest's bytes are written in threes, in this order.
_ORDER = [(0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14), (15, 25, 5), (6, 16, 26)]
_ORDER += [(27, 7, 17), (18, 28, 8), (9, 19, 29)]


def salt_of(raw: bytes) -> str:
    """A salt of eight characters from as many bytes."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in raw[:8])


def sha256_crypt(password: str, salt: str) -> str:
    """The hash of a password with a salt, as `crypt` gives it for `$5$salt`; for one that is too long, `*0`."""
    word, seed = password.encode(), salt.encode()
    if len(word) >= _LONGEST:
        return "*0"
    digest = _mixed(word, seed)
    long_word = _repeat(sha256(word * len(word)).digest(), len(word))
    long_seed = _repeat(sha256(seed * (16 + digest[0])).digest(), len(seed))
    for number in range(_ROUNDS):
        first, last = (long_word, digest) if number % 2 else (digest, long_word)
        middle = (long_seed if number % 3 else b"") + (long_word if number % 7 else b"")
        digest = sha256(first + middle + last).digest()
    return f"$5${salt}${_encoded(digest)}"


def _mixed(word: bytes, seed: bytes) -> bytes:
    other = sha256(word + seed + word).digest()
    mix = word + seed + _repeat(other, len(word))
    bits = len(word)
    while bits:
        mix += other if bits & 1 else word
        bits >>= 1
    return sha256(mix).digest()


def _repeat(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _encoded(digest: bytes) -> str:
    text = "".join(_characters(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in _ORDER)
    return text + _characters(digest[31] << 8 | digest[30], 3)


def _characters(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 6 * place & 63] for place in range(count))
