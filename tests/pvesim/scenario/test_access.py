"""Users, tokens, groups, roles, realms and the ACL."""

from __future__ import annotations

import pytest

from pvesim.access.login import password_matches, verify_api_token
from pvesim.access.records import AclEntry, Group, Realm, Role, Token, User
from pvesim.access.rules import Identity, has_privileges
from pvesim.engine import Simulator
from tests.pvesim.scenario.places import build, problem

TEXT = """
root_password: root-secret
realms: {corp: {type: ldap, config: {server1: ldap.example.test, base_dn: 'dc=example', user_attr: uid}}}
groups: {ops: {comment: c}}
roles: {Power: [VM.PowerMgmt, VM.Audit]}
users:
  alice@pve:
    password: alice-secret
    groups: [ops]
    tokens:
      ci: {secret: 00000000-0000-4000-8000-000000000001, privsep: false}
      own: {}
  gone@pve: {enable: false}
acl:
  - {path: /vms//100/, group: ops, role: Power, propagate: false}
  - {path: /, token: alice@pve!own, role: PVEAuditor}
"""


def test_users_can_log_in() -> None:
    world = build(TEXT)
    assert password_matches(world, "alice@pve", "alice-secret")
    assert password_matches(world, "root@pam", "root-secret")
    assert not world.rows(User)["gone@pve"].enable


def test_tokens_have_their_secrets() -> None:
    world = build(TEXT)
    assert verify_api_token(world, "alice@pve!ci=00000000-0000-4000-8000-000000000001").tokenid == "ci"
    assert len(world.rows(Token)["alice@pve!own"].secret) == 36
    assert build(TEXT).rows(Token)["alice@pve!own"].secret == world.rows(Token)["alice@pve!own"].secret


def test_the_acl_gives_rights() -> None:
    world = build(TEXT)
    assert world.rows(Group)["ops"].members == ("alice@pve",)
    assert has_privileges(world, Identity("alice@pve"), "/vms/100", ["VM.PowerMgmt"])
    assert not has_privileges(world, Identity("alice@pve"), "/vms/101", ["VM.Audit"])
    assert ("/vms/100", "group", "ops", "Power") in world.rows(AclEntry)
    assert world.rows(Role)["Power"].privileges == ("VM.Audit", "VM.PowerMgmt")
    assert world.rows(Realm)["corp"].options["base_dn"] == "dc=example"


def test_root_may_have_tokens_and_keeps_its_password() -> None:
    world = build("users: {root@pam: {email: a@example.test, tokens: {t1: {privsep: false}}}}")
    assert password_matches(world, "root@pam", "pvesim-root")
    assert world.rows(User)["root@pam"].email == "a@example.test"
    assert Simulator(world).request("GET", "/version", user="root@pam!t1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("users: {bob@nope: {}}", "users.bob@nope: no realm 'nope': there are pam, pve"),
        ("users: {bob@pve: {groups: [x]}}", "users.bob@pve.groups.0: no group 'x': there is none"),
        ("users: {bob@pve: {tokens: {'1 2': {}}}}", "users.bob@pve.tokens.1 2: PVE refuses it"),
        ("users: {bob@pve: {tokens: {t1: {secret: x}}}}", "string should match pattern"),
        ("users: {bob@pve: {email: nonsense}}", "users.bob@pve: PVE refuses it"),
        ("roles: {PVEAdmin: []}", "'PVEAdmin' is a built-in role"),
        ("roles: {Mine: [VM.Fly]}", "roles.Mine.0: no privilege 'VM.Fly'"),
        ("acl: [{path: /, user: x@pve, role: PVEAdmin}]", "acl.0.user: no user 'x@pve': there are root@pam"),
        ("acl: [{path: /, user: root@pam, role: Nope}]", "acl.0.role: no role 'Nope'"),
        ("realms: {corp: {type: nis}}", "realms.corp"),
    ],
)
def test_what_cannot_be(text: str, words: str) -> None:
    assert words in problem(text)
