"""Parameters: what is typed how, and what PVE says about bad ones."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.contract import Contract, verify
from pvesim.core.errors import ParameterErrors

CONTRACT = Contract.load()
METHODS = list(CONTRACT.methods)
MISSING = "property is missing and it is not optional"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
VM_ID = "invalid format - value does not look like a valid VM ID\n"
VM = "nodes/pve1/qemu/100"


def check(verb: str, path: str, given_values: Mapping[str, object] | None = None) -> dict[str, Any]:
    found = CONTRACT.find(verb, path.split("/"))
    assert found is not None, f"{verb} {path}"
    return verify(found[0], {**(given_values or {}), **found[1]})


def errors(verb: str, path: str, given_values: Mapping[str, object] | None = None) -> dict[str, str]:
    with pytest.raises(ParameterErrors) as caught:
        check(verb, path, given_values)
    assert caught.value.errors is not None
    return caught.value.errors


# What a genuine node answered: verb, path, parameters, errors.
RECORDED: list[tuple[str, str, Mapping[str, object], dict[str, str]]] = [
    ("GET", "version", {"foo": "1"}, {"foo": UNKNOWN}),
    ("GET", "nodes/pve1/qemu", {"baz": "1", "foo": "bar"}, {"baz": UNKNOWN, "foo": UNKNOWN}),
    *(
        ("GET", "nodes/pve1/qemu", {"full": word}, {"full": f"type check ('boolean') failed - got '{word}'"})
        for word in ("yes", "true", "on", "TRUE", "2", "maybe", "")
    ),
    ("GET", "nodes/pve1/tasks", {"limit": "ten"}, {"limit": "type check ('integer') failed - got 'ten'"}),
    ("GET", "nodes/pve1/tasks", {"limit": "1.5"}, {"limit": "type check ('integer') failed - got '1.5'"}),
    ("GET", "nodes/pve1/tasks", {"limit": "-1"}, {"limit": "value must have a minimum value of 0"}),
    (
        "GET",
        "nodes/pve1/tasks",
        {"statusfilter": "great"},
        {"statusfilter": "invalid format - invalid status 'great'\n"},
    ),
    (
        "GET",
        "cluster/resources",
        {"type": "cow"},
        {"type": "value 'cow' does not have a value in the enumeration 'vm, storage, node, sdn'"},
    ),
    ("GET", "cluster/resources", {"type": ["vm", "node"]}, {"type": "type check ('string') failed - got ARRAY"}),
    ("GET", "cluster/nextid", {"vmid": "50"}, {"vmid": VM_ID}),
    ("POST", "access/ticket", {"username": "root@pam"}, {"password": MISSING}),
    (
        "POST",
        "access/users",
        {"userid": "bob@pve", "password": "x"},
        {"password": "value must be at least 8 characters long"},
    ),
    (
        "POST",
        "access/users",
        {"userid": "bob"},
        {"userid": "invalid format - value 'bob' does not look like a valid user name\n"},
    ),
    (
        "POST",
        "access/users",
        {"userid": "bo b:@pve"},
        {"userid": "invalid format - value 'bo b:@pve' does not look like a valid user name\n"},
    ),
    (
        "POST",
        "access/users",
        {"userid": "bob@pve", "email": "not an email"},
        {"email": "invalid format - value does not look like a valid email address\n"},
    ),
    (
        "POST",
        "access/roles",
        {"roleid": "Bad", "privs": "VM.Fly"},
        {"privs": "invalid format - invalid privilege 'VM.Fly'\n"},
    ),
    ("POST", "access/users/root@pam/token/1x", {}, {"tokenid": "value does not match the regex pattern"}),
    (
        "POST",
        "pools",
        {"poolid": "p 1!"},
        {"poolid": "invalid format - pool name 'p 1!' contains invalid characters\n"},
    ),
    (
        "PUT",
        "cluster/options",
        {"migration": "type=fast"},
        {
            "migration": "invalid format - format error\n"
            "migration.type: value 'fast' does not have a value in the enumeration 'secure, insecure'\n"
        },
    ),
    ("POST", "cluster/metrics/server/m2", {"type": "graphite"}, {"port": MISSING, "server": MISSING}),
    (
        "POST",
        "cluster/sdn/zones",
        {"type": "simple", "zone": "zone_one_is_long"},
        {"zone": "value does not match the regex pattern"},
    ),
    (
        "POST",
        "cluster/ha/rules",
        {"rule": "r2", "type": "node-affinity"},
        {"oneOf[node-affinity].nodes": MISSING, "oneOf[node-affinity].resources": MISSING},
    ),
    (
        "POST",
        "cluster/firewall/rules",
        {"action": "EAT IT", "type": "in"},
        {"action": "value does not match the regex pattern"},
    ),
    ("POST", "cluster/firewall/rules", {"type": "in"}, {"action": MISSING}),
    (
        "POST",
        "cluster/firewall/rules",
        {"action": "ACCEPT", "source": "10.0.0.300", "type": "in"},
        {"source": "invalid format - invalid IP address: Invalid quad in IP address 10.0.0.300 - 300\n"},
    ),
    (
        "POST",
        "cluster/firewall/ipset/block",
        {"cidr": "1.2.3.400"},
        {"cidr": "invalid format - value does not look like a valid IP address or CIDR network\n"},
    ),
    ("POST", "nodes/pve1/qemu", {}, {"vmid": MISSING}),
    ("POST", "nodes/pve1/qemu", {"vmid": "abc"}, {"vmid": "type check ('integer') failed - got 'abc'"}),
    *(("POST", "nodes/pve1/qemu", {"vmid": vmid}, {"vmid": VM_ID}) for vmid in ("99", "1000000000", "0100")),
    (
        "POST",
        "nodes/pve1/qemu",
        {"vmid": "100", "cores": "x", "memory": "y"},
        {
            "cores": "type check ('integer') failed - got 'x'",
            "memory": "invalid format - format error\nmemory.current: type check ('integer') failed - got 'y'\n",
        },
    ),
    (
        "POST",
        "nodes/pve1/qemu",
        {"vmid": "100", "memory": "8"},
        {"memory": "invalid format - format error\nmemory.current: value must have a minimum value of 16\n"},
    ),
    ("POST", "nodes/pve1/qemu", {"vmid": "100", "cores": "0"}, {"cores": "value must have a minimum value of 1"}),
    (
        "POST",
        "nodes/pve1/qemu",
        {"vmid": "100", "name": "bad_name!"},
        {"name": "invalid format - value does not look like a valid DNS name\n"},
    ),
    (
        "POST",
        "nodes/pve1/qemu",
        {"vmid": "100", "net0": "bridge=vmbr0"},
        {"net0": f"invalid format - format error\nnet0.model: {MISSING}\n"},
    ),
    (
        "POST",
        "nodes/pve1/qemu",
        {"vmid": "100", "scsi0": "garbage"},
        {
            "scsi0": "invalid format - format error\n"
            "scsi0.file: invalid format - unable to parse volume ID 'garbage'\n\n"
        },
    ),
    (
        "POST",
        "nodes/pve1/qemu",
        {"vmid": "100", "scsi0": "local:1,foo=bar"},
        {"scsi0": f"invalid format - format error\nscsi0.foo: {UNKNOWN}\n"},
    ),
    (
        "POST",
        "nodes/pve1/qemu",
        {"vmid": "100", "scsi0": "local:1,format=zip"},
        {
            "scsi0": "invalid format - format error\nscsi0.format: value 'zip' does not have a value in the "
            "enumeration 'raw, qcow, qed, qcow2, vmdk, cloop'\n"
        },
    ),
    ("POST", "nodes/pve1/qemu", {"vmid": "131", "force": "1"}, {"archive": "missing property required by 'force'"}),
    ("GET", "nodes/pve1/qemu/abc/config", {}, {"vmid": "type check ('integer') failed - got 'abc'"}),
    ("PUT", f"{VM}/config", {"digest": "x" * 50, "cores": "1"}, {"digest": "value may only be 40 characters long"}),
    ("PUT", f"{VM}/config", {"onboot": "true"}, {"onboot": "type check ('boolean') failed - got 'true'"}),
    ("PUT", f"{VM}/config", {"tags": "a b;$"}, {"tags": "invalid format - invalid characters in tag\n"}),
    (
        "PUT",
        f"{VM}/config",
        {"net1": "e1000,bridge=vmbr0,tag=5000"},
        {"net1": "invalid format - format error\nnet1.tag: value must have a maximum value of 4094\n"},
    ),
    (
        "PUT",
        f"{VM}/config",
        {"ipconfig0": "ip=10.0.0.5"},
        {
            "ipconfig0": "invalid format - format error\nipconfig0.ip: invalid format - value does not look like a "
            "valid ipv4 network configuration\n\n"
        },
    ),
    (
        "PUT",
        f"{VM}/config",
        {"sshkeys": "not a key"},
        {"sshkeys": "invalid format - invalid urlencoded string: not a key\n"},
    ),
    (
        "PUT",
        f"{VM}/config",
        {"cpu": "quantum"},
        {"cpu": "invalid format - Built-in cputype 'quantum' is not defined (missing 'custom-' prefix?)\n"},
    ),
    ("PUT", f"{VM}/resize", {"disk": "scsi0", "size": "big"}, {"size": "value does not match the regex pattern"}),
    ("POST", f"{VM}/agent/exec", {}, {"command": MISSING}),
    ("POST", f"{VM}/snapshot", {"snapname": "a"}, {"snapname": "invalid format - invalid configuration ID 'a'\n"}),
    ("POST", f"{VM}/snapshot", {"snapname": "a" * 41}, {"snapname": "value may only be 40 characters long"}),
    (
        "POST",
        f"{VM}/migrate",
        {"target": "no_pe!"},
        {"target": "invalid format - value does not look like a valid node name\n"},
    ),
    ("POST", "storage", {"storage": "d1"}, {"type": MISSING}),
    (
        "POST",
        "storage",
        {"path": "rel/path", "storage": "d1", "type": "dir"},
        {"path": "invalid format - value does not look like a valid absolute path\n"},
    ),
    (
        "POST",
        "storage",
        {"path": "/var/lib/d1", "storage": "1 d", "type": "dir"},
        {"storage": "invalid format - storage ID '1 d' contains illegal characters\n"},
    ),
    (
        "GET",
        "nodes/pve1/storage/local/content",
        {"content": "movies"},
        {"content": "invalid format - invalid content type 'movies'\n"},
    ),
    (
        "POST",
        "cluster/backup",
        {"schedule": "sometimes", "storage": "local", "vmid": "100"},
        {"schedule": "invalid format - invalid calendar event 'sometimes' - unable to parse calendar event\n\n"},
    ),
    ("POST", "nodes/pve1/lxc", {"vmid": "200"}, {"ostemplate": MISSING}),
    ("PUT", "nodes/pve1/lxc/200/config", {"memory": "4"}, {"memory": "value must have a minimum value of 16"}),
    (
        "PUT",
        "nodes/pve1/dns",
        {"dns1": "10.10.10.999", "search": "example.test"},
        {"dns1": "invalid format - value does not look like a valid IP address\n"},
    ),
    (
        "POST",
        "nodes/pve1/network",
        {"cidr": "10.99.0.1", "iface": "vmbr8", "type": "bridge"},
        {"cidr": "invalid format - value does not look like a valid IPv4 CIDR network\n"},
    ),
    (
        "POST",
        "nodes/pve1/execute",
        {"commands": "nonsense"},
        {
            "commands": "invalid format - commands param did not contain valid JSON: 'null' expected, at character "
            'offset 0 (before "nonsense") at /usr/share/perl5/PVE/API2/Nodes.pm line 99.\n'
        },
    ),
]


@pytest.mark.parametrize(("verb", "path", "given_values", "expected"), RECORDED)
def test_recorded_refusals(verb: str, path: str, given_values: Mapping[str, object], expected: dict[str, str]) -> None:
    assert errors(verb, path, given_values) == expected


def test_values_are_typed_by_their_schema() -> None:
    values = check(
        "POST",
        "nodes/pve1/qemu",
        {
            "vmid": "100",
            "cores": "2",
            "cpulimit": "1.5",
            "onboot": "0",
            "memory": "2048",
            "net0": "virtio,bridge=vmbr0",
            "name": "web",
        },
    )
    assert values == {
        "node": "pve1",
        "vmid": 100,
        "cores": 2,
        "cpulimit": 1.5,
        "onboot": False,
        "memory": "2048",
        "net0": "virtio,bridge=vmbr0",
        "name": "web",
    }


def test_defaults_are_told_and_not_filled_in() -> None:
    found = CONTRACT.find("POST", ["nodes", "pve1", "qemu"])
    assert found is not None
    cores = found[0].parameters.get("cores")
    assert cores is not None
    assert cores.default == 1
    assert "cores" not in check("POST", "nodes/pve1/qemu", {"vmid": "100"})


def test_json_gives_native_types() -> None:
    values = check("POST", "nodes/pve1/qemu", {"vmid": 100, "onboot": True, "memory": 512, "cpulimit": 2, "cores": 4.0})
    assert (values["vmid"], values["onboot"], values["memory"], values["cores"]) == (100, True, "512", 4)
    assert isinstance(values["cpulimit"], float)


def test_json_types_in_the_wrong_place() -> None:
    assert errors(
        "PUT", f"{VM}/config", {"name": True, "cores": False, "memory": {"current": 1}, "tags": None, "x": None}
    ) == {
        "cores": "type check ('integer') failed - got JSON::PP::Boolean",
        "memory": "type check ('string') failed - got HASH",
        "name": "type check ('string') failed - got JSON::PP::Boolean",
        "x": UNKNOWN,
    }


def test_null_is_not_given() -> None:
    assert errors("POST", "nodes/pve1/qemu", {"vmid": None}) == {"vmid": MISSING}
    assert "tags" not in check("PUT", f"{VM}/config", {"tags": None})


def test_arrays_take_one_value_or_several() -> None:
    assert check("POST", f"{VM}/agent/exec", {"command": "ls"})["command"] == ["ls"]
    assert check("POST", f"{VM}/agent/exec", {"command": ["ls", "-l"]})["command"] == ["ls", "-l"]
    assert errors("POST", f"{VM}/agent/exec", {"command": ""}) == {"command": "type check ('array') failed"}
    assert errors("POST", f"{VM}/agent/exec", {"command": ["ls", None, {}]}) == {
        "command[1]": MISSING,
        "command[2]": "type check ('string') failed - got HASH",
    }


def test_repeated_values_of_a_list_string_are_joined() -> None:
    assert check("PUT", f"{VM}/config", {"tags": ["a", "b"]})["tags"] == "a,b"
    assert check("PUT", f"{VM}/config", {"delete": "a1;b1 , c1,,"})["delete"] == "a1;b1 , c1,,"


def test_undeclared_parameters_pass_where_the_schema_is_open() -> None:
    assert check("GET", "cluster/sdn/fabrics/all", {"extra": "1"})["extra"] == "1"


def test_schema_by_the_type_of_the_thing() -> None:
    path = "cluster/sdn/fabrics/node/f1"
    common: dict[str, object] = {"node_id": "pve1", "protocol": "ospf"}
    assert check("POST", path, {**common, "interfaces": "name=eth0"})["interfaces"] == ["name=eth0"]
    assert errors("POST", path, {**common, "interfaces": ["name=eth0,hello_multiplier=3"]}) == {
        "interfaces[0]": f"invalid format - format error\ninterfaces[0].hello_multiplier: {UNKNOWN}\n"
    }
    common["protocol"] = "openfabric"
    assert check("POST", path, {**common, "interfaces": ["name=eth0,hello_multiplier=3"]})["protocol"] == "openfabric"


def test_typed_parameters_pass_when_complete() -> None:
    rule = {"rule": "r2", "type": "node-affinity", "nodes": "pve1:2,pve2", "resources": "vm:100"}
    assert check("POST", "cluster/ha/rules", {**rule})["nodes"] == "pve1:2,pve2"
    assert "type" in errors("POST", "cluster/ha/rules", {**rule, "type": "other"})


def test_the_first_thing_wrong_with_a_value_is_told() -> None:
    # Format before length before bounds.
    assert errors("POST", f"{VM}/snapshot", {"snapname": "1" + "a" * 50})["snapname"].startswith("invalid format")


@pytest.mark.parametrize("text", ["1" * 5000, "1e999", "-" + "9" * 4999])
def test_absurd_numbers_are_no_numbers(text: str) -> None:
    assert list(errors("PUT", f"{VM}/config", {"cpulimit": text, "cores": text})) == ["cores", "cpulimit"]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(
        ["0", "1", "100", "a=b", "local:1", "10.0.0.1/24", "vm:100", "pve1", "abc", "+1G", "x,y", "\n", "é"]
    ),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))


@st.composite
def requests(draw: st.DrawFn) -> tuple[int, dict[str, object]]:
    index = draw(st.integers(0, len(METHODS) - 1))
    names = [name.replace("[n]", "0") for name, _ in METHODS[index].parameters.entries()]
    keys = st.sampled_from(names) if names else st.just("extra")
    return index, draw(st.dictionaries(st.one_of(keys, st.text(max_size=5)), VALUES, max_size=8))


@settings(max_examples=400, deadline=None)
@given(requests())
def test_verification_never_fails_otherwise(request_: tuple[int, dict[str, object]]) -> None:
    method = METHODS[request_[0]]
    errors_found: dict[str, str] | None = {"": "passed"}
    try:
        verify(method, request_[1])
    except ParameterErrors as refusal:
        errors_found = refusal.errors
    assert errors_found
    assert all(errors_found.values())


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {"vmid": st.sampled_from(["100", 100, "999999999"])},
        optional={
            "cores": st.integers(1, 512).map(str),
            "cpulimit": st.one_of(st.floats(0, 128), st.sampled_from(["1.", ".5", "1e1", "007"])),
            "onboot": st.sampled_from(["0", "1", True, False, 0, 1]),
            "memory": st.integers(16, 10**7),
            "tags": st.lists(st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True), max_size=3),
            "net0": st.sampled_from(["virtio", "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=yes"]),
            "description": st.text(max_size=50),
        },
    )
)
def test_a_verified_request_verifies_to_itself(request_: dict[str, object]) -> None:
    method = CONTRACT.method("POST", "/nodes/{node}/qemu")
    values = verify(method, {"node": "pve1", **request_})
    assert verify(method, values) == values
