"""How values of options are written, for any value."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pvesim.contract.formats import parse_size
from pvesim.core.world import World
from pvesim.guests.options import option_exists, parse_option, unique_tags, with_mac
from pvesim.guests.records import Guest
from pvesim.guests.updates import really_pending
from pvesim.guests.volumes import size_text, with_new_name

_tags = st.lists(st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_+.-]{0,8}", fullmatch=True), max_size=6)
_values = st.one_of(st.none(), st.integers(0, 3))


@given(st.integers(0, 2**50))
def test_a_size_is_read_as_it_was_written(size: int) -> None:
    assert parse_size(size_text(size)) == size


@given(_tags, st.sampled_from([",", ";", " ", ", "]))
def test_tags_are_sorted_and_each_once(tags: list[str], separator: str) -> None:
    text = unique_tags(separator.join(tags))
    assert text.split(";") == sorted({tag.lower() for tag in tags}) or not tags
    assert unique_tags(text) == text


@given(st.sampled_from(["virtio", "e1000", "vmxnet3"]), st.integers(1, 4094))
def test_a_card_has_an_address_and_keeps_it(model: str, tag: int) -> None:
    world = World(seed=tag)
    text = with_mac(world, "qemu", "net0", f"{model},bridge=vmbr0,tag={tag}")
    assert re.fullmatch(rf"{model}=BC:24:11(:[0-9A-F]{{2}}){{3}},bridge=vmbr0,tag={tag}", text)
    assert with_mac(world, "qemu", "net0", text) == text
    assert parse_option("qemu", "net0", text)["model"] == model


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)), st.dictionaries(st.sampled_from("abcd"), _values))
def test_what_is_pending_would_change_something(config: dict[str, int], pending: dict[str, int | None]) -> None:
    waits = really_pending(Guest(100, "qemu", "pve1", config, pending))
    for key, value in waits.items():
        assert config.get(key) != value
    later = {key: value for key, value in {**config, **waits}.items() if value is not None}
    assert later == {key: value for key, value in {**config, **pending}.items() if value is not None}


def test_a_volume_gets_its_new_name_only_where_it_is_named() -> None:
    names = {"local:1/a.raw": "nas:1/b.raw"}
    assert with_new_name("local:1/a.raw,size=1G", names) == "nas:1/b.raw,size=1G"
    assert with_new_name("file=local:1/a.raw,size=1G", names) == "file=nas:1/b.raw,size=1G"
    assert with_new_name("local:1/a.raw.old,size=1G", names) == "local:1/a.raw.old,size=1G"
    assert with_new_name(512, names) == 512


def test_options_are_those_of_the_schema() -> None:
    assert all(option_exists("qemu", key) for key in ("net31", "scsi30", "lock", "meta"))
    assert not any(option_exists("qemu", key) for key in ("net32", "colour", "digest", "rootfs"))
    assert option_exists("lxc", "mp255")
    assert not option_exists("lxc", "sockets")
