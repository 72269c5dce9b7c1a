"""Power actions of virtual machines: what they do, what they refuse, what their tasks say."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.records import Token
from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.core.tasks import abort_task
from pvesim.engine import Simulator
from pvesim.guests.records import Behaviour
from pvesim.ha.records import HaResource
from pvesim.nodes.records import Interface
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.guests.stage import act, change, configure, finish, guest, path, stage, start, status

SILENT_AGENT = "QEMU Guest Agent is not running - VM 100 qga command 'guest-ping' failed - got timeout"
NO_FILE = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"
OVERRULE: dict[str, Any] = {"overrule-shutdown": 1}
NOT_FOUND = "unable to find configuration file for VM 999 on node 'pve1'"


@pytest.fixture
def simulator() -> Simulator:
    return stage()


@pytest.fixture
def running(simulator: Simulator) -> Simulator:
    """VM 100 (no system inside) and VM 101 run."""
    for vmid in (100, 101):
        assert act(simulator, vmid, "start").exitstatus == "OK"
    return simulator


def test_a_started_machine_runs_in_every_view(simulator: Simulator) -> None:
    task = act(simulator, 100, "start")
    assert (task.type, task.id, task.exitstatus, task.log) == ("qmstart", "100", "OK", ("TASK OK",))
    simulator.clock.advance(30)
    told = status(simulator, 100)
    assert (told["status"], told["qmpstatus"], told["uptime"], told["pid"]) == (
        "running",
        "running",
        30,
        guest(simulator, 100).pid,
    )
    assert told["mem"] > 0
    listed = simulator.request("GET", "/nodes/pve1/qemu")
    assert [entry["vmid"] for entry in listed if entry["status"] == "running"] == [100]


def test_a_stopped_machine_uses_nothing(running: Simulator) -> None:
    assert act(running, 100, "stop").exitstatus == "OK"
    told = status(running, 100)
    assert (told["status"], told["qmpstatus"]) == ("stopped", "stopped")
    assert {told[key] for key in ("uptime", "cpu", "mem", "netin", "netout")} == {0}
    assert "pid" not in told


def test_a_second_start_is_another_process(running: Simulator) -> None:
    before = guest(running, 101).pid
    act(running, 101, "stop")
    running.clock.advance(10)
    act(running, 101, "start")
    assert guest(running, 101).pid != before
    assert status(running, 101)["uptime"] == 0


@pytest.mark.parametrize(
    ("vmid", "action", "text"),
    [
        (101, "start", "VM 101 already running"),
        (999, "start", NO_FILE),
        (999, "stop", NOT_FOUND),
        (999, "shutdown", NOT_FOUND),
        (103, "start", "Configuration file 'nodes/pve1/qemu-server/103.conf' does not exist"),
    ],
)
def test_what_fails_in_the_task(running: Simulator, vmid: int, action: str, text: str) -> None:
    task = act(running, vmid, action)
    assert task.exitstatus == text
    assert task.log == (f"TASK ERROR: {text}",)


@pytest.mark.parametrize("action", ["stop", "shutdown"])
def test_stopping_what_is_off_is_no_error(simulator: Simulator, action: str) -> None:
    assert act(simulator, 100, action).log == ("TASK OK",)


@pytest.mark.parametrize("action", ["reboot", "reset", "suspend", "resume"])
def test_what_makes_no_sense_on_a_stopped_machine_is_refused_at_once(simulator: Simulator, action: str) -> None:
    with pytest.raises(Failure, match=r"^VM 100 not running$"):
        start(simulator, 100, action)
    with pytest.raises(Failure, match=f"^{NOT_FOUND}$"):
        start(simulator, 999, action)


def test_power_takes_the_privilege(simulator: Simulator) -> None:
    assert act(simulator, 100, "start", user="alice@pve").user == "alice@pve"
    with pytest.raises(Forbidden, match=r"\(/vms/101, VM.PowerMgmt\)"):
        start(simulator, 101, "start", user="alice@pve")


# -- shutdown ------------------------------------------------------------------------------------------------------


def test_a_machine_that_heeds_is_off_when_its_system_is(running: Simulator) -> None:
    task = act(running, 101, "shutdown")
    assert (task.exitstatus, task.log) == ("OK", ("TASK OK",))
    assert task.endtime is not None
    assert task.endtime - task.starttime == pytest.approx(3)
    assert not guest(running, 101).running


@pytest.mark.parametrize(
    ("params", "log", "off", "seconds"),
    [
        ({"timeout": 2}, (SILENT_AGENT, "TASK ERROR: VM quit/powerdown failed - got timeout"), False, 5),
        ({}, (SILENT_AGENT, "TASK ERROR: VM quit/powerdown failed - got timeout"), False, 63),
        (
            {"timeout": 2, "forceStop": 1},
            (SILENT_AGENT, "VM still running - terminating now with SIGTERM", "TASK OK"),
            True,
            6,
        ),
    ],
)
def test_a_machine_that_does_not_heed(
    running: Simulator, params: dict[str, Any], log: tuple[str, ...], off: bool, seconds: float
) -> None:
    task = act(running, 100, "shutdown", **params)
    assert task.log == log
    assert task.endtime is not None
    assert task.endtime - task.starttime == pytest.approx(seconds)
    assert guest(running, 100).running is not off


def test_a_slow_system_is_given_the_time_of_its_startup_options(running: Simulator) -> None:
    change(running, 101, behaviour=Behaviour(shutdown_seconds=90))
    assert act(running, 101, "shutdown").exitstatus == "VM quit/powerdown failed - got timeout"
    configure(running, 101, startup="order=1,down=120")
    assert act(running, 101, "shutdown").exitstatus == "OK"


def test_an_agent_shuts_down_what_ignores_the_power_button(running: Simulator) -> None:
    change(running, 100, behaviour=Behaviour(acpi=False, agent=True))
    assert act(running, 100, "shutdown", timeout=5).log == ("TASK OK",)


def test_a_paused_machine_cannot_be_shut_down(running: Simulator) -> None:
    act(running, 101, "suspend")
    for action in ("shutdown", "reboot"):
        with pytest.raises(Failure, match=r"^VM is paused - cannot shutdown$"):
            start(running, 101, action)
    assert act(running, 101, "shutdown", forceStop=1).exitstatus == "OK"
    assert not guest(running, 101).running


def test_a_stop_may_overrule_a_shutdown_that_waits(running: Simulator) -> None:
    waiting = start(running, 100, "shutdown")
    running.clock.advance(1)
    task = act(running, 100, "stop", **OVERRULE)
    assert task.log == (f"overruled qmshutdown tasks: {waiting}", "TASK OK")
    assert finish(running, waiting).exitstatus == "received interrupt"
    assert not guest(running, 100).running


def test_one_may_overrule_ones_own_shutdown_only(running: Simulator) -> None:
    waiting = start(running, 100, "shutdown", timeout=3)
    running.clock.advance(1)
    task = act(running, 100, "stop", "alice@pve", **OVERRULE)
    assert task.log == ("trying to acquire lock...", " OK", "TASK OK")
    assert finish(running, waiting).exitstatus == "VM quit/powerdown failed - got timeout"


def test_nobody_in_a_new_machine_heeds_a_shutdown(simulator: Simulator) -> None:
    finish(simulator, simulator.request("POST", "/nodes/pve1/qemu", {"vmid": 120, "scsi0": "local:1", "start": 1}))
    assert act(simulator, 120, "shutdown", timeout=9).exitstatus == "VM quit/powerdown failed - got timeout"


# -- reboot, reset, suspend, resume ----------------------------------------------------------------------------------


def test_a_reboot_starts_a_new_process_with_what_was_pending(running: Simulator) -> None:
    change(running, 101, pending={"memory": "1024", "boot": None})
    before = guest(running, 101)
    assert act(running, 101, "reboot").exitstatus == "OK"
    after = guest(running, 101)
    assert after.running
    assert after.pid != before.pid
    assert (after.config["memory"], "boot" in after.config, dict(after.pending)) == ("1024", False, {})


def test_a_reboot_that_is_not_heeded_leaves_the_machine_as_it_was(running: Simulator) -> None:
    before = guest(running, 100)
    assert act(running, 100, "reboot", timeout=4).exitstatus == "VM quit/powerdown failed - got timeout"
    assert guest(running, 100) == before


def test_a_reset_keeps_the_process(running: Simulator) -> None:
    running.clock.advance(20)
    assert act(running, 101, "reset").type == "qmreset"
    assert status(running, 101)["uptime"] == 20


def test_a_suspended_machine_runs_and_is_paused(running: Simulator) -> None:
    assert act(running, 101, "suspend").type == "qmpause"
    told = status(running, 101)
    assert (told["status"], told["qmpstatus"]) == ("running", "paused")
    assert act(running, 101, "resume").type == "qmresume"
    assert status(running, 101)["qmpstatus"] == "running"


def test_suspending_to_disk_saves_the_memory_until_the_next_start(running: Simulator) -> None:
    task = act(running, 101, "suspend", todisk=1)
    assert (task.type, task.exitstatus) == ("qmsuspend", "OK")
    asleep = guest(running, 101)
    assert (asleep.running, asleep.lock) == (False, "suspended")
    state = str(asleep.config["vmstate"]).partition(":")[2]
    assert running.world.get(Volume, ("local", "pve1", state)) is not None
    task = act(running, 101, "resume")
    assert task.log == ("Resuming suspended VM", "TASK OK")
    awake = guest(running, 101)
    assert awake.running
    assert not {"lock", "vmstate"} & set(awake.config)
    assert running.world.get(Volume, ("local", "pve1", state)) is None


def test_an_interrupted_suspend_to_disk_leaves_nothing(running: Simulator) -> None:
    before, volumes = guest(running, 101), dict(running.world.rows(Volume))
    upid = start(running, 101, "suspend", todisk=1)
    running.clock.advance(1)
    assert guest(running, 101).lock == "suspending"
    abort_task(running.world, upid)
    assert guest(running, 101) == before
    assert running.world.rows(Volume) == volumes


def test_suspending_to_disk_needs_a_storage_that_one_may_use(running: Simulator) -> None:
    with pytest.raises(Forbidden, match=r"\(/storage/local, Datastore.AllocateSpace\)"):
        start(running, 100, "suspend", user="alice@pve", todisk=1)
    with pytest.raises(Failure, match=r"^storage 'nosuch' does not exist$"):
        start(running, 100, "suspend", todisk=1, statestorage="nosuch")
    running.world.put(HaResource("vm:100"))
    with pytest.raises(Failure, match=r"^Cannot suspend HA managed VM to disk$"):
        start(running, 100, "suspend", todisk=1)


# -- what a start needs --------------------------------------------------------------------------------------------


def test_pending_changes_come_true_at_the_start(simulator: Simulator) -> None:
    change(simulator, 101, pending={"scsi0": None, "cores": 2})
    assert act(simulator, 101, "start").exitstatus == "OK"
    config = guest(simulator, 101).config
    assert (config["cores"], config["unused0"], "scsi0" in config) == (2, "local:101/vm-101-disk-0.qcow2", False)


def test_a_template_does_not_start(simulator: Simulator) -> None:
    configure(simulator, 101, template=1)
    assert act(simulator, 101, "start").exitstatus == "you can't start a vm if it's a template"


@pytest.mark.parametrize(
    ("drive", "text"),
    [
        ("local:101/gone.raw", "volume 'local:101/gone.raw' does not exist"),
        ("local:iso/none.iso,media=cdrom", "volume 'local:iso/none.iso' does not exist"),
        ("gone:vm-101-disk-0", "storage 'gone' does not exist"),
        ("off:vm-101-disk-0", "storage 'off' is disabled"),
        ("nas:vm-101-disk-0", "storage 'nas' is not online"),
        ("far:vm-101-disk-0", "storage 'far' is not available on node 'pve1'"),
    ],
)
def test_a_start_needs_its_volumes(simulator: Simulator, drive: str, text: str) -> None:
    world = simulator.world
    world.put(Storage("off", "nfs", disable=True))
    world.put(Storage("nas", "nfs", shared=True))
    world.put(Space("nas", "", active=False))
    world.put(Storage("far", "dir", nodes=("pve2",)))
    configure(simulator, 101, scsi1=drive)
    assert act(simulator, 101, "start").exitstatus == text
    assert not guest(simulator, 101).running


def test_a_start_needs_its_bridges(simulator: Simulator) -> None:
    configure(simulator, 100, net0="virtio=BC:24:11:00:00:01,bridge=vmbr77")
    task = act(simulator, 100, "start")
    assert task.exitstatus == "start failed: QEMU exited with code 1"
    assert task.log[0] == "bridge 'vmbr77' does not exist"
    simulator.world.put(Interface("pve1", "vmbr77", "bridge"))
    assert act(simulator, 100, "start").exitstatus == "OK"


def test_a_start_needs_as_many_cpus(simulator: Simulator) -> None:
    configure(simulator, 100, cores=200)
    assert act(simulator, 100, "start").exitstatus == "MAX 16 vcpus allowed per VM on this node"


def test_a_cloud_init_drive_is_written_at_the_start(simulator: Simulator) -> None:
    simulator.world.put(Volume("local", "pve1", "101/vm-101-cloudinit.qcow2", "images", "qcow2", 4 << 20, vmid=101))
    configure(simulator, 101, ide0="local:101/vm-101-cloudinit.qcow2,media=cdrom")
    assert act(simulator, 101, "start").log == ("generating cloud-init ISO", "TASK OK")


# -- locks and HA --------------------------------------------------------------------------------------------------


def test_a_locked_machine_is_started_by_root_alone_who_skips_the_lock(simulator: Simulator) -> None:
    configure(simulator, 101, lock="backup")
    assert act(simulator, 101, "start").exitstatus == "VM is locked (backup)"
    assert act(simulator, 101, "stop").exitstatus == "OK"  # it is off, and nobody looks at the lock
    assert act(simulator, 101, "start", skiplock=1).exitstatus == "OK"
    assert act(simulator, 101, "reset").exitstatus == "VM is locked (backup)"
    for action in ("stop", "shutdown"):
        assert act(simulator, 101, action).exitstatus == "VM is locked (backup)"
    assert act(simulator, 101, "stop", skiplock=1).exitstatus == "OK"


@pytest.mark.parametrize(
    ("action", "parameter", "value"),
    [
        ("start", "skiplock", 1),
        ("start", "stateuri", "tcp"),
        ("start", "force-cpu", "host"),
        ("stop", "keepActive", 1),
        ("shutdown", "skiplock", 1),
        ("reset", "skiplock", 1),
        ("suspend", "skiplock", 1),
        ("resume", "nocheck", 1),
    ],
)
def test_some_parameters_are_for_root_only(running: Simulator, action: str, parameter: str, value: Any) -> None:
    running.world.put(Token("root@pam", "full", "0" * 36, privsep=False))
    for user in ("root@pam!full", "alice@pve"):
        with pytest.raises(ParameterErrors) as refused:
            start(running, 100, action, user=user, **{parameter: value})
        assert refused.value.errors == {parameter: "Only root may use this option."}


def test_ha_is_asked_to_start_and_stop_what_it_manages(simulator: Simulator) -> None:
    simulator.world.put(HaResource("vm:101", state="stopped"))
    task = act(simulator, 101, "start")
    assert (task.type, task.id) == ("hastart", "101")
    assert task.log == ("Requesting HA start for VM 101", "TASK OK")
    assert simulator.world.rows(HaResource)["vm:101"].state == "started"
    for action in ("stop", "shutdown"):
        assert act(simulator, 101, action).type == "hastop"
    assert simulator.world.rows(HaResource)["vm:101"].state == "stopped"


def test_ha_does_what_it_was_asked(simulator: Simulator) -> None:
    simulator.world.put(HaResource("vm:101", state="stopped", crm_state="stopped"))
    act(simulator, 101, "start")
    simulator.clock.advance(30)
    assert guest(simulator, 101).running
    act(simulator, 101, "shutdown")
    simulator.clock.advance(120)
    assert not guest(simulator, 101).running


def test_what_ha_ignores_is_started_as_any_other(simulator: Simulator) -> None:
    simulator.world.put(HaResource("vm:101", state="ignored"))
    assert act(simulator, 101, "start").type == "qmstart"


def test_in_auto_time_a_client_that_looks_sees_the_machine_start(simulator: Simulator) -> None:
    start(simulator, 100, "start")
    seen = [simulator.request("GET", path(100, "/status/current"))["status"] for _ in range(4)]
    assert seen[0] == "stopped"
    assert seen[-1] == "running"


def test_a_bad_parameter_starts_no_task(simulator: Simulator) -> None:
    with pytest.raises(ApiError) as refused:
        start(simulator, 100, "start", timeout=-1)
    assert refused.value.errors == {"timeout": "value must have a minimum value of 0"}
    assert not simulator.request("GET", "/nodes/pve1/tasks", {"source": "all"})


def test_firmware_without_a_disk_for_its_variables_is_a_warning(simulator: Simulator) -> None:
    configure(simulator, 102, bios="ovmf")
    task = act(simulator, 102, "start")
    assert (task.exitstatus, task.log[0]) == (
        "WARNINGS: 1",
        "WARN: no efidisk configured! Using temporary efivars disk.",
    )
    assert guest(simulator, 102).running


@pytest.mark.parametrize(
    ("device", "refusal"),
    [
        ("0000:01:00.0", "cannot prepare PCI pass-through, IOMMU not present"),
        ("mapping=here", "cannot prepare PCI pass-through, IOMMU not present"),
        ("mapping=there", "PCI device mapping not found for 'there'"),
        ("mapping=nowhere", "PCI device mapping not found for 'nowhere'"),
    ],
)
def test_no_node_can_pass_a_device_through(simulator: Simulator, device: str, refusal: str) -> None:
    for name, node in (("here", "pve1"), ("there", "pve2")):
        place = f"node={node},path=0000:00:01.0,id=1af4:1041"
        simulator.request("POST", "/cluster/mapping/pci", {"id": name, "map": [place]})
    configure(simulator, 102, hostpci0=device)
    assert act(simulator, 102, "start").exitstatus == refusal
    assert not guest(simulator, 102).running
