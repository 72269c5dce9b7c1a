"""How much the property tests try: a little in every run, much when `PVESIM_DEEP=1` is set."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

DEEP = os.environ.get("PVESIM_DEEP") == "1"


def machine_settings() -> settings:
    """For the state machine. What every run tries is always the same; the deep one is random."""
    examples, steps = (int(os.environ.get("PVESIM_EXAMPLES", "500")), 80) if DEEP else (150, 40)
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        report_multiple_bugs=False,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        derandomize=not DEEP,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def property_settings(examples: int) -> settings:
    """For a plain property: so many examples in every run, twenty times as many in the deep one."""
    return settings(max_examples=20 * examples if DEEP else examples, deadline=None, derandomize=not DEEP)
