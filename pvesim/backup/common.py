"""What backups of machines and containers have in common."""

from __future__ import annotations

from pvesim.backup.archive import archive_name
from pvesim.backup.records import BackupRun
from pvesim.backup.target import archive_path, target_word
from pvesim.backup.texts import info
from pvesim.core.tasks import Step
from pvesim.guests.power import waits_for_shutdown
from pvesim.guests.records import Guest
from pvesim.guests.rules import agent_enabled
from pvesim.storage.records import Storage

DEFAULT_STOP_MINUTES = 10
DEFAULT_IONICE = 7


def mode_lines(run: BackupRun) -> tuple[str, ...]:
    """How the guest is backed up."""
    lines = [f"backup mode: {run.mode}"]
    if run.options.get("bwlimit"):
        lines.append(f"bandwidth limit: {run.options['bwlimit']} KiB/s")
    return info(*lines, f"ionice priority: {run.options.get('ionice', DEFAULT_IONICE)}")


def archive_lines(storage: Storage, guest: Guest, run: BackupRun) -> list[str]:
    """What is being made."""
    name, _ = archive_name(storage, guest.kind, guest.vmid, run.since, str(run.options.get("compress", "0")))
    return [f"creating {target_word(storage)} archive '{archive_path(storage, name)}'"]


def stop_steps(run: BackupRun, guest: Guest) -> list[Step]:
    """The guest is shut down; where it does not heed that in time, its backup fails."""
    begin = Step(log=info("stopping virtual guest"), effect="backup.interrupt")
    minutes = int(run.options.get("stopwait", DEFAULT_STOP_MINUTES))
    limit = 60.0 * minutes
    heeds = guest.behaviour.acpi or (guest.kind == "qemu" and guest.behaviour.agent and agent_enabled(guest.config))
    if waits_for_shutdown(guest, heeds, limit):
        return [begin, Step(guest.behaviour.shutdown_seconds, effect="backup.halt")]
    return [begin, Step(limit, effect="backup.fail", arguments=(_stop_failure(guest, int(limit)),))]


def _stop_failure(guest: Guest, seconds: int) -> str:
    if guest.kind == "qemu":
        return f"command 'qm shutdown {guest.vmid} --skiplock --keepActive --timeout {seconds}' failed: exit code 255"
    return f"command 'lxc-stop -n {guest.vmid} --timeout {seconds}' failed: exit code 1"
