"""The part of a scenario that is its firewall."""

# ruff: noqa: RUF012 - a pydantic model copies its defaults for every instance.
from __future__ import annotations

from pvesim.scenario.values import Model, Options, VmidKey


class AliasModel(Model):
    """A name for an address or network."""

    cidr: str
    comment: str = ""


class IpSetEntryModel(Model):
    """One entry of an IP set."""

    cidr: str
    comment: str = ""
    nomatch: bool = False


class IpSetModel(Model):
    """A set of addresses and networks."""

    comment: str = ""
    entries: list[IpSetEntryModel] = []


class FirewallScopeModel(Model):
    """The firewall of one place; rules are in order, the first is position 0."""

    options: Options = {}
    rules: list[Options] = []
    aliases: dict[str, AliasModel] = {}
    ipsets: dict[str, IpSetModel] = {}


class SecurityGroupModel(Model):
    """Rules with a name, for others to include."""

    comment: str = ""
    rules: list[Options] = []


class FirewallModel(Model):
    """The firewall at all levels."""

    cluster: FirewallScopeModel = FirewallScopeModel()
    groups: dict[str, SecurityGroupModel] = {}
    nodes: dict[str, FirewallScopeModel] = {}
    guests: dict[VmidKey, FirewallScopeModel] = {}
