from proxmox_mcp.errors import ProxmoxError, TaskFailed


def test_what_happened_comes_before_the_advice() -> None:
    assert str(ProxmoxError("It broke.", "Mend it.")) == "It broke. Mend it."
    assert str(ProxmoxError("It broke.")) == "It broke."


def test_a_failed_task_without_advice_has_no_blanks_at_the_ends_of_lines() -> None:
    assert str(TaskFailed("UPID:x", "no luck!", [], subject="s")) == "The task failed: s: no luck!\nUPID: UPID:x"


def test_a_failed_task_says_why_once() -> None:
    error = TaskFailed("UPID:x", "VM 100 already running", ["line", "TASK ERROR: VM 100 already running"], subject="s")
    assert str(error).count("VM 100 already running") == 1
    assert "line" in str(error)
