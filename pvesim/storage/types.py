"""The storage types of PVE 9 as facts: what each holds, in which formats, with which options, and how it names volumes.

Sources: the storage schema, the recorded exchanges `storage/*`, and what PVE accepts on the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pvesim.core.sections import SectionType

Naming = Literal["directory", "lvm", "zfs", "rbd", "iscsi", "pbs", "esxi"]

_GUEST = "images rootdir"
_FILES = "vztmpl iso backup snippets import"
_COMMON = "nodes disable content bwlimit"
_BACKUPS = "prune-backups max-protected-backups"
_DIRECTORY = f"{_COMMON} {_BACKUPS} content-dirs format mkdir create-base-path create-subdirs preallocation"
_CHAIN = "snapshot-as-volume-chain"


@dataclass(frozen=True, slots=True)
class StorageType:
    """One type.

    `contents` are the content types that it may hold, `default_contents` what a definition without `content` holds;
    `formats` the image formats, the first being the default. `naming` tells how volumes are named and where they are.
    `network` types are shared by nature and need a server; on `thin` ones an empty image takes no space.
    """

    name: str
    contents: tuple[str, ...]
    default_contents: tuple[str, ...]
    formats: tuple[str, ...]
    naming: Naming
    section: SectionType
    network: bool = False
    thin: bool = True

    @property
    def has_files(self) -> bool:
        """Whether its volumes are files below a path, so that ISOs and the like can be uploaded."""
        return self.naming == "directory"


def _type(
    name: str,
    contents: str,
    default: str,
    formats: str,
    naming: Naming,
    *,
    required: str = "",
    fixed: str = "",
    optional: str = _COMMON,
    network: bool = False,
    thin: bool = True,
) -> StorageType:
    section = SectionType.of(required=required, optional=optional, fixed=f"{fixed} {required}")
    return StorageType(
        name, _words(contents), _words(default), _words(formats), naming, section, network=network, thin=thin
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FILE_FORMATS = "raw qcow2 vmdk subvol"
_ALL = (
    _type(
        "dir", f"{_GUEST} {_FILES} none", _GUEST, _FILE_FORMATS, "directory",
        required="path", fixed=_CHAIN, optional=f"{_DIRECTORY} is_mountpoint priority shared",
    ),
    _type(
        "btrfs", f"{_GUEST} {_FILES} none", _GUEST, _FILE_FORMATS, "directory",
        required="path", optional=f"{_DIRECTORY} is_mountpoint nocow shared",
    ),
    _type(
        "nfs", f"{_GUEST} {_FILES}", "images", "raw qcow2 vmdk", "directory",
        required="server export", fixed=f"path {_CHAIN}", optional=f"{_DIRECTORY} options", network=True,
    ),
    _type(
        "cifs", f"{_GUEST} {_FILES}", "images", "raw qcow2 vmdk", "directory",
        required="server share", fixed=f"path {_CHAIN}",
        optional=f"{_DIRECTORY} options subdir username password domain smbversion", network=True,
    ),
    _type(
        "cephfs", _FILES, "backup", "raw", "directory",
        fixed="path", optional=f"{_DIRECTORY} monhost subdir options username fuse keyring fs-name", network=True,
    ),
    _type(
        "lvm", _GUEST, "images", "raw qcow2", "lvm",
        required="vgname", fixed=f"base {_CHAIN}",
        optional=f"{_COMMON} saferemove saferemove_throughput saferemove-stepsize tagged_only shared", thin=False,
    ),
    _type("lvmthin", _GUEST, _GUEST, "raw", "lvm", required="vgname thinpool"),
    _type("zfspool", _GUEST, _GUEST, "raw subvol", "zfs", required="pool",
          optional=f"{_COMMON} blocksize sparse mountpoint"),
    _type(
        "rbd", _GUEST, "images", "raw", "rbd",
        optional=f"{_COMMON} monhost pool data-pool namespace username krbd keyring authsupported", network=True,
    ),
    _type("iscsi", "images none", "images", "raw", "iscsi", required="portal target", network=True, thin=False),
    _type("iscsidirect", "images", "images", "raw", "iscsi", required="portal target", network=True, thin=False),
    _type(
        "zfs", "images", "images", "raw", "zfs",
        required="portal target pool blocksize iscsiprovider",
        optional=f"{_COMMON} nowritecache sparse comstar_hg comstar_tg lio_tpg zfs-base-path", network=True,
    ),
    _type(
        "pbs", "backup none", "backup", "raw", "pbs",
        required="server datastore",
        optional=f"{_COMMON} {_BACKUPS} namespace port username password encryption-key master-pubkey fingerprint "
        "skip-cert-verification", network=True,
    ),
    _type(
        "esxi", "import", "import", "raw", "esxi",
        required="server", optional=f"{_COMMON} username password skip-cert-verification", network=True,
    ),
)  # fmt: skip

TYPES: Mapping[str, StorageType] = {kind.name: kind for kind in _ALL}
# Passwords and keys are kept apart from the definition and never shown.
SECRETS = frozenset({"password", "encryption-key", "keyring", "master-pubkey"})
CONTENTS = ("rootdir", "images", "vztmpl", "iso", "backup", "snippets", "import")
IMAGE_CONTENTS = ("images", "rootdir")
