"""Find methods of PVE's API by plain words: "migrate a vm", "who may do what", "grow a disk"."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from proxmox_mcp.api.words import (
    ACTIONS,
    compound_words,
    gloss_words,
    is_verb,
    meanings,
    method_words,
    segment_words,
    stem,
    words_of,
)

# What a match is worth, by where the word stands.
_LAST, _OTHER, _GLOSS, _METHOD, _PARAMETER, _COMPOUND = 3.0, 1.6, 1.2, 2.8, 0.4, 2.4
_BY_MEANING = 0.75
_RIGHT_VERB, _WRONG_VERB = 1.5, 1.2
_UNASKED = 0.55
_UNMET = 0.6
"""How much of its worth a method loses that answers to none of the words."""
# Where most of the API is: that such a part was not asked for says nothing.
_COMMON = frozenset({"nodes", "cluster", "status", "current", "config"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A method, as it is looked for."""

    verb: str
    path: str
    terms: Mapping[str, float]
    literals: tuple[str, ...]
    acts: frozenset[str]
    """The verbs whose words it answers to: its own; and PUT, for a POST where nothing else changes what is there."""


class Index:
    """All methods by their words.

    Args:
        methods: verb, path and names of the parameters of each.
    """

    def __init__(self, methods: Iterable[tuple[str, str, Iterable[str]]]) -> None:
        listed = [(verb, path, tuple(parameters)) for verb, path, parameters in methods]
        known = frozenset(part for _, path, _ in listed for part in _literals(path) if len(part) > 2 and part.isalpha())
        puts = {path for verb, path, _ in listed if verb == "PUT"}
        self._entries = [
            _entry(verb, path, parameters, known, {"PUT"} if verb == "POST" and path not in puts else set())
            for verb, path, parameters in listed
        ]
        counts = Counter(term for entry in self._entries for term in entry.terms)
        self._rarity = {term: math.log(1 + len(self._entries) / count) for term, count in counts.items()}

    def search(self, phrase: str, limit: int) -> list[tuple[str, str]]:
        """The verbs and paths that fit a phrase best, the best first; none where no word fits."""
        words = list(words_of(phrase))
        verbs = {verb for verb, actions in ACTIONS.items() if actions & set(words)}
        wanted = [(stem(word), meanings(word)) for word in words if not is_verb(word)]
        scored = [(self._score(entry, wanted, verbs), entry) for entry in self._entries]
        found = [(score, entry) for score, entry in scored if score > 0]
        found.sort(key=lambda pair: (-pair[0], *_usual_first(pair[1].path), pair[1].verb))
        return [(entry.verb, entry.path) for _, entry in found[:limit]]

    def _score(self, entry: Entry, wanted: list[tuple[str, set[str]]], verbs: set[str]) -> float:
        score, matched, hits = 0.0, set(), 0
        for own, also in wanted:
            best, by = 0.0, ""
            for term, share in [(own, 1.0), *((term, _BY_MEANING) for term in also)]:
                worth = share * entry.terms.get(term, 0.0) * self._rarity.get(term, 0.0)
                if worth > best:
                    best, by = worth, term
            score += best
            hits += best > 0
            matched.add(by)
            matched.update(also & entry.terms.keys())
        if score == 0:
            return 0
        score *= 1 - _UNMET * (1 - hits / len(wanted))
        if verbs:
            score += _RIGHT_VERB if entry.acts & verbs else -_WRONG_VERB
        unasked = [part for part in entry.literals if part not in _COMMON and not segment_words(part) & matched]
        return score - _UNASKED * len(unasked) - 0.05 * entry.path.count("/")


def _usual_first(path: str) -> tuple[int, str]:
    """What orders methods that fit alike: the shorter path, and of VMs before that of containers."""
    shown = path.replace("/qemu", "/a")
    return len(shown), shown


def _literals(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.strip("/").split("/") if part and not part.startswith("{"))


def _entry(verb: str, path: str, parameters: Iterable[str], known: frozenset[str], also: set[str]) -> Entry:
    literals = _literals(path)
    terms: dict[str, float] = {}

    def take(words: Iterable[str], worth: float) -> None:
        for word in words:
            terms[word] = max(terms.get(word, 0.0), worth)

    for name in parameters:
        take(segment_words(name.removesuffix("[n]")), _PARAMETER)
    take(method_words(verb, path), _METHOD)
    for position, part in enumerate(literals):
        last = position == len(literals) - 1
        take(gloss_words(part), _GLOSS if last else _GLOSS / 2)
        take(compound_words(part, known), _COMPOUND if last else _COMPOUND / 2)
        take(segment_words(part), _LAST if last else _OTHER)
    return Entry(verb, path, terms, literals, frozenset({verb, *also}))


@cache
def index() -> Index:
    """The index of the API that this server knows, made when it is first asked."""
    # The contract costs time to read, which a server should not spend before it is asked.
    from pvesim.contract import Contract

    methods = Contract.load().methods
    return Index((method.verb, method.path, [name for name, _ in method.parameters.entries()]) for method in methods)
