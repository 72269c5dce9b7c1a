"""The same reads asked of two clusters, and what they answer differently.

Figures that never stand still (loads, counters, process ids, digests) are not compared, nor is the order of lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pvesim.live.source import Source, Unreadable

_RESTLESS = frozenset(
    (
        *("active-state", "available", "avail", "cpu", "ctime", "digest", "disk", "diskread", "diskwrite", "dtime"),
        *("endtime", "free", "idle", "ksm", "level", "loadavg", "local", "localtime", "mem", "memhost"),
        *("netin", "netout", "nics", "pid", "pressurecpufull", "pressurecpusome", "pressureiofull"),
        *(
            "pressureiosome",
            "pressurememoryfull",
            "pressurememorysome",
            "pstart",
            "saved",
            "snaptime",
            "ssl_fingerprint",
            "starttime",
        ),
        *("starttimes", "time", "upid", "uptime", "used", "used_fraction", "user_hz", "wait", "waittime"),
    )
)
# What PVE itself notes in a guest's configuration.
_NOTED = frozenset(("digest", "meta"))
# What tells the entries of a list apart; the first that all of them have.
_IDENTITIES = (
    *("vmid", "volid", "upid", "sid", "rule", "pos", "roleid", "userid", "groupid", "poolid", "realm", "tokenid"),
    *("storage", "iface", "service", "cidr", "group", "key", "node", "name", "id", "subdir"),
)
_CLUSTER_PATHS = (
    *("/version", "/cluster/status", "/cluster/resources", "/cluster/options", "/cluster/ha/resources"),
    *("/cluster/ha/rules", "/cluster/firewall/options", "/cluster/firewall/rules", "/cluster/firewall/aliases"),
    *("/cluster/firewall/ipset", "/cluster/firewall/groups", "/cluster/backup", "/nodes", "/storage", "/pools"),
    *("/access/users", "/access/groups", "/access/roles", "/access/domains", "/access/acl"),
)
_NODE_PATHS = ("/status", "/version", "/qemu", "/lxc", "/storage", "/network", "/dns", "/time", "/config", "/services")
_GUEST_PATHS = ("/config", "/status/current", "/pending", "/snapshot", "/firewall/options", "/firewall/rules")
_CONFIGURED = ("/config", "/pending")
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: a field of the answer to a path, such as `data[100].name`; None where it is not there."""

    path: str
    field: str
    live: Any
    simulated: Any

    def words(self) -> str:
        """`GET /nodes data[pve1].maxcpu: 16, simulated 8`."""
        return f"GET {self.path} {self.field}: {_word(self.live)}, simulated {_word(self.simulated)}"

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many paths were read on both, and what was different."""

    paths: int
    findings: tuple[Finding, ...]


def compare(live: Source, simulated: Source) -> Comparison:
    """Ask both what the live side has to show. Raises `LiveError` where one cannot be asked at all."""
    findings: list[Finding] = []
    paths = list(_paths(live))
    for path in paths:
        findings.extend(_compared(path, _answer(live, path), _answer(simulated, path)))
    return Comparison(len(paths), tuple(findings))


def _paths(source: Source) -> Iterator[str]:
    yield from _CLUSTER_PATHS
    for node in sorted(_rows(source, "/nodes"), key=lambda row: str(row.get("node"))):
        if node.get("status") == "online":
            base = f"/nodes/{node['node']}"
            yield from (base + path for path in _NODE_PATHS)
            for storage in _rows(source, f"{base}/storage"):
                if storage.get("active"):
                    yield f"{base}/storage/{storage['storage']}/content"
    for row in _rows(source, "/cluster/resources"):
        if row.get("type") in ("qemu", "lxc"):
            yield from (f"/nodes/{row['node']}/{row['type']}/{row['vmid']}{path}" for path in _GUEST_PATHS)


def _rows(source: Source, path: str) -> list[dict[str, Any]]:
    try:
        return list(source.get(path) or [])
    except Unreadable:
        return []


def _answer(source: Source, path: str) -> tuple[int, Any]:
    """The status and the data; of a refusal only the status counts."""
    try:
        return 200, source.get(path)
    except Unreadable as error:
        return error.status, None


def _compared(path: str, live: tuple[int, Any], simulated: tuple[int, Any]) -> Iterator[Finding]:
    if live[0] != simulated[0]:
        yield Finding(path, "status", live[0], simulated[0])
    else:
        yield from _different(path, "data", live[1], simulated[1])


def _different(path: str, field: str, live: Any, simulated: Any) -> Iterator[Finding]:
    if isinstance(live, list) and isinstance(simulated, list):
        sides = _by_identity(live, simulated)
        if sides is None:
            if sorted(map(str, live)) != sorted(map(str, simulated)):
                yield Finding(path, field, live, simulated)
            return
        live, simulated, pattern = *sides, f"{field}[{{}}]"
    elif isinstance(live, Mapping) and isinstance(simulated, Mapping):
        pattern = f"{field}.{{}}"
    else:
        if live != simulated and not _same_number(live, simulated):
            yield Finding(path, field, live, simulated)
        return
    for name in {**live, **simulated}:
        if name in (_RESTLESS if pattern.endswith(".{}") else ()) or (name in _NOTED and path.endswith(_CONFIGURED)):
            continue
        one, other = live.get(name, _ABSENT), simulated.get(name, _ABSENT)
        if one is _ABSENT or other is _ABSENT:
            values = [None if value is _ABSENT else value for value in (one, other)]
            if values != [None, None]:
                yield Finding(path, pattern.format(name), *values)
        else:
            yield from _different(path, pattern.format(name), one, other)


def _by_identity(live: list[Any], simulated: list[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Both lists by what tells their entries apart; None if nothing does."""
    entries = [*live, *simulated]
    if not entries or not all(isinstance(entry, Mapping) for entry in entries):
        return None
    names = [name for name in _IDENTITIES if any(name in entry for entry in entries)]
    sides = []
    for rows in (live, simulated):
        keyed = {_identity(row, names): row for row in rows}
        if len(keyed) != len(rows):
            keyed = {" ".join(str(row.get(name, "")) for name in names if name in row): row for row in rows}
        if len(keyed) != len(rows):
            return None
        sides.append(keyed)
    return sides[0], sides[1]


def _identity(row: Mapping[str, Any], names: list[str]) -> str:
    if "type" in row and "id" in row:  # /cluster/resources and /cluster/status hold things of many kinds
        return str(row["id"])
    return str(next((row[name] for name in names if name in row), ""))


def _same_number(one: Any, other: Any) -> bool:
    """PVE writes some numbers as texts in one release and not in another."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return False
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return False


def _word(value: Any) -> str:
    if value is None:
        return "nothing"
    text = str(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
