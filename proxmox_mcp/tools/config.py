"""Configuration: options of a guest, changed."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.results import Result, Value
from proxmox_mcp.safety.reach import unplugs
from proxmox_mcp.tasks import State
from proxmox_mcp.tooling import Arguments, Call, NodeName, Risk, Toolset, Vmid
from proxmox_mcp.tools.guests import hidden_secrets
from proxmox_mcp.tools.writing import STILL_RUNS

config = Toolset("config", "Change how guests are configured")

# Parameters of the request that are no options of a guest, and say how PVE is to go about it.
_NO_OPTIONS = frozenset(
    {"node", "vmid", "digest", "delete", "revert", "force", "skiplock", "background_delay", "import-working-storage"}
)
_OPTION = re.compile(r"^[a-z][A-Za-z0-9_-]*$")
_UNUSED = re.compile(r"^unused\d+$")
_WAIT_SECONDS = 60

Options = Annotated[
    dict[str, str | int | float | bool], Field(description="PVE's own options, such as {cores: 4, memory: 8192}")
]
Delete = Annotated[list[str], Field(max_length=50, description="Options to unset; a disk becomes an unused one")]
Digest = Annotated[
    str, Field(max_length=64, description="As a preview returned it: refuse if it was changed since then")
]
PreviewOnly = Annotated[bool, Field(description="Show what would change, and change nothing")]


class OptionChange(Result):
    """An option before and after; `pending`: the guest gets it at its next start."""

    key: str
    old: Value | None = None
    new: Value | None = None
    pending: bool | None = None


class ConfigChange(Result):
    """What was changed, or with `preview` would be; a VM's change is a task."""

    vmid: int
    node: str
    applied: bool
    digest: str | None = None
    """Of the configuration as it is now."""
    upid: str | None = None
    state: State | None = None
    exit_status: str | None = None
    note: str | None = None
    changes: list[OptionChange]


def _interrupts(arguments: Arguments) -> bool:
    return not arguments["preview"] and unplugs(arguments["options"] or {}, arguments["delete"] or ())


@config.tool(risk=Risk.CHANGE, title="Change a VM's configuration", idempotent=True, interrupts=_interrupts)
async def update_vm_config(
    call: Call,
    vmid: Vmid,
    options: Options | None = None,
    delete: Delete | None = None,
    node: NodeName | None = None,
    preview: PreviewOnly = False,
    digest: Digest | None = None,
) -> ConfigChange:
    """Change options of a VM, and show old and new. Some wait for its next start: they are marked as pending."""
    return await _update(call, "qemu", vmid, options or {}, delete or [], node, preview, digest)


@config.tool(risk=Risk.CHANGE, title="Change a container's configuration", idempotent=True, interrupts=_interrupts)
async def update_lxc_config(
    call: Call,
    vmid: Vmid,
    options: Options | None = None,
    delete: Delete | None = None,
    node: NodeName | None = None,
    preview: PreviewOnly = False,
    digest: Digest | None = None,
) -> ConfigChange:
    """Change options of a container, and show old and new. Some wait for its next start: they are marked as pending."""
    return await _update(call, "lxc", vmid, options or {}, delete or [], node, preview, digest)


async def _update(
    call: Call,
    kind: Kind,
    vmid: int,
    options: Mapping[str, Any],
    delete: Sequence[str],
    node: str | None,
    preview: bool,
    digest: str | None,
) -> ConfigChange:
    check_options(options, delete)
    guest = await call.guests.find(vmid, node, kind, check=True)
    before = await _Configuration.read(call, guest)
    if preview:
        changes = [_change(key, before.effective(key), options.get(key)) for key in [*options, *delete]]
        same = digest is None or digest == before.digest
        note = None if same else "It was changed by someone else since the preview whose digest was given."
        return ConfigChange(vmid=vmid, node=guest.node, applied=False, digest=before.digest, note=note, changes=changes)
    return await change_config(call, guest, options, delete, before=before, digest=digest)


async def change_config(
    call: Call,
    guest: Guest,
    options: Mapping[str, Any],
    delete: Sequence[str] = (),
    *,
    before: "_Configuration | None" = None,
    digest: str | None = None,
) -> ConfigChange:
    """Set and unset options of a guest; the configuration must still be the one that was read first.

    Args:
        call: what the tool works with.
        guest: the guest.
        options: PVE's options and their new values.
        delete: options to unset.
        before: the configuration, where it was read already.
        digest: of an older reading, which must still hold.

    Raises:
        ChangedMeanwhile: someone else changed the configuration.
        TaskFailed: PVE could not do it.
    """
    before = before or await _Configuration.read(call, guest)
    params: dict[str, Any] = {key: _as_pve(key, value) for key, value in options.items()}
    params |= {"delete": ",".join(delete) or None, "digest": digest or before.digest}
    outcome = await _write(call, guest, params)
    after = await _Configuration.read(call, guest)
    changes = [
        _change(key, before.effective(key), after.effective(key), pending=after.is_pending(key))
        for key in [*options, *delete]
    ]
    return ConfigChange(vmid=guest.vmid, node=guest.node, applied=True, digest=after.digest, changes=changes, **outcome)


async def _write(call: Call, guest: Guest, params: Mapping[str, Any]) -> dict[str, Any]:
    """Write a configuration; how the task of a VM's ended, for allocating a disk may take longer than a request may."""
    if guest.kind == "lxc":
        await call.pve.put(f"{guest.path}/config", **params)
        return {}
    upid = await call.pve.post(f"{guest.path}/config", **params)
    if not upid:
        return {}
    task = await call.tasks.follow(upid, _WAIT_SECONDS, call.report)
    note = STILL_RUNS if task.state == "running" else None
    return {"upid": task.upid, "state": task.state, "exit_status": task.exit_status, "note": note}


def check_options(options: Mapping[str, Any], delete: Sequence[str]) -> None:
    """Refuse what is no option, what contradicts itself, and what would destroy a disk.

    Raises:
        InvalidArgument: so it is.
    """
    if not options and not delete:
        raise InvalidArgument("There is nothing to change.", "Give options, delete, or both.")
    for key in [*options, *delete]:
        if not _OPTION.match(key) or key in _NO_OPTIONS:
            raise InvalidArgument(f"{key!r} is no option of a guest.", "See its options with detail full.")
    if both := sorted(set(options) & set(delete)):
        raise InvalidArgument(f"{', '.join(both)}: to be set and to be unset at once.", "Say one of them.")
    if unused := [key for key in delete if _UNUSED.match(key)]:
        raise InvalidArgument(
            f"Unsetting {', '.join(unused)} would destroy the disk.", "That is what delete_disk is for."
        )


class _Configuration:
    """A guest's configuration as it was read once (`GET …/pending`)."""

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        self._records = {record["key"]: record for record in records}
        self.digest: str | None = self._records.get("digest", {}).get("value")

    @classmethod
    async def read(cls, call: Call, guest: Guest) -> "_Configuration":
        return cls(await call.pve.get(f"{guest.path}/pending"))

    def effective(self, key: str) -> Any:
        """What the option will be at the next start at the latest; None where it is not set."""
        record = self._records.get(key, {})
        return None if record.get("delete") else record.get("pending", record.get("value"))

    def is_pending(self, key: str) -> bool:
        """Whether the guest still runs with another value."""
        record = self._records.get(key, {})
        return bool(record.get("delete")) or "pending" in record


def _change(key: str, old: Any, new: Any, pending: bool = False) -> OptionChange:
    return OptionChange(
        key=key, old=hidden_secrets(key, old), new=hidden_secrets(key, new), pending=True if pending else None
    )


def _as_pve(key: str, value: Any) -> Any:
    """PVE takes public keys for SSH in the form of a URL: written as in a file, they are brought into it."""
    if key == "sshkeys" and isinstance(value, str) and "%" not in value:
        return quote(value.strip() + "\n", safe="")
    return value
