"""A simulated Proxmox VE cluster: it answers the API as a real one does.

from pvesim import Simulator
pve = Simulator("homelab").connect()  # an unmodified proxmoxer.ProxmoxAPI, with no socket
pve.nodes("pve1").qemu(100).status.stop.post()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pvesim.core.errors import ApiError, BrokenConnection, ClockError, FaultError, ScenarioError, SimError
    from pvesim.core.world import World
    from pvesim.engine import Simulator
    from pvesim.scenario.build import build_world
    from pvesim.scenario.files import available as available_scenarios
    from pvesim.scenario.files import load as load_scenario
    from pvesim.scenario.files import schema_json as scenario_schema
    from pvesim.scenario.model import Scenario
    from pvesim.wire import WireRequest, WireResponse

__version__ = "0.1.0"

# Imported on first use: `import pvesim` costs nothing, and a command line's --help loads no engine.
_HOMES = {
    "ApiError": "pvesim.core.errors",
    "BrokenConnection": "pvesim.core.errors",
    "ClockError": "pvesim.core.errors",
    "FaultError": "pvesim.core.errors",
    "Scenario": "pvesim.scenario.model",
    "ScenarioError": "pvesim.core.errors",
    "SimError": "pvesim.core.errors",
    "Simulator": "pvesim.engine",
    "WireRequest": "pvesim.wire",
    "WireResponse": "pvesim.wire",
    "World": "pvesim.core.world",
    "available_scenarios": "pvesim.scenario.files",
    "build_world": "pvesim.scenario.build",
    "load_scenario": "pvesim.scenario.files",
    "scenario_schema": "pvesim.scenario.files",
}
_NAMES = {"available_scenarios": "available", "load_scenario": "load", "scenario_schema": "schema_json"}

__all__ = [
    "ApiError",
    "BrokenConnection",
    "ClockError",
    "FaultError",
    "Scenario",
    "ScenarioError",
    "SimError",
    "Simulator",
    "WireRequest",
    "WireResponse",
    "World",
    "__version__",
    "available_scenarios",
    "build_world",
    "load_scenario",
    "scenario_schema",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)
