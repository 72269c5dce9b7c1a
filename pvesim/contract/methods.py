"""The methods of PVE's API, read from the facts file as they are first needed.

A facts file has one line for each path. Loading indexes the lines; a path's methods are parsed when the path is first
asked for, and a method's parameters are compiled when it is first called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson

from pvesim.contract.permissions import Rule, compile_rule
from pvesim.contract.schema import Fields, Schema, schema_of
from pvesim.contract.typed_rules import LATER_PARAMETERS

DATA = Path(__file__).parent / "data" / "pve-9.1.json"


class Method:
    """One verb of one path.

    `parameters` includes those that stand in the path. `returns` is the schema of `data` in the answer.
    """

    __slots__ = ("_facts", "_parameters", "_returns", "_rule", "path", "verb")

    def __init__(self, verb: str, path: str, facts: dict[str, Any]) -> None:
        self.verb = verb
        self.path = path
        self._facts = facts
        self._parameters: Fields | None = None
        self._returns: Schema | None = None
        self._rule: Rule | None = None

    def __repr__(self) -> str:
        return f"<Method {self.verb} {self.path}>"

    @property
    def parameters(self) -> Fields:
        """The schemas of all parameters by name."""
        if self._parameters is None:
            facts = {**self._facts["parameters"], **LATER_PARAMETERS.get((self.verb, self.path), {})}
            self._parameters = Fields(facts, additional=bool(self._facts.get("additional")))
        return self._parameters

    @property
    def returns(self) -> Schema:
        """The schema of the answer's `data`."""
        if self._returns is None:
            self._returns = schema_of(self._facts["returns"])
        return self._returns

    @property
    def rule(self) -> Rule:
        """Who may call it, for `pvesim.contract.permissions.evaluate`."""
        if self._rule is None:
            self._rule = compile_rule(self._facts.get("permissions"))
        return self._rule

    @property
    def permissions(self) -> dict[str, Any] | None:
        """The published permission expression; None means that only root@pam may call the method."""
        facts: dict[str, Any] | None = self._facts.get("permissions")
        return facts

    @property
    def world(self) -> bool:
        """Whether it may be called without logging in."""
        return (self.permissions or {}).get("user") == "world"

    @property
    def protected(self) -> bool:
        """Whether PVE runs it in the privileged daemon."""
        return bool(self._facts.get("protected"))

    @property
    def proxyto(self) -> str | None:
        """The name of the parameter that says which node has to answer, or None."""
        name: str | None = self._facts.get("proxyto")
        return name

    @property
    def allowtoken(self) -> bool:
        """Whether an API token may be used; otherwise it takes a ticket."""
        return bool(self._facts.get("allowtoken"))

    @property
    def download_allowed(self) -> bool:
        """Whether PVE may answer with a file instead of JSON."""
        return bool(self._facts.get("download_allowed"))

    @property
    def child_link(self) -> str | None:
        """The key of each element of the answer that names a child of this path, such as `subdir`, or None."""
        for link in self._facts["returns"].get("links", ()):
            if link["rel"] == "child":
                href: str = link["href"]
                return href.strip("{}")
        return None


class _Node:
    """One step of the tree of paths."""

    __slots__ = ("literals", "methods", "path", "placeholder", "placeholder_name", "spans", "text")

    def __init__(self, path: str) -> None:
        self.path = path
        self.literals: dict[str, _Node] = {}
        self.placeholder: _Node | None = None
        self.placeholder_name = ""
        # A volume's name has a slash of its own, which clients send raw as often as encoded.
        self.spans = path.endswith("/{volume}")
        self.text: memoryview | None = None
        self.methods: dict[str, Method] | None = None

    def load(self) -> dict[str, Method]:
        if self.methods is None:
            facts = orjson.loads(self.text) if self.text is not None else {}
            # The text stays: another thread may be reading it at this moment, to the same result.
            self.methods = {verb: Method(verb, self.path, fact) for verb, fact in facts.items()}
        return self.methods

    def child(self, part: str) -> _Node:
        if not part.startswith("{"):
            return self.literals.setdefault(part, _Node(f"{self.path}/{part}"))
        if self.placeholder is None:
            self.placeholder = _Node(f"{self.path}/{part}")
            self.placeholder_name = part.strip("{}")
        return self.placeholder


class Contract:
    """All methods of one PVE release."""

    _loaded: ClassVar[dict[Path, Contract]] = {}

    def __init__(self, text: bytes) -> None:
        self._root = _Node("")
        self._by_path: dict[str, _Node] = {"/": self._root}
        view = memoryview(text)
        start = 0
        for line in text.splitlines(keepends=True):
            if line.startswith(b'"'):
                colon = line.index(b'":') + 1
                end = start + len(line.rstrip(b",\n"))
                self._add(line[1 : colon - 1].decode(), view[start + colon + 1 : end])
            start += len(line)

    @classmethod
    def load(cls, path: Path = DATA) -> Contract:
        """The contract in `path`, read once per process."""
        contract = cls._loaded.get(path)
        if contract is None:
            contract = cls._loaded[path] = cls(path.read_bytes())
        return contract

    def _add(self, path: str, text: memoryview) -> None:
        node = self._root
        for part in path.split("/")[1:]:
            node = node.child(part)
        node.text = text
        self._by_path[path] = node

    def _walk(self, parts: Sequence[str]) -> tuple[_Node, dict[str, str]] | None:
        node = self._root
        found: dict[str, str] = {}
        for position, part in enumerate(parts):
            literal = node.literals.get(part)
            if literal is not None:
                node = literal
                continue
            child = node.placeholder
            if child is None or not part:
                return None
            found[node.placeholder_name] = part
            node = child
            if node.spans:
                found["volume"] = "/".join(parts[position:])
                break
        return node, found

    def find(self, verb: str, parts: Sequence[str]) -> tuple[Method, dict[str, str]] | None:
        """The method that `verb` of the path in `parts` means, and the values of the path's placeholders.

        `parts` are percent-decoded, without empty ones. A literal name wins over a placeholder. None if PVE has no
        such path, or not with this verb.
        """
        reached = self._walk(parts)
        if reached is None:
            return None
        method = (reached[0].methods or reached[0].load()).get(verb)
        return None if method is None else (method, reached[1])

    def verbs(self, path: str) -> list[str]:
        """The verbs of a path template such as `/nodes/{node}/qemu`; none for a path that PVE does not have."""
        node = self._by_path.get(path)
        return [] if node is None else sorted(node.load())

    def method(self, verb: str, path: str) -> Method:
        """The method by its path template. Raises KeyError with both if there is none."""
        node = self._by_path.get(path)
        method = None if node is None else node.load().get(verb)
        if method is None:
            raise KeyError(f"{verb} {path}")
        return method

    def children(self, path: str) -> list[str]:
        """The literal names below a path template, sorted: what an index lists. `/` is the root."""
        node = self._root
        for part in path.strip("/").split("/") if path.strip("/") else ():
            step = node.placeholder if part.startswith("{") else node.literals.get(part)
            if step is None:
                return []
            node = step
        return sorted(node.literals)

    @property
    def paths(self) -> list[str]:
        """Every path template that has a method."""
        return sorted(path for path, node in self._by_path.items() if node.load())

    @property
    def methods(self) -> Iterator[Method]:
        """Every method, by path and verb. Parses the whole facts file."""
        for path in self.paths:
            methods = self._by_path[path].load()
            for verb in sorted(methods):
                yield methods[verb]
