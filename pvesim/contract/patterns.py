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
    # The same names match, without the exponential number of ways to match them that an empty separator allows.
    (re.compile(re.escape("(?:[._]|__|[-]*)")), "(?:[._]|__|[-]+)"),
)

# Some patterns take quadratic time, and nothing that has to match one is nearly as long as this.
LONGEST_MATCHED = 8192


def matches(pattern: re.Pattern[str], text: str) -> bool:
    """Whether PVE takes the text for the pattern; texts over LONGEST_MATCHED characters never match."""
    return len(text) <= LONGEST_MATCHED and pattern.search(text) is not None


@lru_cache(maxsize=512)
def compile_pattern(perl: str) -> re.Pattern[str]:
    """The pattern as PVE applies it: between `^` and `$`, with no group around it.

    So `a|b` means "begins with a, or ends with b", and a line feed at the very end is forgiven.
    """
    text = perl
    for written, meant in _REWRITES:
        text = written.sub(meant, text)
    return re.compile(f"^{text}$")
