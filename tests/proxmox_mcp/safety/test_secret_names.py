"""Where secrets stand in what PVE's API takes and answers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from proxmox_mcp.safety.redact import HIDDEN, Redactor
from proxmox_mcp.safety.secret_names import clash, is_secret_name, secret_at, secrets_in
from pvesim.contract import Contract
from pvesim.contract.schema import Schema

SECRET = "5up3r-53cr3t"

_SOUNDS_SO = re.compile(
    r"pass|secret|token|key|ticket|cred|auth|header|^env$|cert|private|otp|recovery|challenge|csrf|nonce|data$|"
    r"cookie|bearer|^url$|^value$|^pending$",
    re.IGNORECASE,
)
# What sounds like a secret and is none, or is one at some places only (those are tried below).
_EXCUSED = {
    "Key", "application_metadata", "authid", "author", "authsupported", "cert", "certificates", "certkey",
    "config-keys", "data", "err-data", "full-tokenid", "hotplug", "key", "keyboard", "keyctl", "master-pubkey",
    "ms-cert", "no-key-sharing",
    "osd_data", "out-data", "pending", "pre-enrolled-keys", "public-key-bits", "public-key-type",
    "skip-cert-verification",
    "token-coefficient", "tokenid", "tokens", "totp-locked", "url", "value", "verify-certificate",
    "verify-certificates", "webauthn",
}  # fmt: skip


def names() -> Iterator[str]:
    """Every name of a parameter or of a field of an answer."""
    for method in Contract.load().methods:
        for name, schema in method.parameters.entries():
            yield name
            yield from _fields(schema)
        yield from _fields(method.returns)


def _fields(schema: Schema) -> Iterator[str]:
    for inner in (schema.properties, schema.fields):
        for name, field in inner.entries() if inner is not None else ():
            yield name
            yield from _fields(field)
    if schema.items is not None:
        yield from _fields(schema.items)


def test_every_name_that_sounds_like_a_secret_was_thought_of() -> None:
    sounding = {name for name in names() if _SOUNDS_SO.search(name)}
    assert len(sounding) > 40
    assert {name for name in sounding if not is_secret_name(name)} == _EXCUSED & sounding
    assert not {name for name in _EXCUSED if is_secret_name(name)}


@pytest.mark.parametrize(
    "record",
    [
        {"full-tokenid": "a@pve!t", "value": SECRET},
        {"key": "cipassword", "value": SECRET, "pending": SECRET},
        {"key": "env", "value": f"DB_PASS={SECRET}"},
        {"dns": "d", "type": "powerdns", "url": "http://x", "key": SECRET},
        {"plugin": "cf", "type": "dns", "api": "cf", "data": f"CF_Token={SECRET}"},
        {"name": "w", "type": "webhook", "url": f"https://x/{SECRET}", "header": [f"name=a,value={SECRET}"]},
        {"path": "/cluster/sdn/dns/d", "params": {"key": SECRET}},
        {"path": "//cluster/acme//plugins/cf", "params": {"data": SECRET}},
        {"path": "/cluster/notifications/endpoints/webhook", "params": {"url": SECRET, "header": [SECRET]}},
        {"path": "/nodes/pve1/subscription", "params": {"key": SECRET}},
        {"path": "/access/tfa/a@pve", "params": {"value": SECRET}},
        {"client-key": SECRET, "keyring": SECRET, "otel-headers": SECRET, "corosync_authkey": SECRET},
        {"options": {"env": SECRET, "ssh-public-keys": SECRET, "cipassword": SECRET}},
    ],
)
def test_secrets_at_their_places(record: dict[str, Any]) -> None:
    hidden = Redactor().value(record)
    assert SECRET not in str(hidden)
    assert HIDDEN in str(hidden)
    assert any(SECRET in secret for secret in secrets_in(record))
    assert not Redactor().finds_nothing(str(record).replace("'", '"'))


def test_what_is_no_secret_stays() -> None:
    record = {
        "path": "/nodes/pve1/qemu/100/sendkey",
        "params": {"key": "ctrl-c"},
        "rows": [{"key": "memory", "value": "512", "pending": "1024"}, {"type": "dir", "url": "u", "data": "d"}],
    }
    assert Redactor().value(record) == record
    assert secret_at("/nodes/pve1/qemu") == frozenset()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"GET https://me:{SECRET}@host/x.iso", f"https://{HIDDEN}@host"),
        (f"https://host/x?file=a.iso&X-Amz-Signature={SECRET}&y=1", "file=a.iso"),
        (f"-----BEGIN RSA PRIVATE KEY-----\nMII{SECRET.replace('-', '')}\n-----END RSA PRIVATE KEY-----", "END RSA"),
        (f"export AWS_SECRET_ACCESS_KEY={SECRET} REGION=eu", "REGION=eu"),
        (f"GITHUB_TOKEN='{SECRET}'", "GITHUB_TOKEN="),
    ],
)
def test_texts_that_hold_secrets(text: str, left: str) -> None:
    hidden = Redactor().text(text)
    assert SECRET.replace("-", "") not in hidden.replace("-", "")
    assert left in hidden


@pytest.mark.parametrize("text", ["https://pve1:8006/api2/json", "PROXMOX_TOKEN_NAME=assistant", "a monkey=1"])
def test_texts_that_hold_none(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"command": ["sh", "-c", "rm -rf /"], "options": {"cipassword": "rm -rf /"}}, "command"),
        ({"options": {"cipassword": "local-lvm:vm-1", "scsi5": "local-lvm:vm-104-disk-0"}}, "scsi5"),
        ({"path": "/access/acl", "params": {"password": "x\n/access/acl\nAdministrator"}}, "path"),
        ({"name": "web1", "password": "good-one"}, None),
        ({"command": "sh", "input_data": "sh -c ls"}, None),
        ({"user": "abc", "password": "abc"}, None),  # too short to be hidden where it stands
    ],
)
def test_a_secret_that_hides_other_arguments(arguments: dict[str, Any], name: str | None) -> None:
    assert clash(arguments) == name


def test_very_many_secrets_are_not_each_looked_for() -> None:
    lines = "\n".join(f"line{number}" for number in range(50_000))
    assert clash({"password": lines, "description": "x" * 1_000_000}) is None
    assert clash({"password": lines, "description": lines}) == "description"
    many = {"params": {f"p{number}_password": f"secret{number}" for number in range(300)}, "path": "/x"}
    assert clash(many) == "one of 300 secrets"
