"""Which privilege it takes to set an option of a container, and what only root may set.

Source: the privileges that PVE's documentation names for each group of options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pvesim.core.errors import ParameterErrors
from pvesim.guests.disks import read_options
from pvesim.guests.newcomers import check_in_pool
from pvesim.lxc.mounts import is_mount, read_mount
from pvesim.routing import Call

_PRIVILEGE: Mapping[str, str] = {
    **dict.fromkeys(("cores", "cpulimit", "cpuunits"), "VM.Config.CPU"),
    **dict.fromkeys(("memory", "swap"), "VM.Config.Memory"),
    **dict.fromkeys(("hostname", "nameserver", "searchdomain"), "VM.Config.Network"),
}


def check_options(
    call: Call,
    vmid: int,
    pool: str | None,
    options: Mapping[str, Any] | Iterable[str],
    *,
    unprivileged: bool = True,
) -> None:
    """Raise unless who asks may set these options, or remove those of which only the names are given."""
    if call.identity.is_root:
        return
    values = options if isinstance(options, Mapping) else None
    for key in options:
        if is_mount(key) or key.startswith("unused"):
            check_in_pool(call, vmid, pool, "VM.Config.Disk")
            if values is not None and is_mount(key) and (kind := read_mount(key, str(values[key])).kind) != "volume":
                raise ParameterErrors({key: f"mount point type {kind} is only allowed for root@pam"})
        elif re.fullmatch(r"net\d+", key):
            check_in_pool(call, vmid, pool, "VM.Config.Network")
        elif re.fullmatch(r"dev\d+", key):
            raise ParameterErrors({key: "device passthrough is only allowed for root@pam"})
        elif key == "hookscript":
            raise ParameterErrors({key: "changing the hookscript is only allowed for root@pam"})
        elif key == "features":
            _check_features(call, vmid, pool, None if values is None else str(values[key]), unprivileged)
        else:
            check_in_pool(call, vmid, pool, _PRIVILEGE.get(key, "VM.Config.Options"))
            if key == "startup":  # it orders the start of the host's guests
                call.check("/", "Sys.Modify")


def _check_features(call: Call, vmid: int, pool: str | None, text: str | None, unprivileged: bool) -> None:
    if not unprivileged:
        raise ParameterErrors(
            {"features": "changing feature flags for privileged container is only allowed for root@pam"}
        )
    if text is None or set(read_options(text, "nesting")) - {"nesting"}:
        raise ParameterErrors({"features": "changing feature flags (except nesting) is only allowed for root@pam"})
    check_in_pool(call, vmid, pool, "VM.Allocate")
