"""What the tools that change something share."""

from typing import Annotated

from pydantic import Field

from proxmox_mcp.locate import Guest
from proxmox_mcp.tasks import TaskResult
from proxmox_mcp.tooling import Call

Description = Annotated[str, Field(max_length=8192)]
PoolName = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9._/-]+$", description="Pool to join")]

STILL_RUNS = "The task still runs: follow it with wait_for_task."


class GuestTask(TaskResult):
    """A task that was started for a guest."""

    vmid: int
    note: str | None = None


async def follow(call: Call, guest: Guest, upid: str, wait_seconds: int, note: str | None = None) -> GuestTask:
    """Follow a guest's task for so long, reporting progress.

    Args:
        call: what the tool works with.
        guest: the guest that it is about.
        upid: the task.
        wait_seconds: how long to wait at most.
        note: what must be known when the task has ended well.

    Raises:
        TaskFailed: it ended with an error; the text holds the reason.
    """
    task = await call.tasks.follow(upid, wait_seconds, call.report)
    call.guests.forget()
    return GuestTask(**dict(task), vmid=guest.vmid, note=STILL_RUNS if task.state == "running" else note)


def word_of(guest: Guest) -> str:
    """A guest as people name it: `VM 100 (web)`."""
    kind = "VM" if guest.kind == "qemu" else "Container"
    return f"{kind} {guest.vmid}" + (f" ({guest.name})" if guest.name else "")
