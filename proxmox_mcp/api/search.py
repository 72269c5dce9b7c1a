"""Find methods of PVE's API by plain words: "migrate a vm", "who may do what", "grow a disk"."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from proxmox_mcp.api.words import ACTIONS, gloss_words, is_verb, meanings, method_words, segment_words, stem, words_of

# What a match is worth, by where the word stands.
_LAST, _OTHER, _GLOSS, _METHOD, _PARAMETER = 3.0, 1.6, 1.2, 2.8, 0.25
_BY_MEANING = 0.75
_RIGHT_VERB, _WRONG_VERB = 1.5, 1.2
_UNASKED = 0.55
# Where most of the API is: that such a part was not asked for says nothing.
_COMMON = frozenset({"nodes", "cluster", "status", "current", "config"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A method, as it is looked for."""

    verb: str
    path: str
    terms: Mapping[str, float]
    literals: tuple[str, ...]


class Index:
    """All methods by their words.

    Args:
        methods: verb, path and names of the parameters of each.
    """

    def __init__(self, methods: Iterable[tuple[str, str, Iterable[str]]]) -> None:
        self._entries = [_entry(verb, path, parameters) for verb, path, parameters in methods]
        counts = Counter(term for entry in self._entries for term in entry.terms)
        self._rarity = {term: math.log(1 + len(self._entries) / count) for term, count in counts.items()}

    def search(self, phrase: str, limit: int) -> list[tuple[str, str]]:
        """The verbs and paths that fit a phrase best, the best first; none where no word fits."""
        words = list(words_of(phrase))
        verbs = {verb for verb, actions in ACTIONS.items() if actions & set(words)}
        wanted = [(stem(word), meanings(word)) for word in words if not is_verb(word)]
        scored = [(self._score(entry, wanted, verbs), entry) for entry in self._entries]
        found = [(score, entry) for score, entry in scored if score > 0]
        found.sort(key=lambda pair: (-pair[0], len(pair[1].path), pair[1].path.replace("/qemu", "/a"), pair[1].verb))
        return [(entry.verb, entry.path) for _, entry in found[:limit]]

    def _score(self, entry: Entry, wanted: list[tuple[str, set[str]]], verbs: set[str]) -> float:
        score, matched = 0.0, set()
        for own, also in wanted:
            best, by = 0.0, ""
            for term, share in [(own, 1.0), *((term, _BY_MEANING) for term in also)]:
                worth = share * entry.terms.get(term, 0.0) * self._rarity.get(term, 0.0)
                if worth > best:
                    best, by = worth, term
            score += best
            matched.add(by)
            matched.update(also & entry.terms.keys())
        if score == 0:
            return 0
        if verbs:
            score += _RIGHT_VERB if entry.verb in verbs else -_WRONG_VERB
        unasked = [part for part in entry.literals if part not in _COMMON and not segment_words(part) & matched]
        return score - _UNASKED * len(unasked) - 0.05 * entry.path.count("/")


def _entry(verb: str, path: str, parameters: Iterable[str]) -> Entry:
    parts = path.strip("/").split("/")
    literals = tuple(part for part in parts if part and not part.startswith("{"))
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
        take(segment_words(part), _LAST if last else _OTHER)
    return Entry(verb, path, terms, literals)


@cache
def index() -> Index:
    """The index of the API that this server knows, made when it is first asked."""
    # The contract costs time to read, which a server should not spend before it is asked.
    from pvesim.contract import Contract

    methods = Contract.load().methods
    return Index((method.verb, method.path, [name for name, _ in method.parameters.entries()]) for method in methods)
