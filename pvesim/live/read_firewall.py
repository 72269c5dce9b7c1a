"""The firewall of the cluster, its security groups, the nodes and the guests."""

from __future__ import annotations

from typing import Any

from pvesim.live.reader import Reader, without

_OF_THE_LIST = ("digest", "ipversion", "pos")


def read_firewall(reader: Reader, scenario: dict[str, Any]) -> None:
    """Fill in the firewall."""
    firewall: dict[str, Any] = {}
    cluster = _scope(reader, "/cluster/firewall", names=True)
    if cluster:
        firewall["cluster"] = cluster
    groups = {}
    for row in reader.list("/cluster/firewall/groups"):
        rules = [without(rule, _OF_THE_LIST) for rule in reader.list(f"/cluster/firewall/groups/{row['group']}")]
        groups[row["group"]] = {"comment": row.get("comment", ""), "rules": rules}
    if groups:
        firewall["groups"] = groups
    nodes = {
        name: _scope(reader, f"/nodes/{name}/firewall", names=False)
        for name in scenario["nodes"]
        if name not in reader.offline
    }
    guests = {}
    for section, kind in (("vms", "qemu"), ("containers", "lxc")):
        for vmid, guest in scenario[section].items():
            guests[vmid] = _scope(reader, f"/nodes/{guest['node']}/{kind}/{vmid}/firewall", names=True)
    for part, scopes in (("nodes", nodes), ("guests", guests)):
        told = {name: scope for name, scope in scopes.items() if scope}
        if told:
            firewall[part] = told
    scenario["firewall"] = firewall


def _scope(reader: Reader, path: str, *, names: bool) -> dict[str, Any]:
    scope: dict[str, Any] = {
        "options": without(reader.mapping(f"{path}/options"), ("digest",)),
        "rules": [without(rule, _OF_THE_LIST) for rule in reader.list(f"{path}/rules")],
    }
    if names:
        scope["aliases"] = {
            row["name"]: {"cidr": row["cidr"], "comment": row.get("comment", "")}
            for row in reader.list(f"{path}/aliases")
        }
        scope["ipsets"] = {row["name"]: _ipset(reader, path, row) for row in reader.list(f"{path}/ipset")}
    return {name: part for name, part in scope.items() if part}


def _ipset(reader: Reader, path: str, row: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"cidr": entry["cidr"], "comment": entry.get("comment", ""), "nomatch": bool(entry.get("nomatch"))}
        for entry in reader.list(f"{path}/ipset/{row['name']}")
    ]
    return {"comment": row.get("comment", ""), "entries": entries}
