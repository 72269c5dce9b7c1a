"""A virtual machine's monitor and keyboard.

Source: recorded exchanges `qemu-power/015-016`; key names as QEMU's monitor knows them.
"""

from __future__ import annotations

import string

from pvesim.cluster.records import Cluster, Release
from pvesim.core.errors import Failure, NotModelled
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.guests.rules import find_guest, is_paused

_NAMED_KEYS = """
shift shift_r alt alt_r ctrl ctrl_r meta_l meta_r menu esc minus equal backspace tab bracket_left bracket_right ret
semicolon apostrophe grave_accent backslash comma dot slash asterisk spc caps_lock num_lock scroll_lock sysrq print home
pgup pgdn end left up down right insert delete kp_add kp_subtract kp_multiply kp_divide kp_enter kp_decimal
"""
_KEYS = frozenset(
    (
        *_NAMED_KEYS.split(),
        *string.ascii_lowercase,
        *string.digits,
        *(f"kp_{digit}" for digit in string.digits),
        *(f"f{number}" for number in range(1, 13)),
    )
)


def monitor_answer(world: World, node: str, vmid: int, command: str) -> str:
    """What the monitor prints; for a machine that is off, why it does not. Raises `Failure` and `NotModelled`."""
    guest = find_guest(world, "qemu", node, vmid)
    if not guest.running:
        return f"ERROR: VM {vmid} not running\n"
    words = " ".join(command.split())
    if words == "info status":
        return f"VM status: {'paused' if is_paused(guest) else 'running'}\r\n"
    if words == "info name":
        return f"{guest.name}\r\n"
    if words == "info version":
        cluster = world.get(Cluster, "cluster")
        return f"{(cluster.release if cluster else Release()).qemu}\r\n"
    raise NotModelled(f"the monitor command '{words}' is not modelled by pvesim")


def send_key(world: World, node: str, vmid: int, key: str) -> Guest:
    """Press keys such as `ctrl-alt-delete`, locked or not. Raises `Failure`: it is off, or there is no such key."""
    guest = find_guest(world, "qemu", node, vmid)
    if not guest.running:
        raise Failure(f"VM {vmid} not running")
    unknown = [name for name in key.split("-") if name not in _KEYS and not name.startswith("0x")]
    if unknown:
        raise Failure(f"invalid parameter: {unknown[0]}")
    return guest
