"""Property strings: `net0`, `scsi0`, `rootfs`, `agent` and the like, read and written."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pvesim.contract import Contract, FormatError, Schema, format_property_string, parse_property_string

CONTRACT = Contract.load()
VM = CONTRACT.method("POST", "/nodes/{node}/qemu").parameters
CONTAINER = CONTRACT.method("POST", "/nodes/{node}/lxc").parameters


def schema_of(name: str, kind: str = "vm") -> Schema:
    schema = (VM if kind == "vm" else CONTAINER).get(name)
    assert schema is not None
    return schema


@pytest.mark.parametrize(
    ("kind", "name", "text", "values"),
    [
        (
            "vm",
            "net0",
            "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=5",
            {"model": "virtio", "macaddr": "BC:24:11:00:00:01", "bridge": "vmbr0", "firewall": True, "tag": 5},
        ),
        ("vm", "net0", "e1000,bridge=vmbr0", {"model": "e1000", "bridge": "vmbr0"}),
        ("vm", "net0", "bridge=vmbr0,model=virtio", {"model": "virtio", "bridge": "vmbr0"}),
        ("vm", "scsi0", "local:32,ssd=on,iothread=no", {"file": "local:32", "ssd": True, "iothread": False}),
        ("vm", "scsi0", "file=local:32,,size=32G, ", {"file": "local:32", "size": "32G"}),
        ("vm", "scsi0", "local:1,bps_rd_length=5", {"file": "local:1", "bps_rd_max_length": 5}),
        ("vm", "agent", "1,guest-fsfreeze=0", {"enabled": True, "freeze-fs": False}),
        ("vm", "memory", "2048", {"current": 2048}),
        ("vm", "boot", "order=scsi0;net0", {"order": "scsi0;net0"}),
        ("vm", "boot", "cdn", {"legacy": "cdn"}),
        ("vm", "cpu", "host,flags=+aes;-pcid", {"cputype": "host", "flags": "+aes;-pcid"}),
        ("vm", "cpu", "custom-mine", {"cputype": "custom-mine"}),
        ("vm", "ipconfig0", "ip=10.0.0.5/24,gw=10.0.0.1", {"ip": "10.0.0.5/24", "gw": "10.0.0.1"}),
        (
            "vm",
            "smbios1",
            "uuid=00000000-0000-0000-0000-000000000001",
            {"uuid": "00000000-0000-0000-0000-000000000001"},
        ),
        ("ct", "rootfs", "local:8", {"volume": "local:8"}),
        ("ct", "mp0", "local:1,mp=/data,backup=1", {"volume": "local:1", "mp": "/data", "backup": True}),
        ("ct", "net0", "name=eth0,bridge=vmbr0,ip=dhcp", {"name": "eth0", "bridge": "vmbr0", "ip": "dhcp"}),
        ("ct", "features", "nesting=1", {"nesting": True}),
    ],
)
def test_reading(kind: str, name: str, text: str, values: dict[str, Any]) -> None:
    schema = schema_of(name, kind)
    assert parse_property_string(schema, text) == values
    assert parse_property_string(schema, format_property_string(schema, values)) == values


@pytest.mark.parametrize(
    ("name", "text", "refusal"),
    [
        ("net0", "virtio,e1000", "duplicate key in comma-separated list property: model"),
        ("net0", "virtio,bridge=a,bridge=b", "duplicate key in comma-separated list property: bridge"),
        ("net0", "model=e1000,virtio=BC:24:11:00:00:01", "key alias 'model' is already defined"),
        ("net0", "virtio,=x", "missing key in comma-separated list property"),
        ("net0", "virtio,bridge=", "missing key in comma-separated list property"),
        ("ipconfig0", "10.0.0.5/24", "value without key, but schema does not define a default key"),
        ("ipconfig0", "gw=10.0.0.1", "format error\nip: missing property required by 'gw'"),
        (
            "net0",
            "tag=0,rate=x",
            "format error\nmodel: property is missing and it is not optional\n"
            "rate: type check ('number') failed - got 'x'\ntag: value must have a minimum value of 1",
        ),
        ("agent", "maybe", "format error\nenabled: type check ('boolean') failed - got 'maybe'"),
        ("smbios1", "family=a b", "format error\nfamily: value does not match the regex pattern"),
    ],
)
def test_refusals(name: str, text: str, refusal: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_property_string(schema_of(name), text)
    assert str(caught.value) == refusal


def test_retention_options_exclude_each_other() -> None:
    retention = CONTRACT.method("POST", "/storage").parameters.get("prune-backups")
    assert retention is not None
    assert parse_property_string(retention, "keep-last=3,keep-daily=7") == {"keep-last": 3, "keep-daily": 7}
    assert parse_property_string(retention, "keep-all=1") == {"keep-all": True}
    with pytest.raises(FormatError, match="keep-all"):
        parse_property_string(retention, "keep-all=1,keep-last=3")


def test_writing_puts_the_default_key_first_and_the_rest_by_name() -> None:
    values = {
        "tag": 5,
        "bridge": "vmbr0",
        "firewall": True,
        "macaddr": "BC:24:11:00:00:01",
        "model": "virtio",
        "mtu": None,
    }
    assert format_property_string(schema_of("net0"), values) == "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=5"
    assert format_property_string(schema_of("net0"), {"model": "virtio", "link_down": False}) == "virtio,link_down=0"


@pytest.mark.parametrize(
    "values",
    [
        {"bridge": "vmbr0"},
        {"model": "cow"},
        {"model": "virtio", "bridge": "a,b"},
        {"model": "virtio", "bridge": ""},
        {"model": "virtio", "colour": "red"},
    ],
)
def test_writing_refuses_what_could_not_be_read(values: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        format_property_string(schema_of("net0"), values)


def test_other_schemas_are_no_property_strings() -> None:
    with pytest.raises(TypeError, match="property string"):
        parse_property_string(schema_of("cores"), "1")


SAMPLES: dict[str, st.SearchStrategy[str]] = {
    "pve-volume-id-or-qm-path": st.sampled_from(["local:32", "none", "/dev/sda", "s1:x=y"]),
    "pve-volume-id-or-absolute-path": st.sampled_from(["local:iso/a.iso", "/x"]),
    "pve-bridge-id": st.from_regex(r"vmbr[0-9]{1,4}", fullmatch=True),
    "mac-addr": st.from_regex(r"BC:24:11(:[0-9A-F]{2}){3}", fullmatch=True),
    "disk-size": st.from_regex(r"[1-9][0-9]{0,3}[KMGT]", fullmatch=True),
    "urlencoded": st.from_regex(r"[A-Za-z0-9]{1,8}(%20)?", fullmatch=True),
    "pve-qm-bootdev-list": st.sampled_from(["scsi0", "scsi0;net0"]),
    "pve-ipv4-config": st.sampled_from(["dhcp", "10.0.0.5/24"]),
    "pve-ipv6-config": st.sampled_from(["auto", "fd00::5/64"]),
    "ipv4": st.just("10.0.0.1"),
    "ipv6": st.just("fd00::1"),
    "pve-lxc-mp-string": st.sampled_from(["/data", "local:8", "a/b"]),
}


def value_for(schema: Schema) -> st.SearchStrategy[Any] | None:
    if schema.enum is not None:
        return st.sampled_from(schema.enum)
    if schema.type == "boolean":
        return st.booleans()
    low, high = schema.minimum, schema.maximum
    if schema.type == "integer":
        return st.integers(int(low or 0), int(high if high is not None else 10**6))
    if schema.type == "number":
        return st.floats(low or 0, high if high is not None else 1e6)
    if schema.format is not None:
        return SAMPLES.get(schema.format)
    return None


@st.composite
def property_values(draw: st.DrawFn) -> tuple[Schema, dict[str, Any]]:
    kind, name = draw(
        st.sampled_from([("vm", "net0"), ("vm", "scsi0"), ("vm", "agent"), ("vm", "watchdog"), ("ct", "mp0")])
    )
    schema = schema_of(name, kind)
    assert schema.fields is not None
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field, inner in schema.fields.entries():
        strategy = None if inner.alias is not None else value_for(inner)
        if strategy is not None:
            (optional if inner.optional else required)[field] = strategy
    return schema, draw(st.fixed_dictionaries(required, optional=optional))


@settings(max_examples=300, deadline=None)
@given(property_values())
def test_what_is_written_reads_back(sample: tuple[Schema, dict[str, Any]]) -> None:
    schema, values = sample
    assume(all(not isinstance(value, float) or value == 0 or value > 1e-300 for value in values.values()))
    text = format_property_string(schema, values)
    assert parse_property_string(schema, text) == values
    assert format_property_string(schema, parse_property_string(schema, text)) == text
