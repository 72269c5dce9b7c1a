"""Property strings that the published schema gives by name only: the fields of each, as facts.

The form is that of the facts file: name of the field → type, bounds, enumeration, pattern, format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pvesim.contract.format_errors import FormatError

_Fields = dict[str, dict[str, Any]]

_BOOLEAN: dict[str, Any] = {"type": "boolean", "optional": 1}
_TEXT: dict[str, Any] = {"type": "string", "optional": 1}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0, "optional": 1}
_AMOUNT: dict[str, Any] = {"type": "integer", "optional": 1}
_RATE: dict[str, Any] = {"type": "number", "optional": 1}
_DURATION: dict[str, Any] = {"type": "integer", "minimum": 1, "optional": 1}
_BASE64: dict[str, Any] = {"type": "string", "pattern": r"[A-Za-z0-9+\/]+={0,2}", "optional": 1}
_SNIPPET: dict[str, Any] = {"type": "string", "format": "pve-volume-id", "optional": 1}
_HEX_ID: dict[str, Any] = {"type": "string", "pattern": "(?^:^0x[0-9a-fA-F]{4}$)", "optional": 1}

_CPU_MODEL_NAMES = (
    "486 athlon Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS Cascadelake-Server "
    "Cascadelake-Server-noTSX Cascadelake-Server-v2 Cascadelake-Server-v4 Cascadelake-Server-v5 ClearwaterForest "
    "Conroe Cooperlake Cooperlake-v2 core2duo coreduo EPYC EPYC-Genoa EPYC-Genoa-v2 EPYC-IBPB EPYC-Milan "
    "EPYC-Milan-v2 EPYC-Milan-v3 EPYC-Rome EPYC-Rome-v2 EPYC-Rome-v3 EPYC-Rome-v4 EPYC-Rome-v5 EPYC-Turin EPYC-v3 "
    "EPYC-v4 EPYC-v5 GraniteRapids GraniteRapids-v2 GraniteRapids-v3 Haswell Haswell-IBRS Haswell-noTSX "
    "Haswell-noTSX-IBRS host Icelake-Client Icelake-Client-noTSX Icelake-Server Icelake-Server-noTSX "
    "Icelake-Server-v3 Icelake-Server-v4 Icelake-Server-v5 Icelake-Server-v6 Icelake-Server-v7 IvyBridge "
    "IvyBridge-IBRS KnightsMill kvm32 kvm64 max Nehalem Nehalem-IBRS Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 "
    "Opteron_G5 Penryn pentium pentium2 pentium3 phenom qemu32 qemu64 SandyBridge SandyBridge-IBRS SapphireRapids "
    "SapphireRapids-v2 SapphireRapids-v3 SapphireRapids-v4 SierraForest SierraForest-v2 SierraForest-v3 "
    "Skylake-Client Skylake-Client-IBRS Skylake-Client-noTSX-IBRS Skylake-Client-v4 Skylake-Server "
    "Skylake-Server-IBRS Skylake-Server-noTSX-IBRS Skylake-Server-v4 Skylake-Server-v5 Westmere Westmere-IBRS "
    "x86-64-v2 x86-64-v2-AES x86-64-v3 x86-64-v4"
)
_CPU_MODELS = _CPU_MODEL_NAMES.split()


def _drive() -> _Fields:
    """What every drive of a VM may say."""
    fields: _Fields = {
        "file": {"type": "string", "format": "pve-volume-id-or-qm-path", "default_key": 1},
        "volume": {"alias": "file"},
        "aio": {"type": "string", "enum": ["native", "threads", "io_uring"], "optional": 1},
        "cache": {
            "type": "string",
            "enum": ["none", "writethrough", "writeback", "unsafe", "directsync"],
            "optional": 1,
        },
        "cyls": _AMOUNT,
        "discard": {"type": "string", "enum": ["ignore", "on"], "optional": 1},
        "format": {"type": "string", "enum": ["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"], "optional": 1},
        "heads": _AMOUNT,
        "import-from": {"type": "string", "format": "pve-volume-id-or-absolute-path", "optional": 1},
        "media": {"type": "string", "enum": ["cdrom", "disk"], "optional": 1},
        "model": {"type": "string", "format": "urlencoded", "maxLength": 120, "optional": 1},
        "rerror": {"type": "string", "enum": ["ignore", "report", "stop"], "optional": 1},
        "secs": _AMOUNT,
        "serial": {"type": "string", "format": "urlencoded", "maxLength": 60, "optional": 1},
        "size": {"type": "string", "format": "disk-size", "optional": 1},
        "trans": {"type": "string", "enum": ["none", "lba", "auto"], "optional": 1},
        "werror": {"type": "string", "enum": ["enospc", "ignore", "report", "stop"], "optional": 1},
        "wwn": {"type": "string", "pattern": "(?^:^(0x)[0-9a-fA-F]{16})", "optional": 1},
    }
    fields |= dict.fromkeys(("backup", "detect_zeroes", "replicate", "shared", "snapshot", "ssd"), _BOOLEAN)
    for direction in ("", "_rd", "_wr"):
        fields[f"bps{direction}"] = _AMOUNT
        fields[f"iops{direction}"] = _AMOUNT
        fields[f"iops{direction}_max"] = _AMOUNT
        fields[f"mbps{direction}"] = _RATE
        fields[f"mbps{direction}_max"] = _RATE
        for unit in ("bps", "iops"):
            fields[f"{unit}{direction}_max_length"] = _DURATION
            if direction:
                fields[f"{unit}{direction}_length"] = {"alias": f"{unit}{direction}_max_length"}
    return fields


NAMED_SCHEMAS: dict[str, _Fields] = {
    "backup-fleecing": {
        "enabled": {"type": "boolean", "default": 0, "optional": 1, "default_key": 1},
        "storage": {"type": "string", "format": "pve-storage-id", "optional": 1},
    },
    "backup-performance": {
        "max-workers": {"type": "integer", "minimum": 1, "maximum": 256, "default": 16, "optional": 1},
        "pbs-entries-max": {"type": "integer", "minimum": 1, "default": 1048576, "optional": 1},
    },
    "proxmox-remote": {
        "apitoken": {"type": "string"},
        "fingerprint": {"type": "string", "pattern": "([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}", "optional": 1},
        "host": {"type": "string", "format": "address"},
        "port": {"type": "integer", "optional": 1},
    },
    "prune-backups": {
        "keep-all": _BOOLEAN,
        **{f"keep-{span}": _COUNT for span in ("daily", "hourly", "last", "monthly", "weekly", "yearly")},
    },
    "pve-qemu-sev-fmt": {
        "type": {"type": "string", "enum": ["std", "es", "snp"], "default_key": 1},
        "allow-smt": _BOOLEAN,
        "kernel-hashes": _BOOLEAN,
        "no-debug": _BOOLEAN,
        "no-key-sharing": _BOOLEAN,
    },
    "pve-qemu-tdx-fmt": {
        "type": {"type": "string", "enum": ["tdx"], "default_key": 1},
        "attestation": {"type": "boolean", "default": 1},
        "vsock-cid": {"type": "integer", "minimum": 2, "default": 2, "optional": 1},
        "vsock-port": {"type": "integer", "minimum": 0, "optional": 1},
    },
    "pve-qm-boot": {
        "legacy": {"type": "string", "pattern": "[acdn]{1,4}", "optional": 1, "default_key": 1},
        "order": {"type": "string", "format": "pve-qm-bootdev-list", "optional": 1},
    },
    "pve-qm-cicustom": {"meta": _SNIPPET, "network": _SNIPPET, "user": _SNIPPET, "vendor": _SNIPPET},
    "pve-qm-hostpci": {
        "host": {
            "type": "string",
            "pattern": r"(?:[a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(?:.[a-f0-9])?"
            r"(?:;(?:[a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(?:.[a-f0-9])?)*",
            "optional": 1,
            "default_key": 1,
        },
        "mapping": {"type": "string", "format": "pve-configid", "optional": 1},
        "device-id": _HEX_ID,
        "driver": {"type": "string", "enum": ["vfio", "keep"], "optional": 1},
        "legacy-igd": _BOOLEAN,
        "mdev": {"type": "string", "pattern": r"[^/\.:]+", "optional": 1},
        "pcie": _BOOLEAN,
        "rombar": _BOOLEAN,
        "romfile": {"type": "string", "pattern": "[^,;]+", "optional": 1},
        "sub-device-id": _HEX_ID,
        "sub-vendor-id": _HEX_ID,
        "vendor-id": _HEX_ID,
        "x-vga": _BOOLEAN,
    },
    "pve-qm-ide": _drive(),
    "pve-qm-ipconfig": {
        "gw": {"type": "string", "format": "ipv4", "optional": 1, "requires": "ip"},
        "gw6": {"type": "string", "format": "ipv6", "optional": 1, "requires": "ip6"},
        "ip": {"type": "string", "format": "pve-ipv4-config", "optional": 1, "default": "dhcp"},
        "ip6": {"type": "string", "format": "pve-ipv6-config", "optional": 1, "default": "dhcp"},
    },
    "pve-qm-rng": {
        "source": {"type": "string", "enum": ["/dev/urandom", "/dev/random", "/dev/hwrng"], "default_key": 1},
        "max_bytes": {"type": "integer", "default": 1024, "optional": 1},
        "period": {"type": "integer", "default": 1000, "optional": 1},
    },
    "pve-qm-smbios1": {
        "base64": _BOOLEAN,
        "uuid": {
            "type": "string",
            "pattern": "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}",
            "optional": 1,
        },
        **dict.fromkeys(("family", "manufacturer", "product", "serial", "sku", "version"), _BASE64),
    },
    "pve-qm-watchdog": {
        "model": {"type": "string", "enum": ["i6300esb", "ib700"], "optional": 1, "default_key": 1},
        "action": {
            "type": "string",
            "enum": ["reset", "shutdown", "poweroff", "pause", "debug", "none"],
            "optional": 1,
        },
    },
    "pve-sdn-dhcp-range": {
        "start-address": {"type": "string", "format": "ip"},
        "end-address": {"type": "string", "format": "ip"},
    },
    "pve-tfa-config": {
        "type": {"type": "string", "enum": ["yubico", "oath"]},
        "id": _TEXT,
        "key": _TEXT,
        "url": _TEXT,
        "digits": {"type": "integer", "minimum": 6, "maximum": 8, "default": 6, "optional": 1},
        "step": {"type": "integer", "minimum": 10, "default": 30, "optional": 1},
    },
    "pve-vm-cpu-conf": {
        "cputype": {"type": "string", "default": "kvm64", "optional": 1, "default_key": 1},
        "flags": {"type": "string", "pattern": r"(?^:[+-][a-zA-Z0-9\-_.]+(;[+-][a-zA-Z0-9\-_.]+)*)", "optional": 1},
        "guest-phys-bits": {"type": "integer", "minimum": 32, "maximum": 64, "optional": 1},
        "hidden": _BOOLEAN,
        "hv-vendor-id": {"type": "string", "pattern": "[a-zA-Z0-9]{1,12}", "optional": 1},
        "phys-bits": {"type": "string", "format": "pve-phys-bits", "optional": 1},
        "reported-model": {"type": "string", "enum": _CPU_MODELS, "default": "kvm64", "optional": 1},
    },
    "realm-sync-options": {
        "enable-new": {"type": "boolean", "default": 1, "optional": 1},
        "full": _BOOLEAN,
        "purge": _BOOLEAN,
        "remove-vanished": {
            "type": "string",
            "pattern": "(?:(?:(?:acl|properties|entry);)*(?:acl|properties|entry))|none",
            "optional": 1,
        },
        "scope": {"type": "string", "enum": ["users", "groups", "both"], "optional": 1},
    },
}

# Formats that PVE writes as a plain pattern, and refuses as one (recorded exchange: an SDN zone with a long name).
PATTERN_FORMATS: Mapping[str, str] = {"pve-sdn-zone-id": "[a-zA-Z][a-zA-Z0-9]{0,6}[a-zA-Z0-9]"}


def _cpu(values: Mapping[str, Any]) -> None:
    name = values.get("cputype", "kvm64")
    if not name.startswith("custom-") and name not in _CPU_MODELS:
        raise FormatError(f"Built-in cputype '{name}' is not defined (missing 'custom-' prefix?)")


def _prune(values: Mapping[str, Any]) -> None:
    if values.get("keep-all") and len(values) > 1:
        raise FormatError("keep-all cannot be set together with other options.")


# What the fields of a property string must be together; each raises FormatError.
VALIDATORS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {"prune-backups": _prune, "pve-vm-cpu-conf": _cpu}
