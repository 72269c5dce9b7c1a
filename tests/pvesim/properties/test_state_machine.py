"""A cluster lives through whatever hypothesis thinks of; `PVESIM_DEEP=1` thinks of five hundred lives."""

from __future__ import annotations

from tests.pvesim.properties.guest_rules import GuestRules
from tests.pvesim.properties.other_rules import AccessRules, ClusterRules, FirewallRules, StorageRules
from tests.pvesim.properties.profiles import machine_settings
from tests.pvesim.properties.world_rules import WorldRules


class ClusterLife(GuestRules, StorageRules, AccessRules, FirewallRules, ClusterRules, WorldRules):
    """All of it together."""


TestClusterLife = ClusterLife.TestCase
TestClusterLife.settings = machine_settings()
