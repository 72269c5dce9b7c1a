"""The text of a configuration file, and its digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pvesim.core.world import World
from pvesim.guests.configfile import digest_of, render
from pvesim.guests.records import Guest, Snapshot

FULL = Guest(
    100,
    "qemu",
    "pve1",
    {"name": "web1", "cores": 2, "description": "first line\n100% done\n", "onboot": True, "parent": "s2"},
    pending={"memory": "384", "cores": None, "agent": None},
    snapshots=(
        Snapshot("s2", 20.7, {"name": "web1"}, parent="s1"),
        Snapshot("s1", 10.0, {"name": "old", "description": "stale"}, description="before\nall"),
    ),
)


def test_every_part_stands_in_its_section() -> None:
    assert render(FULL) == (
        "#first line\n#100%25 done\ncores: 2\nname: web1\nonboot: 1\nparent: s2\n"
        "\n[PENDING]\ndelete: agent,cores\nmemory: 384\n"
        "\n[s1]\n#before\n#all\nname: old\nsnaptime: 10\n"
        "\n[s2]\nname: web1\nparent: s1\nsnaptime: 20\n"
    )


def test_a_container_has_its_own_pending_section_and_raw_keys() -> None:
    guest = Guest(200, "lxc", "pve1", {"hostname": "ct", "lxc": [["lxc.x", "1"]]}, pending={"memory": 64})
    assert render(guest) == "hostname: ct\nlxc.x: 1\n\n[pve:pending]\nmemory: 64\n"


def test_an_empty_configuration_is_an_empty_file() -> None:
    assert render(Guest(1, "qemu", "pve1")) == ""


def test_the_digest_is_the_sha1_of_the_text() -> None:
    assert digest_of(World(), FULL) == hashlib.sha1(render(FULL).encode()).hexdigest()


@given(st.dictionaries(st.sampled_from(["name", "cores", "memory", "tags"]), st.text("ab1", min_size=1), min_size=1))
def test_the_digest_follows_the_configuration_and_nothing_else(config: dict[str, Any]) -> None:
    world, guest = World(), Guest(100, "qemu", "pve1", config)
    digest = digest_of(world, guest)
    assert digest_of(world, replace(guest, status="running", pid=7)) == digest
    assert digest_of(world, replace(guest, config=dict(reversed(config.items())))) == digest
    assert digest_of(world, replace(guest, config={**config, "extra": 1})) != digest
    assert digest_of(world, replace(guest, pending={"cores": None})) != digest
