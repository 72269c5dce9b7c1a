"""Regular expressions as Perl writes them, made fit for Python."""

from __future__ import annotations

import re
from functools import lru_cache

# `(?^i:…)` starts from Perl's default flags; Python can only switch off what is on.
_REWRITES = (
    (re.compile(r"\(\?\^i:"), "(?i:"),
    (re.compile(r"\(\?\^:"), "(?-i:"),
    (re.compile(r"\\Z"), r"(?=\\n?\\Z)"),
    (re.compile(r"\\z"), r"\\Z"),
)


@lru_cache(maxsize=512)
def compile_pattern(perl: str) -> re.Pattern[str]:
    """The pattern as PVE applies it: between `^` and `$`, with no group around it.

    So `a|b` means "begins with a, or ends with b", and a line feed at the very end is forgiven.
    """
    text = perl
    for written, meant in _REWRITES:
        text = written.sub(meant, text)
    return re.compile(f"^{text}$")
