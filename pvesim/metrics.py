"""What guests and nodes use: CPU, memory, traffic, now and at any time before.

Nothing is measured and nothing is stored: a figure is a function of the world's seed, of whose figure it is and of the
time. Every guest has an *activity*, a sum of slow waves between -1 and 1 whose phases come from the seed, that moves
all its figures around their level. Three things follow from the waves being the same but for their phases:

- what a guest has sent since its start is the integral of a sine, so counters only grow and need no history;
- what a node uses is its own share and the sum of its running guests, exactly, at any time;
- that sum is again such a wave, so a month of a node's history costs no more than that of one guest.

Figures are constant within a status round of ten seconds, as those of PVE's status daemon are.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import mul
from typing import NamedTuple, cast

from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.guests.sizes import maxcpu, maxdisk, maxmem
from pvesim.nodes.records import Node
from pvesim.storage.rules import root_space

ROUND = 10  # seconds between two rounds of the status daemon
_WAVES = ((0.45, 86_400.0), (0.35, 2_700.0), (0.2, 210.0))  # share of the activity, period in seconds
_SWING = 0.8  # how far a figure follows the activity from its level towards its bounds
_MEMORY_SWING = 0.08
_LOAD_PER_CPU = 1.15  # waiting tasks for each CPU in use
_NODE_TRAFFIC = (1_500.0, 900.0)  # bytes per second that a node itself receives and sends

Phases = tuple[float, ...]  # for each wave: share * cosine and share * sine of its phase
Use = tuple[float, float, float, float]  # CPUs, bytes of memory, bytes per second received and sent
_NO_USE: Use = (0.0, 0.0, 0.0, 0.0)


class GuestFigures(NamedTuple):
    """A guest's use: `cpu` as share of its own CPUs, the rest in bytes and seconds; traffic counts from its start."""

    cpu: float
    mem: int
    disk: int
    netin: int
    netout: int
    diskread: int
    diskwrite: int
    uptime: int


class NodeFigures(NamedTuple):
    """A node's use: `cpu` and `iowait` as share of all its CPUs, traffic in bytes per second, the rest in bytes."""

    cpu: float
    mem: int
    uptime: int
    loadavg: tuple[float, float, float]
    iowait: float
    netin: float
    netout: float
    root_used: int
    swap_used: int


IDLE = GuestFigures(0.0, 0, 0, 0, 0, 0, 0, 0)


def round_of(time: float) -> float:
    """When the status round began that a time lies in."""
    return float(math.floor(time / ROUND) * ROUND)


# -- guests --------------------------------------------------------------------------------------------------------


def guest_figures(world: World, guest: Guest, at: float | None = None) -> GuestFigures:
    """What a guest uses now, or used at a time of its present run; all zero while it does not run."""
    if not guest.running:
        return IDLE
    time = world.now if at is None else at
    if time < guest.started:
        return IDLE
    moment = max(round_of(time), guest.started)
    phases = _phases(world.seed, f"guest/{guest.vmid}")
    figures = _figures_at(guest, moment, phases, _activity(phases, moment))
    return figures._replace(uptime=int(time - guest.started))


def sampled_figures(world: World, guest: Guest) -> GuestFigures:
    """The same as the status daemon saw it at the beginning of this round, the uptime too."""
    return sampler(world)(guest)


def sampler(world: World) -> Callable[[Guest], GuestFigures]:
    """`sampled_figures` of this moment, for many guests one after the other."""
    samples, time = _samples(world), round_of(world.now)

    def sampled(guest: Guest) -> GuestFigures:
        if guest.status != "running":
            return IDLE
        kept = samples.get(guest.vmid)
        if kept is None or kept.guest is not guest or kept.time != time:
            kept = samples[guest.vmid] = _sample(world, guest, time)
        return kept.figures

    return sampled


class _Sample(NamedTuple):
    guest: Guest
    time: float
    figures: GuestFigures
    use: Use


def _samples(world: World) -> dict[int, _Sample]:
    """Kept by guest and checked against its record and the round: what another guest does changes nothing here."""
    return world.cached("samples", (Node,), dict)


def _sample(world: World, guest: Guest, time: float) -> _Sample:
    moment = max(time, guest.started)
    phases = _phases(world.seed, f"guest/{guest.vmid}")
    activity = _activity(phases, moment)
    figures = _figures_at(guest, moment, phases, activity)
    traffic = 1 + _SWING * activity
    behaviour = guest.behaviour
    use = (figures.cpu * maxcpu(world, guest), figures.mem, behaviour.net_in * traffic, behaviour.net_out * traffic)
    return _Sample(guest, time, figures, use)


def _figures_at(guest: Guest, time: float, phases: Phases, activity: float) -> GuestFigures:
    """The figures at a time, in a round of their own or at the start."""
    behaviour = guest.behaviour
    memory = maxmem(guest)
    busy_seconds = time - guest.started + _SWING * _integral(phases, guest.started, time)
    return GuestFigures(
        behaviour.cpu_load + _cpu_swing(behaviour.cpu_load) * activity,
        int(memory * (behaviour.memory_load + _memory_swing(behaviour.memory_load) * activity)),
        int(maxdisk(guest) * behaviour.disk_used) if guest.kind == "lxc" else 0,
        int(behaviour.net_in * busy_seconds),
        int(behaviour.net_out * busy_seconds),
        int(behaviour.disk_read * busy_seconds),
        int(behaviour.disk_write * busy_seconds),
        int(time - guest.started),
    )


def _cpu_swing(level: float) -> float:
    return _SWING * min(level, 1 - level)  # never below nothing, never above all


def _memory_swing(level: float) -> float:
    return min(_MEMORY_SWING * level, 1 - level)


# -- nodes ---------------------------------------------------------------------------------------------------------


def node_figures(world: World, node: Node, at: float | None = None) -> NodeFigures:
    """What a node uses now, or used at a time: its own share and that of the guests that run on it."""
    time = world.now if at is None else at
    now = round_of(time) == round_of(world.now)
    cpus, memory, received, sent = _present_use(world, node.name) if now else _past_use(world, node.name, time)
    activity = _activity(_phases(world.seed, f"node/{node.name}"), round_of(time))
    hardware = node.hardware
    own = hardware.load + _cpu_swing(hardware.load) * activity
    cpu = min(1.0, own + cpus / hardware.cpus)
    waiting = cpu * hardware.cpus * _LOAD_PER_CPU
    own_traffic = 1 + _SWING * activity
    return NodeFigures(
        cpu,
        min(hardware.memory, int(hardware.memory_used + memory)),
        max(0, int(time - node.started)),
        (round(waiting * (1 + 0.15 * activity), 2), round(waiting * (1 + 0.05 * activity), 2), round(waiting, 2)),
        cpu * 0.02,
        _NODE_TRAFFIC[0] * own_traffic + received,
        _NODE_TRAFFIC[1] * own_traffic + sent,
        root_space(world, node).used,
        int(hardware.swap * 0.002),
    )


def _present_use(world: World, node: str) -> Use:
    memo: dict[float, dict[str, Use]] = world.cached("present use", (Guest, Node), dict)
    time = round_of(world.now)
    uses = memo.get(time)
    if uses is None:
        uses = _sum_of_guests(world)
        memo.clear()  # only this round's is wanted again
        memo[time] = uses
    return uses.get(node, _NO_USE)


def _sum_of_guests(world: World) -> dict[str, Use]:
    samples, time = _samples(world), round_of(world.now)
    uses: dict[str, list[Use]] = {}
    for vmid, guest in world.rows(Guest).items():
        if guest.status == "running":
            kept = samples.get(vmid)
            if kept is None or kept[0] is not guest or kept[1] != time:
                kept = samples[vmid] = _sample(world, guest, time)
            uses.setdefault(guest.node, []).append(kept[3])
    return {node: cast("Use", tuple(map(math.fsum, zip(*shares, strict=True)))) for node, shares in uses.items()}


class _History(NamedTuple):
    """The guests of a node in the order of their starts, and the use of the first, the first two, … as waves."""

    starts: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]
    waves: tuple[tuple[float, ...], ...]


def _past_use(world: World, node: str, time: float) -> Use:
    """The use by the guests of today that ran at that time already."""
    history = world.cached(("history of use", node), (Guest, Node), lambda: _history(world, node))
    count = bisect_right(history.starts, round_of(time))
    if not count:
        return _NO_USE
    levels, waves = history.levels[count - 1], history.waves[count - 1]
    width = 2 * len(_WAVES)
    uses = [levels[i] + _activity(waves[i * width : (i + 1) * width], round_of(time)) for i in range(len(levels))]
    return uses[0], uses[1], uses[2], uses[3]


def _history(world: World, node: str) -> _History:
    guests = [guest for guest in world.rows(Guest).values() if guest.node == node and guest.running]
    guests.sort(key=lambda guest: guest.started)
    levels: list[tuple[float, ...]] = []
    waves: list[tuple[float, ...]] = []
    level: tuple[float, ...] = (0.0,) * 4
    wave: tuple[float, ...] = (0.0,) * (8 * len(_WAVES))
    for guest in guests:
        phases = _phases(world.seed, f"guest/{guest.vmid}")
        pairs = _levels_and_swings(world, guest)
        level = tuple(old + pair[0] for old, pair in zip(level, pairs, strict=True))
        added = (swing * part for _, swing in pairs for part in phases)
        wave = tuple(old + part for old, part in zip(wave, added, strict=True))
        levels.append(level)
        waves.append(wave)
    return _History(tuple(guest.started for guest in guests), tuple(levels), tuple(waves))


def _levels_and_swings(world: World, guest: Guest) -> tuple[tuple[float, float], ...]:
    """Of the CPUs, memory and traffic that a guest uses: the level, and how far the activity moves it."""
    behaviour, cpus, memory = guest.behaviour, maxcpu(world, guest), maxmem(guest)
    return (
        (cpus * behaviour.cpu_load, cpus * _cpu_swing(behaviour.cpu_load)),
        (memory * behaviour.memory_load, memory * _memory_swing(behaviour.memory_load)),
        (behaviour.net_in, behaviour.net_in * _SWING),
        (behaviour.net_out, behaviour.net_out * _SWING),
    )


# -- waves ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16_384)
def _phases(seed: int, key: str) -> Phases:
    digest = blake2b(f"{seed}:{key}".encode(), digest_size=2 * len(_WAVES)).digest()
    phases: list[float] = []
    for index, (share, _) in enumerate(_WAVES):
        angle = 2 * math.pi * int.from_bytes(digest[2 * index : 2 * index + 2], "big") / 65536
        phases += (share * math.cos(angle), share * math.sin(angle))
    return tuple(phases)


@lru_cache(maxsize=256)
def _basis(time: float) -> tuple[float, ...]:
    """Sine and cosine of each wave at a time."""
    basis: list[float] = []
    for _, period in _WAVES:
        angle = 2 * math.pi * (time % period) / period
        basis += (math.sin(angle), math.cos(angle))
    return tuple(basis)


def _activity(phases: Sequence[float], time: float) -> float:
    return math.fsum(map(mul, phases, _basis(time)))


def _integral(phases: Sequence[float], start: float, end: float) -> float:
    """The activity's integral over time: grows or shrinks by at most a second for each second."""
    before, after = _basis(start), _basis(end)
    total = 0.0
    for index, (_, period) in enumerate(_WAVES):
        sine, cosine = 2 * index, 2 * index + 1
        along = phases[sine] * (before[cosine] - after[cosine]) + phases[cosine] * (after[sine] - before[sine])
        total += along * period / (2 * math.pi)
    return total
