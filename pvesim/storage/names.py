"""Volume ids and names: how each type of storage writes them, what they mean, and where the volume is.

Sources: the recorded exchanges `storage/*`, and the paths and names that a genuine node's tasks log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pvesim.core.errors import Failure
from pvesim.storage.records import Storage
from pvesim.storage.types import TYPES, Naming

_STORAGE_ID = r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]"
_VOLID = re.compile(rf"({_STORAGE_ID}):(.+)", re.ASCII | re.DOTALL)
_IMAGE_FILE = re.compile(r"(base-)?[^/\s]+\.(raw|qcow2|vmdk|subvol)")
_OWNED_IMAGE = re.compile(r"(\d+)/([^\s/]+)")
_LINKED_IMAGE = re.compile(r"(\d+)/([^\s/]+)/(\d+)/([^\s/]+)")
_BACKUP_OWNER = re.compile(r"vzdump-(?:lxc|openvz|qemu)-(\d+)-.+")
_BACKUP_SUBTYPE = re.compile(r"vzdump-(lxc|qemu)-")

# Where a content type has its folder below a directory storage's path, unless `content-dirs` says otherwise.
FOLDERS: Mapping[str, str] = {
    "images": "images",
    "rootdir": "private",
    "vztmpl": "template/cache",
    "iso": "template/iso",
    "backup": "dump",
    "snippets": "snippets",
    "import": "import",
}
_FILES: Mapping[str, re.Pattern[str]] = {
    "iso": re.compile(r"[^/]+\.(iso|img)", re.IGNORECASE),
    "vztmpl": re.compile(r"[^/]+\.tar(?:\.(gz|xz|zst|bz2))?"),
    "backup": re.compile(r"[^/]+\.(tgz|tar(?:\.(?:gz|lzo|zst|bz2))?|vma(?:\.(?:gz|lzo|zst))?)"),
    "snippets": re.compile(r"[^/]+"),
    "import": re.compile(r"[^/]+\.(ova|ovf|qcow2|raw|vmdk)"),
}


@dataclass(frozen=True, slots=True)
class VolumeName:
    """What a volume's name says. `file` is the last part, `base` the name of the base that a linked clone stands on."""

    content: str
    file: str
    format: str
    vmid: int | None = None
    base: str | None = None
    is_base: bool = False
    subtype: str | None = None


def parse_volid(volid: str) -> tuple[str, str]:
    """The storage and the name in a volume id. Raises `Failure` for what is none."""
    match = _VOLID.fullmatch(volid)
    if match is None:
        raise Failure(f"unable to parse volume ID '{volid}'")
    return match[1], match[2]


def parse_name(storage: Storage, name: str) -> VolumeName:
    """What a name means on a storage of this type. Raises `Failure` with the type's text for a name of another form."""
    return _PARSERS[TYPES[storage.type].naming](name)


def _directory_name(name: str) -> VolumeName:
    linked = _LINKED_IMAGE.fullmatch(name)
    if linked:
        _image_format(linked[2])
        base = f"{linked[1]}/{linked[2]}"
        return VolumeName("images", linked[4], _image_format(linked[4]), int(linked[3]), base, _is_base(linked[4]))
    owned = _OWNED_IMAGE.fullmatch(name)
    if owned:
        return VolumeName("images", owned[2], _image_format(owned[2]), int(owned[1]), is_base=_is_base(owned[2]))
    content, _, file = name.partition("/")
    pattern = _FILES.get(content)
    match = pattern.fullmatch(file) if pattern else None
    if match is None:
        raise Failure(f"unable to parse directory volume name '{name}'")
    if content == "backup":
        return _backup_name(file, match[1])
    return VolumeName(content, file, _file_format(content, match))


def _backup_name(file: str, format: str) -> VolumeName:
    owner, subtype = _BACKUP_OWNER.fullmatch(file), _BACKUP_SUBTYPE.match(file)
    return VolumeName("backup", file, format, int(owner[1]) if owner else None, subtype=subtype[1] if subtype else None)


def _file_format(content: str, match: re.Match[str]) -> str:
    if content == "iso":
        return "iso"
    if content == "vztmpl":
        return f"t{match[1]}" if match[1] else "tar"
    return match[1] if content == "import" else "snippet"


def _image_format(file: str) -> str:
    match = _IMAGE_FILE.fullmatch(file)
    if match is None:
        raise Failure(f"unable to parse volume filename '{file}'")
    return match[2]


def _is_base(file: str) -> bool:
    return file.startswith(("base-", "basevol-"))


def _block_name(pattern: str, kind: str) -> Callable[[str], VolumeName]:
    """A parser for names such as `vm-100-disk-0` or `base-100-disk-0/vm-101-disk-0`."""
    compiled = re.compile(pattern)

    def parse(name: str) -> VolumeName:
        match = compiled.fullmatch(name)
        if match is None:
            raise Failure(f"unable to parse {kind} volume name '{name}'")
        file, vmid = match["file"], int(match["vmid"])
        subvol = file.startswith(("subvol-", "basevol-"))
        content = "rootdir" if subvol else "images"
        format = "subvol" if subvol else "qcow2" if kind == "lvm" and file.endswith(".qcow2") else "raw"
        return VolumeName(content, file, format, vmid, match["base"], _is_base(file))

    return parse


def _iscsi_name(name: str) -> VolumeName:
    if re.fullmatch(r"\d+\.\d+\.\d+\.\S+", name) is None:
        raise Failure(f"unable to parse iscsi volume name '{name}'")
    return VolumeName("images", name, "raw")


def _pbs_name(name: str) -> VolumeName:
    match = re.fullmatch(r"backup/([^\s_]+)/([^\s_]+)/([0-9TZ:\-]+)", name)
    if match is None:
        raise Failure(f"unable to parse PBS volume name '{name}'")
    kind, owner = match[1], match[2]
    subtype = {"vm": "qemu", "ct": "lxc"}.get(kind)
    vmid = int(owner) if subtype and owner.isdigit() else None
    return VolumeName("backup", name.removeprefix("backup/"), f"pbs-{kind}", vmid, subtype=subtype)


def _esxi_name(name: str) -> VolumeName:
    if re.fullmatch(r"[^/]+/[^/]+/.+\.vmx", name) is None:
        raise Failure(f"failed to parse volname '{name}'")
    return VolumeName("import", name, "vmx")


_OWNED = r"(?P<file>(?:vm|base)-(?P<vmid>\d+)-\S+)"
_PARSERS: Mapping[Naming, Callable[[str], VolumeName]] = {
    "directory": _directory_name,
    "lvm": _block_name(rf"(?:(?P<base>base-\d+-\S+)/)?{_OWNED}", "lvm"),
    "zfs": _block_name(
        r"(?:(?P<base>(?:base|basevol)-\d+-\S+)/)?(?P<file>(?:vm|base|subvol|basevol)-(?P<vmid>\d+)-\S+)", "zfs"
    ),
    "rbd": _block_name(rf"(?:(?P<base>base-\d+-\S+)/)?{_OWNED}", "rbd"),
    "iscsi": _iscsi_name,
    "pbs": _pbs_name,
    "esxi": _esxi_name,
}


def folder_of(storage: Storage, content: str) -> str:
    """The folder of a content type on a storage of files, such as `/var/lib/vz/template/iso`."""
    overrides = dict(part.split("=", 1) for part in str(storage.options.get("content-dirs") or "").split(",") if part)
    folder = overrides.get(content, FOLDERS[content]).strip("/")
    return f"{storage.options.get('path') or '/mnt/pve/' + storage.storage}/{folder}"


def path_of(storage: Storage, name: str) -> str:
    """Where a volume is, as the node's programs name it: a file, a device, or a URL of QEMU."""
    parsed = parse_name(storage, name)
    options = storage.options
    if TYPES[storage.type].has_files:
        folder = folder_of(storage, "images" if parsed.vmid and parsed.content != "backup" else parsed.content)
        between = f"{parsed.vmid}/" if parsed.content == "images" else ""
        return f"{folder}/{between}{parsed.file}"
    if storage.type == "zfspool":
        mount = options.get("mountpoint") or f"/{options['pool']}"
        return f"{mount}/{parsed.file}" if parsed.format == "subvol" else f"/dev/zvol/{options['pool']}/{parsed.file}"
    if storage.type == "rbd":
        pool = options.get("pool", "rbd")
        if options.get("krbd"):
            return f"/dev/rbd/{pool}/{parsed.file}"
        keyring = f"/etc/pve/priv/ceph/{storage.storage}.keyring"
        user = options.get("username", "admin")
        return f"rbd:{pool}/{parsed.file}:conf=/etc/pve/ceph.conf:id={user}:keyring={keyring}"
    if storage.type == "pbs":
        user = options.get("username", "root@pam")
        return f"pbs://{user}@{options['server']}:{options['datastore']}/{parsed.file}"
    if storage.type in ("lvm", "lvmthin"):
        return f"/dev/{options['vgname']}/{parsed.file}"
    return f"{storage.type}://{options.get('portal') or options.get('server')}/{parsed.file}"
