"""Statistics: which rows there are, what they hold, and that they agree with the current figures."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from pvesim.core.errors import Failure, Forbidden, ParameterErrors
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.metrics import guest_figures, node_figures
from pvesim.nodes.records import Node
from pvesim.statistics import RESOLUTIONS, rrd_rows
from tests.pvesim.small_world import NOW, small_simulator

NODE = "/nodes/pve1"
PRESSURES = {f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("some", "full")}


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


def rows(simulator: Simulator, path: str, timeframe: str = "hour", **params: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = simulator.request("GET", f"{path}/rrddata", {"timeframe": timeframe, **params})
    return answer


@pytest.mark.parametrize("timeframe", RESOLUTIONS)
def test_rows_end_with_the_last_complete_one(timeframe: str) -> None:
    step, count = RESOLUTIONS[timeframe]
    rows = rrd_rows(World(now=NOW), timeframe, "AVERAGE", lambda time: {"value": time})
    assert len(rows) == count - 1
    assert {later["time"] - earlier["time"] for earlier, later in pairwise(rows)} == {step}
    assert rows[-1]["time"] == NOW // step * step - step


def test_a_row_without_figures_holds_its_time_alone() -> None:
    rows = rrd_rows(World(now=NOW), "hour", "AVERAGE", lambda time: {"cpu": 1.0} if time > NOW - 200 else None)
    assert rows[0] == {"time": rows[0]["time"]}
    assert rows[-1] == {"time": rows[-1]["time"], "cpu": 1.0}


def test_long_rows_tell_the_average_or_the_peak() -> None:
    def rising(time: float) -> dict[str, float]:
        return {"value": time}

    average, peak = (rrd_rows(World(now=NOW), "week", cf, rising)[-1] for cf in ("AVERAGE", "MAX"))
    assert average["time"] < average["value"] < peak["value"] < average["time"] + 1800


def test_a_row_of_a_node_has_the_columns_of_pve(simulator: Simulator) -> None:
    columns = {
        "arcsize",
        "cpu",
        "iowait",
        "loadavg",
        "maxcpu",
        "memavailable",
        "memtotal",
        "memused",
        "netin",
        "netout",
    }
    columns |= {"roottotal", "rootused", "swaptotal", "swapused", "time"} | PRESSURES - {"pressurecpufull"}
    assert set(rows(simulator, NODE)[-1]) == columns


def test_a_row_of_a_running_guest_has_the_columns_of_pve(simulator: Simulator) -> None:
    columns = {"cpu", "disk", "diskread", "diskwrite", "maxcpu", "maxdisk", "maxmem", "mem", "memhost", "netin"}
    columns |= {"netout", "time"} | PRESSURES
    assert set(rows(simulator, f"{NODE}/qemu/100")[-1]) == columns


def test_of_a_guest_that_does_not_run_the_sizes_are_known(simulator: Simulator) -> None:
    sizes = {"time", "maxcpu", "maxmem", "maxdisk", "disk"}
    assert set(rows(simulator, f"{NODE}/lxc/200")[-1]) == sizes
    assert set(rows(simulator, f"{NODE}/qemu/100")[0]) == sizes  # it runs for ten minutes


def test_the_newest_rows_agree_with_the_current_figures(simulator: Simulator) -> None:
    simulator.clock.advance(57)  # to a full minute
    guest, node = simulator.world.rows(Guest)[100], simulator.world.rows(Node)["pve1"]
    now = guest_figures(simulator.world, guest), node_figures(simulator.world, node)
    simulator.clock.advance(60)
    row = rows(simulator, f"{NODE}/qemu/100")[-1]
    assert (row["cpu"], row["mem"]) == (now[0].cpu, now[0].mem)
    row = rows(simulator, NODE)[-1]
    assert row["cpu"] == pytest.approx(now[1].cpu)
    assert row["memused"] == pytest.approx(now[1].mem, abs=10)
    assert row["netin"] == pytest.approx(now[1].netin)


def test_rates_add_up_to_the_counter(simulator: Simulator) -> None:
    simulator.clock.advance(3600)
    traffic = sum(row.get("netin", 0) * 60 for row in rows(simulator, f"{NODE}/qemu/100"))
    guest = simulator.world.rows(Guest)[100]
    before = guest_figures(simulator.world, guest, at=simulator.world.now - 3600)
    assert traffic == pytest.approx(guest_figures(simulator.world, guest).netin - before.netin, rel=0.1)


def test_a_storage_shows_its_space(simulator: Simulator) -> None:
    status = simulator.request("GET", f"{NODE}/storage/local/status")
    row = rows(simulator, f"{NODE}/storage/local", "week")[-1]
    assert row == {"time": row["time"], "total": status["total"], "used": status["used"]}


def test_a_fresh_node_has_none_yet(simulator: Simulator) -> None:
    node = replace(simulator.world.rows(Node)["pve1"], statistics_since=NOW)
    simulator.world.put(node)
    assert {len(row) for row in rows(simulator, NODE)} == {1}
    assert {len(row) for row in rows(simulator, f"{NODE}/storage/local")} == {1}
    simulator.clock.advance(120)
    assert len(rows(simulator, NODE)[-1]) > 1


def test_a_new_guest_has_none_until_the_first_round(simulator: Simulator) -> None:
    guest = simulator.world.rows(Guest)[101]
    simulator.world.put(replace(guest, config={**guest.config, "meta": f"creation-qemu=10.1.2,ctime={int(NOW)}"}))
    with pytest.raises(Failure, match=r"RRD error: opening '/var/lib/rrdcached/db/pve-vm-9\.0/101'"):
        rows(simulator, f"{NODE}/qemu/101")
    simulator.clock.advance(10)
    assert {len(row) for row in rows(simulator, f"{NODE}/qemu/101")} == {1}


@pytest.mark.parametrize("timeframe", ["month", "year", "decade"])
def test_long_statistics_reach_back_to_their_beginning(simulator: Simulator, timeframe: str) -> None:
    if timeframe == "decade":
        found = rows(simulator, NODE, timeframe)
        assert len(found) == RESOLUTIONS[timeframe][1] - 1
    else:
        found = rows(simulator, f"{NODE}/qemu/100", timeframe, cf="MAX")
    assert len(found[0]) > 1


def test_what_is_refused(simulator: Simulator) -> None:
    with pytest.raises(ParameterErrors):
        rows(simulator, NODE, "eon")
    with pytest.raises(ParameterErrors):
        simulator.request("GET", f"{NODE}/rrddata")
    with pytest.raises(Failure, match=r"101\.conf' does not exist"):
        rows(simulator, "/nodes/pve2/qemu/101")
    with pytest.raises(Failure, match="storage 'nope' does not exist"):
        rows(simulator, f"{NODE}/storage/nope")
    with pytest.raises(Forbidden):
        simulator.request("GET", f"{NODE}/rrddata", {"timeframe": "hour"}, user="alice@pve")
