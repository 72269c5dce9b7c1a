"""Finding methods, and what a method knows about itself."""

import re
from pathlib import Path

import pytest

from pvesim.contract import Contract
from pvesim.contract.schema import NUMBERED

CONTRACT = Contract.load()


def test_all_methods_of_the_release_are_there_and_compile() -> None:
    methods = list(CONTRACT.methods)
    assert len(methods) == 649
    assert len({(method.verb, method.path) for method in methods}) == 649
    for method in methods:
        assert method.rule is not None
        assert method.returns.type != ""
        for placeholder in re.findall(r"\{([^}]+)\}", method.path):
            assert method.parameters.get(placeholder) is not None, method


def test_loading_again_gives_the_same_contract() -> None:
    assert Contract.load() is CONTRACT


def test_a_contract_from_another_file(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text('{\n"/a":{"GET":{"parameters":{},"returns":{"type":"null"}}}\n}\n', encoding="utf-8")
    contract = Contract.load(path)
    assert contract.paths == ["/a"]
    assert contract.find("GET", ["a"]) is not None


@pytest.mark.parametrize(
    ("verb", "path", "template", "values"),
    [
        ("GET", "version", "/version", {}),
        ("GET", "nodes/pve1/qemu", "/nodes/{node}/qemu", {"node": "pve1"}),
        ("POST", "nodes/a/lxc/7/status/start", "/nodes/{node}/lxc/{vmid}/status/start", {"node": "a", "vmid": "7"}),
        # A literal name wins over a placeholder.
        ("GET", "cluster/sdn/fabrics/all", "/cluster/sdn/fabrics/all", {}),
        ("GET", "cluster/backup/j1", "/cluster/backup/{id}", {"id": "j1"}),
        (
            "GET",
            "nodes/pve1/storage/local/content/local:iso",
            "/nodes/{node}/storage/{storage}/content/{volume}",
            {"node": "pve1", "storage": "local", "volume": "local:iso"},
        ),
        (
            "DELETE",
            "nodes/pve1/storage/local/content/local:100/vm-100-disk-0.qcow2",
            "/nodes/{node}/storage/{storage}/content/{volume}",
            {"node": "pve1", "storage": "local", "volume": "local:100/vm-100-disk-0.qcow2"},
        ),
    ],
)
def test_find(verb: str, path: str, template: str, values: dict[str, str]) -> None:
    found = CONTRACT.find(verb, path.split("/"))
    assert found is not None
    assert (found[0].verb, found[0].path, found[1]) == (verb, template, values)


def test_an_encoded_slash_stays_inside_its_part() -> None:
    found = CONTRACT.find("GET", ["nodes", "pve1", "storage", "local", "content", "local:iso/tiny.iso"])
    assert found is not None
    assert found[1]["volume"] == "local:iso/tiny.iso"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "nosuchpath"),
        ("POST", "version"),
        ("GET", "version/more"),
        ("GET", "nodes/pve1/qemu/100/nosuch"),
        ("PUT", "cluster/resources"),
        ("get", "version"),
        ("GET", "nodes//qemu"),
        ("GET", "pools/a/b"),
    ],
)
def test_find_nothing(verb: str, path: str) -> None:
    assert CONTRACT.find(verb, path.split("/")) is None


def test_what_a_method_says_about_itself() -> None:
    start = CONTRACT.method("POST", "/nodes/{node}/qemu/{vmid}/status/start")
    assert (start.protected, start.proxyto, start.allowtoken, start.world) == (True, "node", True, False)
    login = CONTRACT.method("POST", "/access/ticket")
    assert (login.allowtoken, login.world, login.proxyto) == (False, True, None)
    assert CONTRACT.method("PUT", "/nodes/{node}/apt/repositories").permissions is not None
    assert CONTRACT.method("GET", "/nodes/{node}/tasks/{upid}/log").download_allowed
    assert repr(login) == "<Method POST /access/ticket>"


def test_a_method_that_does_not_exist_is_named() -> None:
    with pytest.raises(KeyError, match="PATCH /version"):
        CONTRACT.method("PATCH", "/version")
    with pytest.raises(KeyError, match="GET /nosuch"):
        CONTRACT.method("GET", "/nosuch")


def test_children_are_the_literal_names_below() -> None:
    assert CONTRACT.children("/") == ["access", "cluster", "nodes", "pools", "storage", "version"]
    assert "status" in CONTRACT.children("/nodes/{node}/qemu/{vmid}")
    assert CONTRACT.children("/nodes/{node}/qemu/{vmid}/status")[:2] == ["current", "reboot"]
    assert CONTRACT.children("/version") == []
    assert CONTRACT.children("/nosuch") == []


def test_verbs() -> None:
    assert CONTRACT.verbs("/nodes/{node}/qemu/{vmid}/config") == ["GET", "POST", "PUT"]
    assert CONTRACT.verbs("/nosuch") == []


def test_the_key_that_names_a_child() -> None:
    assert CONTRACT.method("GET", "/nodes").child_link == "node"
    assert CONTRACT.method("GET", "/version").child_link is None


def test_numbered_names_have_their_limits() -> None:
    parameters = CONTRACT.method("POST", "/nodes/{node}/qemu").parameters
    assert parameters.get("net31") is parameters.get("net0")
    for name in ("net32", "net01", "net", "net[n]", "net-1", "netx", "foo1", "net0000"):
        assert parameters.get(name) is None, name


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/nodes/{node}/qemu/{vmid}/move_disk", ("ide", "scsi", "virtio", "sata", "unused")),
        ("/nodes/{node}/lxc/{vmid}/move_volume", ("mp", "unused")),
    ],
)
def test_limits_agree_with_the_enumerations_of_disks(path: str, kinds: tuple[str, ...]) -> None:
    name = "disk" if "move_disk" in path else "volume"
    schema = CONTRACT.method("POST", path).parameters.get(name)
    assert schema is not None
    assert schema.enum is not None
    for kind in kinds:
        listed = [choice for choice in schema.enum if re.fullmatch(rf"{kind}\d+", choice)]
        assert listed == [f"{kind}{number}" for number in range(NUMBERED[kind])]


def test_every_numbered_parameter_has_a_limit() -> None:
    for method in CONTRACT.methods:
        assert set(method.parameters.numbered) <= set(NUMBERED), method
