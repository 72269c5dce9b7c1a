"""Points in time: what time it is for the cluster, and how a caller names a moment."""

import re
import time
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, RequestRefused
from proxmox_mcp.pve import Pve

Since = Annotated[
    str,
    Field(
        max_length=40,
        coerce_numbers_to_str=True,
        description="Only later than this: an age (30m, 2h, 7d), or a time (2026-11-23T05:00Z, or Unix seconds)",
    ),
]

_AGE = re.compile(r"(?P<count>\d{1,6}) ?(?P<unit>[smhdw])", re.IGNORECASE)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


async def cluster_now(pve: Pve) -> int:
    """What time it is for the cluster, in seconds since 1970 (`GET /nodes/localhost/time`).

    The time of this machine, when the user may not read the node's: only a simulated cluster lives in another time.
    """
    try:
        answer = await pve.get("/nodes/localhost/time")
    except RequestRefused:
        return int(time.time())
    return int(answer["time"])


async def moment_of(since: str, pve: Pve) -> int:
    """The moment that a caller names, in seconds since 1970; an age is counted back from the cluster's time.

    Raises:
        InvalidArgument: it is neither an age nor a time.
    """
    text = since.strip()
    if age := _AGE.fullmatch(text):
        return await cluster_now(pve) - int(age["count"]) * _UNIT_SECONDS[age["unit"].lower()]
    if re.fullmatch(r"\d{9,11}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"since {since!r} is neither an age nor a time.", "Write 30m, 2h or 7d, or a time as 2026-11-23T05:00Z."
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
