"""A simulated cluster in this process, in place of the one that the settings name."""

from proxmox_mcp.errors import SettingsError
from proxmox_mcp.pve import Pve
from proxmox_mcp.settings import Settings


def simulated(settings: Settings, scenario: str, time_scale: float | None = None, user: str = "root@pam") -> Pve:
    """The simulated cluster of a scenario.

    Args:
        settings: how many requests at once, and how long to wait.
        scenario: a scenario's name, or its file.
        time_scale: real seconds that a simulated one takes; `None`: tasks go on whenever they are looked at.
        user: a user of the scenario, or one of its tokens (`mcp@pve!auditor`). What the environment says of a real
            cluster does not count here.

    Raises:
        SettingsError: there is no such scenario, or it has no such user.
    """
    from pvesim import ScenarioError, Simulator

    try:
        simulator = Simulator(scenario, clock="auto" if time_scale is None else "scaled", time_scale=time_scale or 0.0)
    except ScenarioError as error:
        raise SettingsError(f"--simulate: {error}") from None
    known = simulator.identities
    if user not in known:
        raise SettingsError(f"--user: the scenario {scenario} has no {user}.", f"It has: {', '.join(known)}.")
    return Pve(settings, lambda: simulator.connect(user=user), cluster=f"simulated {scenario}", user=user)
