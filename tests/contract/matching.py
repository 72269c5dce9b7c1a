"""Whether an answer holds what a scenario expects, and what earlier answers put into later calls.

| expected | fits |
| --- | --- |
| a mapping | a mapping in which every key fits; a key that is expected to be null may be left out |
| a list | a list that holds something for every item, in the same order; `[]` only an empty one |
| a text that begins with `~` | what the regular expression behind it matches as a whole |
| anything else | what is equal to it |
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\{([^}]+)\}")


def mismatches(expected: Any, actual: Any, where: str = "answer") -> list[str]:
    """What of `expected` is not in `actual`, each with its place; empty when all is."""
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [f"{where}: expected a mapping, got {actual!r}"]
        return [
            problem
            for key, value in expected.items()
            for problem in mismatches(value, actual.get(key), f"{where}.{key}")
        ]
    if isinstance(expected, list):
        return list(_list_mismatches(expected, actual, where))
    if isinstance(expected, str) and expected.startswith("~"):
        fits = actual is not None and re.fullmatch(expected[1:], str(actual), re.DOTALL)
        return [] if fits else [f"{where}: expected what matches {expected[1:]!r}, got {actual!r}"]
    same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
    return [] if same else [f"{where}: expected {expected!r}, got {actual!r}"]


def _list_mismatches(expected: list[Any], actual: Any, where: str) -> Iterator[str]:
    if not isinstance(actual, list):
        yield f"{where}: expected a list, got {actual!r}"
        return
    if not expected and actual:
        yield f"{where}: expected an empty list, got {actual!r}"
    rest = iter(actual)
    for number, item in enumerate(expected):
        if not any(not mismatches(item, candidate) for candidate in rest):
            closest = min((mismatches(item, candidate) for candidate in actual), key=len, default=["the list is empty"])
            told = "; ".join(problem.removeprefix("answer") for problem in closest)
            yield f"{where}[{number}]: nothing fits {item!r} behind what fits the items before; nearest: {told}"
            return


def filled_in(value: Any, answers: Mapping[str, Any]) -> Any:
    """`value` with every `${step.path.to.field}` replaced by that field of the answer to that step.

    Raises:
        KeyError: there is no such step before this one, or no such field in its answer.
    """
    if isinstance(value, Mapping):
        return {key: filled_in(item, answers) for key, item in value.items()}
    if isinstance(value, list):
        return [filled_in(item, answers) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _REFERENCE.fullmatch(value):
        return _referenced(whole[1], answers)
    return _REFERENCE.sub(lambda found: str(_referenced(found[1], answers)), value)


def _referenced(reference: str, answers: Mapping[str, Any]) -> Any:
    step, *path = reference.split(".")
    if step not in answers:
        raise KeyError(f"${{{reference}}}: no step {step!r} before this one")
    found = answers[step]
    for part in path:
        try:
            found = found[int(part) if isinstance(found, list) else part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise KeyError(f"${{{reference}}}: there is no {part!r} in {found!r}") from None
    return found
