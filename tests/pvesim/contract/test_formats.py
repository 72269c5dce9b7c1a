"""The named formats: what fits, what does not, and the text."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.contract import Contract, FormatError, Schema, split_list
from pvesim.contract.calendar_events import is_calendar_event
from pvesim.contract.formats import FORMATS, format_check, parse_size
from pvesim.contract.schema import Fields

# Format, values that fit, values that do not.
CASES: list[tuple[str, list[str], list[str]]] = [
    ("CIDR", ["10.0.0.5/24", "fd00::/64"], ["10.0.0.5", "10.0.0.0/33", "10.0.0.0/", "x/8", "10.0.0.0/٣٢"]),
    ("CIDRv4", ["10.0.0.5/24"], ["fd00::/64", "10.0.0.5"]),
    ("CIDRv6", ["fd00::/64"], ["10.0.0.5/24", "fd00::/129"]),
    ("IPorCIDR", ["10.0.0.1", "fd00::1", "10.0.0.0/8"], ["lan", "10.0.0.300"]),
    ("IPorCIDRorAlias", ["10.0.0.1", "dc/lan", "lan"], ["1.2.3.400", "+lan"]),
    ("address", ["10.0.0.1", "a.example.test", "fd00::1"], ["a_b", ""]),
    ("bridge-pair-list", ["1", "vmbr0", "vmbr0:vmbr1,vmbr2:vmbr3"], ["vmbr!", "vmbr0:"]),
    ("disk-size", ["32G", "0.5T", "1024"], ["32Q", "G", "1 G"]),
    ("dns-name", ["web", "a-b.example.test"], ["bad_name", "-a", "a..b", "a."]),
    ("email-opt", ["", "a@b.c"], ["a@", "@b", "a b@c.d"]),
    ("email-or-username", ["a@b.c", "root", "a.b+c"], ["a b", "a@", ".a", ""]),
    ("graphite-path", ["proxmox.my_cluster"], ["a b", "a/b"]),
    ("ip", ["10.0.0.1", "::1"], ["10.0.0.256", "fe80::1%eth0", "a"]),
    ("ipv4", ["10.0.0.1"], ["::1"]),
    ("ipv4mask", ["255.255.255.0", "255.255.255.255"], ["255.0.255.0", "0.0.0.0", "24"]),
    ("ipv6", ["::1"], ["10.0.0.1"]),
    ("ldap-simple-attr-list", ["uid", "uid,mail"], ["a-b", "a=b"]),
    ("lxc-ip-with-ll-iface-list", ["10.0.0.1", "fe80::1%eth0 10.0.0.1"], ["fd00::1%eth0", "x"]),
    ("mac-addr", ["BC:24:11:00:00:01", "02:00:00:00:00:00"], ["BD:24:11:00:00:01", "BC:24:11", "BC-24-11-00-00-01"]),
    ("mac-prefix", ["BC:24:11", "BC"], ["BD:24:11", "BC:24:11:00"]),
    ("pem-string", ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"], ["x"]),
    (
        "pem-certificate-chain",
        ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" * 2],
        ["-----BEGIN CERTIFICATE-----\nAAAA\n", "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----"],
    ),
    ("pem-certificate", ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], ["AAAA"]),
    ("pve-acme-alias", ["a.example.test"], ["*.a"]),
    ("pve-acme-domain-list", ["a.example.test;*.b.test"], ["a_b"]),
    ("pve-calendar-event", ["daily", "mon..fri 02:30"], ["sometimes", ""]),
    ("pve-bridge-id", ["vmbr0", "my_bridge.5"], ["a b", ""]),
    (
        "pve-command-batch",
        ['[{"method":"GET","path":"version"}]', "[]"],
        ["{}", "[1]", '[{"path":"x"}]', "[", "[" * 9999],
    ),
    ("pve-configid", ["ab", "a-b_1"], ["a", "1a", "a b"]),
    ("pve-cpuset", ["0", "0,5,8-11"], ["a", "5-3", ""]),
    ("pve-ct-timezone", ["host", "Europe/Vienna"], ["a b", "/x"]),
    ("pve-day-of-week-list", ["mon,tue", ""], ["monday"]),
    ("pve-dir-override-list", ["iso=/iso,backup=dumps"], ["iso", "movies=/x"]),
    (
        "pve-fw-addr-spec",
        ["10.0.0.1", "10.0.0.0/8,10.1.2.3", "+block", "dc/lan", "10.0.0.1-10.0.0.9"],
        ["10.0.0.1,", "a b"],
    ),
    ("pve-fw-conntrack-helper", ["ftp,sip"], ["nope"]),
    ("pve-fw-dport-spec", ["80", "80:85", "http,443", "ssh"], ["85:80", "70000", "80,,81", "a:b", "8 0"]),
    ("pve-fw-sport-spec", ["1024:65535"], ["65536"]),
    ("pve-fw-icmp-type-spec", ["echo-request", "any", "8"], ["nope", "300"]),
    ("pve-fw-protocol-spec", ["tcp", "47"], ["300", "t c p"]),
    ("pve-groupid", ["ops", "a.b-c_d"], ["a b", "a/b"]),
    ("pve-ha-node-list", ["pve1", "pve1:2,pve2"], ["pve1:x", "_"]),
    ("pve-ha-resource-id-list", ["vm:100,ct:101"], ["100"]),
    ("pve-ha-resource-or-vm-id", ["vm:100", "100", "cow:1"], ["vm"]),
    ("pve-hotplug-features", ["0", "1", "network,disk"], ["network,cow"]),
    ("pve-iface", ["eth0", "vmbr0.5", "eth0:1"], ["0eth", "e"]),
    ("pve-ipv4-config", ["dhcp", "manual", "10.0.0.5/24"], ["10.0.0.5", "auto"]),
    ("pve-ipv6-config", ["auto", "dhcp", "fd00::5/64"], ["fd00::5"]),
    ("pve-lxc-dev-string", ["/dev/dri/card0", "/dev/a..b"], ["/etc/passwd", "dev/a", "/dev/../etc/passwd", "/dev/."]),
    ("pve-fw-protocol-spec", ["tcp", "icmpv6", "6"], ["nosuch", "TCP", "200", "06"]),
    ("pve-fw-sport-spec", ["22", "80:90,443", "ssh"], ["nosuch", "ping", "70000", "90:80", "1,,2", "1," * 15 + "2"]),
    ("pve-fw-dport-spec", ["https,22", "echo-request"], ["nosuch", "echo-request,22"]),
    ("pve-ct-timezone", ["host", "UTC", "Europe/Vienna"], ["Mars/Base", "CET", "Europe"]),
    ("pve-lxc-mp-string", ["/data", "data", "local:1"], ["/a/../b", "./a"]),
    ("pve-node", ["pve1", "a-b"], ["a_b", "-a", "no_pe!", ""]),
    ("pve-phys-bits", ["host", "8", "64"], ["7", "65", "x"]),
    ("pve-poolid", ["p1", "a/b/c"], ["p 1!", "a/b/c/d", "a//b"]),
    ("pve-priv-list", ["VM.Audit", "VM.Audit Sys.Audit"], ["VM.Fly"]),
    ("pve-qm-bootdev-list", ["scsi0;net0"], ["floppy0"]),
    ("pve-qm-bootdisk", ["scsi0"], ["net0"]),
    ("pve-realm", ["pam", "my-realm"], ["p", "1a"]),
    ("pve-replication-job-id", ["100-0"], ["99-0", "100"]),
    ("pve-roleid-list", ["PVEAdmin Oper"], ["a/b"]),
    ("pve-sdn-bgp-rt-list", ["65000:1"], ["65000"]),
    ("pve-sdn-controller-id", ["evpn1"], ["1", "-a"]),
    ("pve-sdn-dns-id", ["dns1"], ["a-b"]),
    ("pve-sdn-fabric-id", ["f1"], ["-", "a23456789"]),
    ("pve-sdn-ipam-id", ["pve"], ["a b"]),
    ("pve-sdn-isis-net", ["49.0001.1921.6800.1002.00"], ["49"]),
    ("pve-sdn-subnet-id", ["10.0.0.0/24"], ["a b"]),
    ("pve-sdn-vnet-id", ["vnet0"], ["v", "a23456789", "a-b"]),
    ("pve-startup-order", ["1", "order=1,up=5,down=5", ""], ["up=x", "1,cow=2"]),
    ("pve-storage-content-list", ["iso,images"], ["movies"]),
    ("pve-storage-id-list", ["local,local-lvm"], ["1 d", "x"]),
    ("pve-storage-options", ["vers=4.2,soft"], ["a b"]),
    ("pve-storage-path", ["/var/lib/vz", "/"], ["rel/path", "/a b"]),
    ("pve-storage-path-in-property-string", ["/a b"], ["/a,b", "a"]),
    ("pve-storage-portal-dns-list", ["10.0.0.1:6789,[fd00::1]:3300,mon.test"], ["a_b", "[x]:1"]),
    ("pve-storage-portal-dns", ["fd00::1"], [":1"]),
    ("pve-storage-server", ["nas.test", "10.0.0.1"], ["n_s"]),
    ("pve-storage-vgname", ["pve", "my-vg"], ["-a", "v"]),
    ("pve-tag-list", ["web;prod", "Zeta,alpha"], ["a b;$"]),
    ("pve-task-status-type-list", ["ok,warning"], ["great"]),
    ("pve-tokenid-list", ["a@pve!t1"], ["a@pve"]),
    ("pve-userid", ["root@pam", "a.b@my-realm"], ["bob", "bo b:@pve", "@", "a" * 62 + "@pve"]),
    ("pve-vlan-id-or-range-list", ["2 4 100-200"], ["0", "5000", "200-100", "x"]),
    ("pve-vmid-list", ["100;101,102 103", ""], ["100,99", "a"]),
    ("pve-volume-id", ["local:iso/a.iso"], ["garbage", ":x", "local:"]),
    ("pve-volume-id-or-absolute-path", ["/dev/sda", "local:1"], ["dev/sda"]),
    ("pve-volume-id-or-qm-path", ["none", "cdrom", "/dev/sda", "local:1"], ["garbage"]),
    ("storage-pair-list", ["1", "local", "local:other"], ["a b:c", "x:local"]),
    ("string-list", ["05;06", ""], []),
    ("urlencoded", ["ssh-rsa%20AAAA", ""], ["not a key", "%zz", "a%2"]),
]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, fitting, _ in CASES for text in fitting])
def test_fitting(name: str, text: str) -> None:
    check = format_check(name)
    assert check is not None
    check(text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, _, wrong in CASES for text in wrong])
def test_not_fitting(name: str, text: str) -> None:
    check = format_check(name)
    assert check is not None
    with pytest.raises(FormatError, match=r"\S"):
        check(text)


def _used(schema: Schema, names: set[str], seen: set[int]) -> None:
    if id(schema) in seen:
        return
    seen.add(id(schema))
    if schema.format is not None and schema.fields is None and schema.pattern is None:
        names.add(schema.format)
    inner: list[Fields] = [fields for fields in (schema.fields, schema.properties) if fields is not None]
    for fields in inner:
        for _, child in fields.entries():
            _used(child, names, seen)
    for child in (*schema.one_of, *([schema.items] if schema.items is not None else [])):
        _used(child, names, seen)


def test_every_format_of_the_schema_is_checked_and_tried_here() -> None:
    names: set[str] = set()
    seen: set[int] = set()
    for method in Contract.load().methods:
        for _, schema in method.parameters.entries():
            _used(schema, names, seen)
        _used(method.returns, names, seen)
    assert [name for name in sorted(names) if format_check(name) is None] == []
    tried = {name.removesuffix("-list").removesuffix("-opt") for name, _, _ in CASES}
    assert {name.removesuffix("-list").removesuffix("-opt") for name in names} - tried == set()


def test_an_unknown_format_has_no_check() -> None:
    assert format_check("no-such-format") is None
    assert format_check("pve-vmid-nosuffix") is None


def test_texts_name_the_value() -> None:
    for name, text, expected in (
        ("pve-groupid", "a b", "group name 'a b' contains invalid characters"),
        ("pve-poolid", "a/b/c/d", "pool name 'a/b/c/d' is nested too deeply (max levels = 3)"),
        ("pve-userid", "@", "user name '@' is too short"),
        ("pve-fw-addr-spec", "10.0.0.1,fd00::1", "detected mixed IPv4/IPv6 address list '10.0.0.1,fd00::1'"),
        ("pve-fw-addr-spec", "10.0.0.1,10.0.0.2-10.0.0.3", "you can't use a range in a list"),
        ("pve-fw-addr-spec", "10.0.0.1,", "extraneous commas in list"),
        ("pve-fw-addr-spec", "10.0.0.0/40", "invalid IP address: Prefix length 40 is longer than IP address (32)"),
        (
            "pve-fw-addr-spec",
            "10.0.0.9-10.0.0.1",
            "invalid IP address: Begin address is greater than End address 10.0.0.9 - 10.0.0.1",
        ),
        (
            "pve-fw-addr-spec",
            "10.0.0.9-fd00::1",
            "invalid IP address: Begin and End addresses have different IP versions - 10.0.0.9 - fd00::1",
        ),
        ("IPorCIDR", "10.0.0.0/33", "Prefix length 33 is longer than IP address (32)"),
        ("IPorCIDRorAlias", "10.0.0.5/24", f"Invalid prefix {10:08b}{5:024b}/24"),
        ("pve-fw-dport-spec", "85:80", "backwards range '85:80' not allowed, did you mean '80:85'?"),
    ):
        check = format_check(name)
        assert check is not None
        with pytest.raises(FormatError) as caught:
            check(text)
        assert str(caught.value) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("daily", "02:30", "sun 01:00", "mon..fri 02:30", "*/15", "mon,wed..fri 0/2:00", "*-*-1 04:00", "*-1..6-1"),
        *("Monthly", "2026-05-31 12:00:30", "sat *-1..7 15:00", "hourly UTC", "0", "22:0/5", "8..17,22:0/15"),
    ],
)
def test_calendar_events(text: str) -> None:
    assert is_calendar_event(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sometimes",
        "25:00",
        "12:60",
        "fri..mon 1:00",
        "mon tue",
        "1-2-3-4",
        "*/0",
        "UTC",
        "1:2:3:4",
        "daily 1:00",
        "5..3",
    ],
)
def test_not_calendar_events(text: str) -> None:
    assert not is_calendar_event(text)


def test_sizes() -> None:
    assert parse_size("32G") == 32 << 30
    assert parse_size("0.5T") == 1 << 39
    assert parse_size("512") == 512


def test_lists_drop_what_is_empty() -> None:
    assert split_list(" a, b;;c\td ") == ["a", "b", "c", "d"]
    assert split_list("a b\0c\0") == ["a b", "c"]
    assert split_list("") == []


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(FORMATS)),
    st.text(max_size=30) | st.from_regex(r"[\w:/.,;+\-%=*\[\] ]{0,12}", fullmatch=True),
)
def test_checks_raise_nothing_but_format_errors(name: str, text: str) -> None:
    with contextlib.suppress(FormatError):
        FORMATS[name](text)
