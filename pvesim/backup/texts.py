"""How a backup's log writes things: lines, sizes, durations, rates."""

from __future__ import annotations

from datetime import UTC, datetime

MIB = 1024**2
GIB = 1024**3


def info(*lines: str) -> tuple[str, ...]:
    """Lines as the log shows them."""
    return tuple(f"INFO: {line}" for line in lines)


def moment(time: float) -> str:
    """A time such as `2026-11-23 04:41:50`."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"


def lasted(seconds: float) -> str:
    """A duration such as `00:01:05`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def file_size(size: int) -> str:
    """The size of an archive, such as `12KB`, `1MB`, `3.41GB`."""
    if size < MIB:
        return f"{size // 1024}KB"
    return f"{size // MIB}MB" if size < GIB else f"{size / GIB:.2f}GB"


def amount(size: float) -> str:
    """Bytes with a unit, such as `1.0 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def packed_amount(size: float) -> str:
    """The same as `tar` writes it, such as `2.0MiB`."""
    return amount(size).replace(" ", "")
