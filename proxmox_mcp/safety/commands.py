"""Lists of commands that may, or may not, be run in guests.

A pattern is words. Each stands for one word of the command, `*` and `?` in it for any characters; one that begins with
them stands for no option: those are written with their dash. A last word `**` stands for any words, or none, options
too. What is allowed is compared as a whole, from the program on. What is denied is looked for anywhere, inside the
words of a shell's `-c` too: still, only a list of what is allowed can be relied on.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

_ANY_WORDS = "**"
_SEPARATORS = re.compile(r"[\s;|&()`<>$'\"{}]+")


def known_pattern(text: str) -> str:
    """Check a pattern.

    Raises:
        ValueError: it has no words, or its quotes do not close.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"expected the words of a command ({error})") from None
    if not words:
        raise ValueError("expected the words of a command")
    if _ANY_WORDS in words[:-1]:
        raise ValueError("** stands for any words at the end only")
    return text


def allows(patterns: Iterable[str], command: Sequence[str]) -> bool:
    """Whether a command is, as a whole, one of a list."""
    split = [shlex.split(pattern) for pattern in patterns]
    return any(_whole(words, command) and not _is_option_in_disguise(words, command) for words in split)


def forbids(patterns: Iterable[str], command: Sequence[str]) -> str:
    """The pattern that a command matches, or a command inside it; empty when there is none."""
    lowered = [word.lower() for word in command]
    for pattern in patterns:
        words = [word.lower() for word in shlex.split(pattern)]
        if any(_begins(words, inner) for inner in _commands_in(lowered, len(words))):
            return pattern
    return ""


def _whole(pattern: Sequence[str], command: Sequence[str]) -> bool:
    fixed = pattern[:-1] if pattern[-1] == _ANY_WORDS else pattern
    if len(command) < len(fixed) or (len(fixed) == len(pattern) and len(command) != len(fixed)):
        return False
    return all(fnmatchcase(word, part) for part, word in zip(fixed, command, strict=False))


def _is_option_in_disguise(pattern: Sequence[str], command: Sequence[str]) -> bool:
    """Whether an option stands where a pattern has a word of any kind: it may make another command of it."""
    pairs = zip(pattern, command, strict=False)
    return any(word.startswith("-") and part != _ANY_WORDS and part[:1] in ("*", "?", "[") for part, word in pairs)


def _begins(pattern: Sequence[str], command: Sequence[str]) -> bool:
    """Whether a command begins as a pattern; its program may be called by any path."""
    program = re.split(r"[/\\]", command[0])[-1].removesuffix(".exe")
    return any(_whole(pattern, [name, *command[1:]]) for name in (command[0], program))


def _commands_in(words: Sequence[str], length: int) -> Iterator[Sequence[str]]:
    """The command from each of its words on, and what stands inside a word as a shell would take it apart.

    No more than `length` words of each: so many are compared, and a command may have thousands.
    """
    for start, word in enumerate(words):
        yield words[start : start + length]
        inner = [part for part in _SEPARATORS.split(word) if part]
        if inner != [word]:
            for begin in range(len(inner)):
                yield inner[begin : begin + length]
