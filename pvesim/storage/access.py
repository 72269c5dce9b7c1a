"""Who may see and use which volume. Source: the answers of a genuine node to users with parts of the privileges."""

from __future__ import annotations

from collections.abc import Iterator

from pvesim.core.errors import Failure, Forbidden
from pvesim.routing import Call
from pvesim.storage.names import VolumeName, parse_name, parse_volid
from pvesim.storage.records import Storage
from pvesim.storage.rules import find_storage

_SEE = ("Datastore.Audit", "Datastore.AllocateSpace")
_FILES = frozenset({"iso", "vztmpl", "import"})


def visible_storages(call: Call) -> Iterator[Storage]:
    """The definitions that who asks may see, in their order."""
    for storage in call.world.rows(Storage).values():
        if call.may(f"/storage/{storage.storage}", *_SEE, any_of=True):
            yield storage


def check_volume_access(call: Call, volid: str, vmid: int | None = None, content: str | None = None) -> None:
    """Raise unless who asks may use a volume, for the guest `vmid` if given, as `content` if given.

    `Failure` for an unknown storage, a name of the wrong form or another content type; else `Forbidden`.
    """
    storage, name = parse_volid(volid)
    volume = parse_name(find_storage(call.world, storage), name)
    if content is not None and volume.content != content:
        raise Failure(f"unable to use volume {volid} - content type needs to be '{content}'")
    path = f"/storage/{storage}"
    if call.may(path, "Datastore.Allocate"):
        return
    if volume.content in _FILES:
        call.check(path, *reversed(_SEE), any_of=True)
    elif vmid is not None and volume.vmid == vmid:
        return
    elif volume.vmid is not None:
        _check_owned(call, path, volume)
    else:
        raise Failure(f"missing privileges to access {volid}")


def _check_owned(call: Call, path: str, volume: VolumeName) -> None:
    if volume.content == "backup":
        call.check(path, "Datastore.AllocateSpace")
        call.check(f"/vms/{volume.vmid}", "VM.Backup")
    else:
        call.check(path, "Datastore.Audit")
        call.check(f"/vms/{volume.vmid}", "VM.Config.Disk")


def check_removal(call: Call, storage: str, volume: VolumeName) -> None:
    """Raise `Forbidden` unless who asks may remove a volume."""
    if volume.content == "backup" and volume.vmid is not None:
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
        call.check(f"/vms/{volume.vmid}", "VM.Backup")
    else:
        call.check(f"/storage/{storage}", "Datastore.Allocate")


def may_access(call: Call, volid: str) -> bool:
    """Whether `check_volume_access` passes; what lists show."""
    try:
        check_volume_access(call, volid)
    except (Failure, Forbidden):
        return False
    return True
