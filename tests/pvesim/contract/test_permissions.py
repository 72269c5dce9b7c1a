"""Who may call what, and the text of the refusal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pvesim.contract import Contract, evaluate
from pvesim.contract.permissions import acl_path, compile_rule

CONTRACT = Contract.load()
REFUSED = "Permission check failed"


@dataclass
class User:
    """A subject with privileges by ACL path; there is no propagation here."""

    rights: dict[str, set[str]] = field(default_factory=dict)
    userid: str = "alice@pve"
    is_root: bool = False
    groups: dict[str, list[str]] = field(default_factory=dict)

    def has(self, path: str, privileges: Sequence[str], any_of: bool) -> bool:
        held = self.rights.get(path, set())
        return bool(held & set(privileges)) if any_of else held >= set(privileges)

    def groups_of(self, userid: str) -> Iterable[str]:
        return self.groups.get(userid, [])


def ask(verb: str, path: str, params: Mapping[str, object], user: User) -> str | None:
    return evaluate(CONTRACT.method(verb, path), params, user)


# What a genuine node said to a user without rights, and the right that is enough.
@pytest.mark.parametrize(
    ("verb", "path", "params", "refusal", "rights"),
    [
        ("GET", "/nodes/{node}/status", {"node": "pve1"}, "(/nodes/pve1, Sys.Audit)", {"/nodes/pve1": {"Sys.Audit"}}),
        (
            "GET",
            "/nodes/{node}/storage/{storage}/content",
            {"node": "pve1", "storage": "local"},
            "(/storage/local, Datastore.Audit|Datastore.AllocateSpace)",
            {"/storage/local": {"Datastore.AllocateSpace"}},
        ),
        ("GET", "/cluster/status", {}, "(/, Sys.Audit)", {"/": {"Sys.Audit"}}),
        ("POST", "/storage", {"storage": "x"}, "(/storage, Datastore.Allocate)", {"/storage": {"Datastore.Allocate"}}),
        (
            "POST",
            "/access/users",
            {"userid": "eve@pve"},
            "(/access/realm/pve, Realm.AllocateUser)",
            {"/access/realm/pve": {"Realm.AllocateUser"}, "/access/groups": {"User.Modify"}},
        ),
        (
            "PUT",
            "/access/acl",
            {"path": "/vms/100"},
            "(/vms/100, Permissions.Modify|VM.Allocate)",
            {"/vms/100": {"VM.Allocate"}},
        ),
        # An "and" inside an "or" speaks for itself.
        (
            "PUT",
            "/access/password",
            {"userid": "root@pam"},
            "(/access/realm/pam, Realm.AllocateUser)",
            {"/access/realm/pam": {"Realm.AllocateUser"}, "/access/groups": {"User.Modify"}},
        ),
        (
            "POST",
            "/nodes/{node}/qemu/{vmid}/clone",
            {"node": "pve1", "vmid": "100", "newid": "140"},
            "(/vms/100, VM.Clone)",
            {"/vms/100": {"VM.Clone"}, "/vms/140": {"VM.Allocate"}},
        ),
        (
            "POST",
            "/nodes/{node}/qemu/{vmid}/status/start",
            {"node": "pve1", "vmid": 101},
            "(/vms/101, VM.PowerMgmt)",
            {"/vms/101": {"VM.PowerMgmt"}},
        ),
    ],
)
def test_recorded_refusals(
    verb: str, path: str, params: dict[str, object], refusal: str, rights: dict[str, set[str]]
) -> None:
    assert ask(verb, path, params, User()) == f"{REFUSED} {refusal}"
    assert ask(verb, path, params, User(rights)) is None
    assert ask(verb, path, params, User(userid="root@pam", is_root=True)) is None


def test_open_methods_refuse_nobody() -> None:
    assert ask("GET", "/version", {}, User()) is None
    assert ask("POST", "/access/ticket", {}, User()) is None


def test_methods_without_an_expression_are_for_root_alone() -> None:
    rule = CONTRACT.method("POST", "/cluster/config/join")
    assert rule.permissions is None
    assert evaluate(rule, {}, User({"/": {"Sys.Modify"}})) == f"{REFUSED} (user != root@pam)"
    assert evaluate(rule, {}, User(userid="root@pam!t")) == f"{REFUSED} (user != root@pam)"
    assert evaluate(rule, {}, User(userid="root@pam", is_root=True)) is None


def test_alternatives_are_not_named() -> None:
    path, params = "/cluster/mapping/dir/{id}", {"id": "m1"}
    assert ask("GET", path, params, User()) == REFUSED
    assert ask("GET", path, params, User({"/mapping/dir/m1": {"Mapping.Audit"}})) is None


def test_the_missing_one_of_several_is_named() -> None:
    rule = compile_rule({"check": ["perm", "/x", ["A", "B", "C"]]})
    assert rule.refusal({}, User({"/x": {"A", "C"}})) == f"{REFUSED} (/x, B)"


def test_a_pool_stands_in_for_the_new_guest_only_if_given() -> None:
    path = "/nodes/{node}/qemu/{vmid}/clone"
    params: dict[str, object] = {"node": "n", "vmid": "100", "newid": "140"}
    user = User({"/vms/100": {"VM.Clone"}, "/pool/p1": {"VM.Allocate"}, "/pool": {"VM.Allocate"}})
    assert ask("POST", path, params, user) == REFUSED
    assert ask("POST", path, {**params, "pool": "p1"}, user) is None


def test_oneself() -> None:
    assert ask("GET", "/access/users/{userid}/token", {"userid": "alice@pve"}, User()) is None
    assert ask("GET", "/access/users/{userid}/token", {"userid": "bob@pve"}, User()) == REFUSED
    # A token is not its user.
    assert ask("GET", "/access/users/{userid}/token", {"userid": "alice@pve"}, User(userid="alice@pve!t")) == REFUSED


def test_a_user_is_reached_through_a_group() -> None:
    user = User({"/access/groups/ops": {"User.Modify"}}, groups={"bob@pve": ["dev", "ops"], "eve@pve": ["dev"]})
    assert ask("GET", "/access/users/{userid}", {"userid": "bob@pve"}, user) is None
    assert ask("GET", "/access/users/{userid}", {"userid": "eve@pve"}, user) == REFUSED


def test_groups_asked_for_must_all_be_in_reach() -> None:
    rights = {"/access/realm/pve": {"Realm.AllocateUser"}, "/access/groups/ops": {"User.Modify"}}
    user = User(rights, groups={"bob@pve": ["ops"], "eve@pve": []})
    new: dict[str, object] = {"userid": "new@pve"}
    assert ask("POST", "/access/users", new, user) == f"{REFUSED} (/access/groups, User.Modify)"
    assert ask("POST", "/access/users", {**new, "groups": "ops"}, user) is None
    assert (
        ask("POST", "/access/users", {**new, "groups": "ops,dev"}, user)
        == f"{REFUSED} (/access/groups/dev, User.Modify)"
    )
    # An update needs a group that the user is in already.
    assert ask("PUT", "/access/users/{userid}", {"userid": "bob@pve", "groups": "ops"}, user) is None
    assert ask("PUT", "/access/users/{userid}", {"userid": "eve@pve", "groups": "ops"}, user) == REFUSED


@pytest.mark.parametrize(
    ("path", "owner"),
    [("/storage/local", "Datastore.Allocate"), ("/vms/100", "VM.Allocate"), ("/pool/p1", "Pool.Allocate")],
)
def test_owners_may_hand_out_rights(path: str, owner: str) -> None:
    assert ask("PUT", "/access/acl", {"path": path}, User({path: {owner}})) is None
    assert ask("PUT", "/access/acl", {"path": path}, User({path: {"Permissions.Modify"}})) is None
    assert (
        ask("PUT", "/access/acl", {"path": "/nodes"}, User({"/nodes": {owner}}))
        == f"{REFUSED} (/nodes, Permissions.Modify)"
    )


@pytest.mark.parametrize(
    ("template", "params", "path"),
    [
        ("/", {}, "/"),
        ("/vms/{vmid}", {"vmid": 100}, "/vms/100"),
        ("/vms/{newid}", {}, "/vms"),
        ("{path}", {"path": "vms//100/"}, "/vms/100"),
        ("{path}", {"path": "/"}, "/"),
        ("/sdn/zones/{zone}/{vnet}", {"zone": "z", "vnet": None}, "/sdn/zones/z"),
    ],
)
def test_acl_paths(template: str, params: dict[str, object], path: str) -> None:
    assert acl_path(template, params) == path


def test_an_unknown_kind_of_check_is_named() -> None:
    with pytest.raises(ValueError, match="'moon-phase'"):
        compile_rule({"check": ["moon-phase", "full"]})


def test_an_expression_of_words_only_is_root_s() -> None:
    assert compile_rule({}).refusal({}, User()) == f"{REFUSED} (user != root@pam)"


def test_every_expression_compiles_and_answers() -> None:
    for method in CONTRACT.methods:
        text = evaluate(method, {}, User())
        assert text is None or text.startswith(REFUSED), method
