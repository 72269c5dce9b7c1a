"""A scenario without what tells whose cluster it is: the same names always become the same others.

Replaced are names (cluster, nodes, guests, storages, pools, users, groups, tokens, roles, realms, tags, firewall
objects, HA rules, snapshots), host names and domains, IP addresses (their networks stay networks), MAC addresses and
UUIDs, paths and shares of storages, and the names of ISO files and templates. Taken out are comments, descriptions,
notes, e-mail addresses, keys, passwords, the lines of task logs and what an agent would answer. Ids of guests stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

_TAKEN_OUT = frozenset(
    (
        *("args", "cipassword", "ciuser", "client-key", "comment", "comments", "comments6", "description", "email"),
        *("email_from", "encryption-key", "fingerprint", "firstname", "hookscript", "http_proxy", "keyring"),
        *("lastname", "master-pubkey", "notes", "password", "registered-tags", "root_password", "secret"),
        *("ssh-public-keys", "sshkeys", "tag-style", "user-tag-access"),
    )
)
# The keys of these parts are names of things; elsewhere they are names of fields.
_NAMED = frozenset(
    ("aliases", "groups", "ipsets", "nodes", "pools", "realms", "roles", "rules", "storages", "tokens", "users")
)
_OF_AGENTS = frozenset(("addresses", "commands", "files"))
_USUAL_STORAGES = ("local", "local-lvm", "local-zfs")
_USUAL_REALMS = ("pam", "pve")
_MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b")
_IPV4 = re.compile(r"(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@!-]*[A-Za-z0-9_]|[A-Za-z0-9_]")
_FILE = re.compile(r"(?:(?<=:)|^)(iso|vztmpl|snippets|import)/([^,]+)")
_MOUNT = re.compile(r"(\bmp=|^(?=/[^,]*,.*\bmp=))(/[^,]+)")
_FOLDERS = ("backup", "images", "import", "iso", "snippets", "vztmpl")
_KEPT_NETWORKS = ("0.0.0.0", "127.0.0.0")
_HOST_KEYS = frozenset(("monhost", "portal", "server", "server1", "server2"))
_DOMAIN_KEYS = frozenset(("domain", "search", "searchdomain"))
_LDAP_KEYS = frozenset(("base_dn", "bind_dn", "filter", "group_dn", "group_filter"))
_PLACE_KEYS = frozenset(
    (
        *("client-id", "datastore", "export", "issuer-url", "namespace", "path", "pool", "share", "subdir"),
        *("target", "thinpool", "username", "vgname"),
    )
)
_USUAL_PLACES = frozenset(("/var/lib/vz", "data", "pve", "rbd", "rpool/data"))
# Their values are words of PVE's own, whatever anything is called.
_VOCABULARY = frozenset(
    (
        *("arch", "bios", "boot", "boot_mode", "compress", "content", "cpu", "cpu_flags", "cpu_model"),
        *("cpu_vendor", "features", "keyboard", "kind", "log", "machine", "macro", "name", "ostype", "proto"),
        *("scsihw", "state", "status", "type", "unit_state", "vga"),
    )
)


def anonymised(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """The scenario with everything that names replaced. The same input gives the same output, always."""
    maker = _Anonymiser(_in_order(scenario))
    maker.done(_in_order(scenario))  # everything has its number now, whatever order the keys have here
    return maker.done(scenario)


def _in_order(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _in_order(value[name]) for name in sorted(value, key=str)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


class _Anonymiser:
    """Names are numbered in the order in which they are first seen."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        self._scenario = scenario
        self._names: dict[str, str] = {}
        self._hosts: dict[str, str] = {}
        self._networks: dict[str, str] = {}
        self._networks6: dict[str, str] = {}
        self._addresses6: dict[str, str] = {}
        self._macs: dict[str, str] = {}
        self._uuids: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._collect()
        self._folded = {name.lower(): other for name, other in self._names.items()}

    # -- names ---------------------------------------------------------------------------------------------------------

    def _number(self, names: Iterable[str], pattern: str, kept: Iterable[str] = ()) -> None:
        number = 0
        for name in names:
            if name not in self._names and name not in kept:
                number += 1
                self._names[name] = pattern.format(number)

    def _collect(self) -> None:
        data = self._scenario
        cluster = data.get("cluster", {}).get("name")
        if cluster and cluster != "cluster":
            self._names[cluster] = "cluster"
        self._number(data.get("nodes", {}), "node{}")
        self._number(data.get("storages") or {}, "storage{}", _USUAL_STORAGES)
        self._number(data.get("realms", {}), "realm{}", _USUAL_REALMS)
        self._number(data.get("groups", {}), "group{}")
        self._number(data.get("roles", {}), "role{}")
        self._collect_pools(data.get("pools", {}))
        self._collect_users(data.get("users", {}))
        firewall = data.get("firewall", {})
        self._number(firewall.get("groups", {}), "rules{}")
        scopes = [firewall.get("cluster", {}), *firewall.get("guests", {}).values()]
        self._number((name for scope in scopes for name in scope.get("aliases", {})), "alias{}")
        self._number((name for scope in scopes for name in scope.get("ipsets", {})), "ipset{}")
        self._number(data.get("ha", {}).get("rules", {}), "rule{}")

    def _collect_pools(self, pools: Iterable[str]) -> None:
        self._number(dict.fromkeys(part for pool in pools for part in pool.split("/")), "pool{}")

    def _collect_users(self, users: Mapping[str, Any]) -> None:
        number = 0
        tokens: dict[str, None] = {}
        for userid, user in users.items():
            tokens.update(dict.fromkeys(user.get("tokens", {})))
            if userid != "root@pam":
                number += 1
                realm = userid.rpartition("@")[2]
                self._names[userid] = f"user{number}@{self._names.get(realm, realm)}"
        self._number(tokens, "token{}")

    # -- the walk ------------------------------------------------------------------------------------------------------

    def done(self, scenario: Mapping[str, Any]) -> dict[str, Any]:
        """The scenario anew."""
        data = {name: part for name, part in scenario.items() if name not in ("description", "contract")}
        for section, key in (("vms", "name"), ("containers", "hostname")):
            guests = data.get(section, {})
            data[section] = {vmid: self._guest(vmid, guest, key) for vmid, guest in guests.items()}
        data["tasks"] = [_task(task) for task in data.get("tasks", [])]
        data["nodes"] = {
            name: {key: value for key, value in node.items() if key != "hosts"}
            for name, node in data.get("nodes", {}).items()
        }
        acl = [{key: self._walk(value) for key, value in entry.items()} for entry in data.pop("acl", [])]
        walked: dict[str, Any] = self._walk({name: part for name, part in data.items() if part})
        walked["acl"] = acl
        if walked.get("cluster", {}).get("name"):
            walked["cluster"]["name"] = "cluster"
        return {"description": "An anonymised cluster.", **walked}

    def _guest(self, vmid: Any, guest: Mapping[str, Any], key: str) -> dict[str, Any]:
        name = f"{'vm' if key == 'name' else 'ct'}-{vmid}"
        made = {part: value for part, value in guest.items() if part != "snapshots"}
        for part in ("config", "pending"):
            if part in made:
                made[part] = self._config(made[part], key, name)
        snapshots = guest.get("snapshots", [])
        names = {snapshot["name"]: f"snapshot{number}" for number, snapshot in enumerate(snapshots, 1)}
        if "parent" in made.get("config", {}):
            made["config"]["parent"] = names.get(made["config"]["parent"], "snapshot1")
        if snapshots:
            made["snapshots"] = [self._snapshot(snapshot, names, key, name) for snapshot in snapshots]
        return made

    def _snapshot(self, snapshot: Mapping[str, Any], names: Mapping[str, str], key: str, name: str) -> dict[str, Any]:
        made = {**snapshot, "name": names[snapshot["name"]]}
        if "parent" in made:
            made["parent"] = names[made["parent"]]
        if "config" in made:
            made["config"] = self._config(made["config"], key, name)
        return made

    def _config(self, config: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
        made = dict(config)
        if made.get(key) is not None:
            made[key] = name
        if made.get("tags"):
            tags = [tag for tag in re.split(r"[;, ]", str(made["tags"])) if tag]
            made["tags"] = ";".join(self._numbered(self._tags, tag, "tag{}") for tag in tags)
        if made.get("smbios1"):  # it may name a maker and a serial number too
            made["smbios1"] = ",".join(part for part in str(made["smbios1"]).split(",") if part.startswith("uuid="))
        return {option: value for option, value in made.items() if value != ""}

    def _walk(self, value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            return {
                self._text(name, "") if key in _NAMED and isinstance(name, str) else name: self._walk(item, str(name))
                for name, item in value.items()
                if not _goes(str(name), item, key)
            }
        if isinstance(value, list):
            return [self._walk(item, key) for item in value]
        return self._text(value, key) if isinstance(value, str) else value

    # -- texts ---------------------------------------------------------------------------------------------------------

    def _text(self, text: str, key: str) -> str:
        if key in _LDAP_KEYS:
            return "dc=example,dc=test"
        if key in _DOMAIN_KEYS:
            return "example.test"
        if key in _PLACE_KEYS and text not in _USUAL_PLACES and text not in self._names:
            return self._place(text, key)
        if key in _HOST_KEYS and not _IPV4.search(text) and not _IPV6.search(text):
            return self._numbered(self._hosts, text, "host{}.example.test")
        text = _UUID.sub(lambda match: self._uuid(match[0]), text)
        text, macs = _MAC.subn(lambda match: self._mac(match[0]), text)
        if not macs:
            text = _IPV6.sub(lambda match: self._ipv6(match[0]), text)
        text = _IPV4.sub(lambda match: self._ipv4(match[0]), text)
        text = _FILE.sub(self._file, text)
        text = _MOUNT.sub(lambda match: match[1] + self._place(match[2], "mount point"), text)
        return text if key in _VOCABULARY else _WORD.sub(lambda match: self._word(match, text), text)

    def _word(self, match: re.Match[str], text: str) -> str:
        word, after = match[0], text[match.end() : match.end() + 1]
        # What stands before "=" is an option's name; a volume's folder is not the storage that is called so.
        if after == "=" or (after == "/" and word in _FOLDERS):
            return word
        user, mark, token = word.partition("!")
        if mark:
            return f"{self._names.get(user, user)}!{self._names.get(token, token)}"
        return self._names.get(word) or self._folded.get(word.lower()) or word

    def _numbered(self, known: dict[str, str], name: str, pattern: str) -> str:
        if name not in known:
            known[name] = pattern.format(len(known) + 1)
        return known[name]

    def _ipv4(self, text: str) -> str:
        try:
            address = int(ipaddress.IPv4Address(text))
        except ValueError:
            return text
        network = str(ipaddress.IPv4Address(address & ~0xFF))
        if network in _KEPT_NETWORKS or text.startswith("255."):
            return text
        if network not in self._networks:
            number = len(self._networks)
            self._networks[network] = f"10.{100 + number // 256}.{number % 256}."
        return f"{self._networks[network]}{address & 0xFF}"

    def _ipv6(self, text: str) -> str:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            return text
        if address.is_loopback or address.is_unspecified:
            return text
        network = int(self._numbered(self._networks6, f"{int(address) >> 64:x}", "{:d}"))
        host = int(self._numbered(self._addresses6, str(address), "{:d}")) if int(address) & ((1 << 64) - 1) else 0
        return str(ipaddress.IPv6Address((0xFD00 << 112) | (network << 64) | host))

    def _mac(self, text: str) -> str:
        number = int(self._numbered(self._macs, text.upper(), "{:d}"))
        return f"BC:24:11:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"

    def _uuid(self, text: str) -> str:
        return self._numbered(self._uuids, text.lower(), "00000000-0000-4000-8000-{:012x}")

    def _place(self, text: str, key: str) -> str:
        start = {"target": "iqn.2026-01.test.example:", "issuer-url": "https://example.test/"}.get(key, "")
        start = "/srv/" if text.startswith("/") else start
        end = "@pbs" if key == "username" else ""
        return self._numbered(self._places, f"{key} {text}", f"{start}place{{}}{end}")

    def _file(self, match: re.Match[str]) -> str:
        ending = re.search(r"(\.tar)?\.[A-Za-z0-9]+$", match[2])
        name = self._numbered(self._files, match[2], "file{}")
        # A template's name is read: system, version, architecture.
        return f"{match[1]}/{name}{'-1_amd64' if match[1] == 'vztmpl' else ''}{ending[0] if ending else ''}"


def _goes(name: str, value: Any, below: str) -> bool:
    """Whether a field is taken out. A thing may well be called as a field is, and is a mapping then."""
    return (name in _TAKEN_OUT and not isinstance(value, Mapping)) or (below == "behaviour" and name in _OF_AGENTS)


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task without its lines. What it failed with may quote anything, so that it failed is all that is told."""
    made = {key: value for key, value in task.items() if key != "log"}
    warnings = re.fullmatch(r"WARNINGS: (\d+)", task["status"])
    if warnings:
        made["log"] = ["WARN: anonymised"] * int(warnings[1])
    elif task["status"] != "OK":
        made["status"] = "failed"
    return made
