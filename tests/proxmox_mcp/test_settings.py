import sys
from pathlib import Path

import pytest

from proxmox_mcp.errors import SettingsError
from proxmox_mcp.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("PROXMOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_sources_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('host = "toml"\nport = 1\ntimeout = 7\nuser = "toml@pve"\n')
    (tmp_path / ".env").write_text("PROXMOX_HOST=dotenv\nPROXMOX_PORT=2\nPROXMOX_USER=dotenv@pve\nOTHER=x\n")
    monkeypatch.setenv("PROXMOX_HOST", "environment")
    monkeypatch.setenv("PROXMOX_PORT", "3")
    monkeypatch.setenv("PROXMOX_CONFIG", str(config))
    settings = load_settings({"host": "option", "access": None})
    assert (settings.host, settings.port, settings.user, settings.timeout) == ("option", 3, "dotenv@pve", 7.0)


def test_safe_by_default() -> None:
    settings = load_settings({})
    assert settings.access == "read"
    assert settings.verify_tls


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "70000", "less than or equal to 65535"),
        ("PORT", "https", "valid integer"),
        ("ACCESS", "root", "'read', 'operate' or 'admin'"),
        ("FINGERPRINT", "12:34", "64 hexadecimal digits"),
        ("CA_FILE", "/nowhere/ca.pem", "no such file"),
        ("USER", "root", "root@pam"),
        ("HOST", "http://pve1", "alone"),
        ("HOST", "pve1/x?y", "alone"),
        ("TIMEOUT", "0", "greater than 0"),
        ("VERIFY_TLS", "maybe", "boolean"),
    ],
)
def test_a_bad_value_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"PROXMOX_{name}", value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert f"PROXMOX_{name}: " in str(raised.value)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bad_value_is_named_by_file_and_key(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('port = "x"')
    with pytest.raises(SettingsError, match=r"port in .*c\.toml: .*integer"):
        load_settings(config=config)


def test_a_bad_value_is_named_by_its_option() -> None:
    with pytest.raises(SettingsError, match="--connect-timeout: "):
        load_settings({"connect_timeout": "soon"})


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('fingerprnt = "x"')
    with pytest.raises(SettingsError, match=r"unknown key fingerprnt.*Did you mean fingerprint\?"):
        load_settings(config=config)


@pytest.mark.parametrize("text", ["= x", "a = 'b", "\xff"])
def test_what_is_not_toml_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    config = tmp_path / "c.toml"
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="is not TOML"):
        load_settings(config=config)


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PROXMOX_HOST=\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env is not text"):
        load_settings()


def test_a_missing_file_is_said_to_be_missing() -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_settings(config=Path("nowhere.toml"))


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXMOX_TOKEN_VALUE", "very-secret")
    monkeypatch.setenv("PROXMOX_PASSWORD", "hunter2!")
    settings = load_settings({"host": "pve1", "user": "root@pam", "token_name": "t"})
    assert "very-secret" not in repr(settings)
    assert "hunter2!" not in f"{settings} {settings.model_dump_json()}"
    assert set(settings.secrets()) == {"very-secret", "hunter2!"}


def test_a_secret_in_a_wrong_place_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXMOX_TOKEN_NAME", "c2c1-9f secret!")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert "c2c1-9f" not in str(raised.value)


@pytest.mark.parametrize("given", [{"token_name": "root@pam!mcp"}, {"user": "root@pam!mcp"}])
def test_a_full_token_id_is_taken_apart(given: dict[str, str]) -> None:
    settings = load_settings(given)
    assert (settings.user, settings.token_name) == ("root@pam", "mcp")


@pytest.mark.parametrize("form", ["AB:" * 31 + "AB", "ab" * 32, "SHA256:" + "AB" * 32])
def test_fingerprints_in_any_usual_form(form: str) -> None:
    assert Settings(fingerprint=form).fingerprint == "ab" * 32


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "PROXMOX_HOST is not set"),
        ({"host": "h"}, "PROXMOX_USER is not set"),
        ({"host": "h", "user": "root@pam"}, "no credentials"),
        ({"host": "h", "user": "root@pam", "token_name": "t"}, "PROXMOX_TOKEN_VALUE is not set"),
        ({"host": "h", "user": "root@pam", "token_value": "v"}, "PROXMOX_TOKEN_NAME is not set"),
    ],
)
def test_what_a_connection_lacks_is_named(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load_settings(given).require_connection()


_LATER = "not taken from a file that just lies in the working directory"


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys()))
def test_what_a_file_that_nobody_named_may_say(tmp_path: Path, name: str) -> None:
    """Each setting is one or the other; a new one is refused until somebody thinks of it."""
    values = {
        "host": "pve1", "port": "1", "user": "a@pve", "token_name": "t", "token_value": "v", "password": "v",
        "ca_file": str(tmp_path / ".env"), "fingerprint": "0" * 64, "verify_tls": "false", "connect_timeout": "1",
        "timeout": "1", "concurrency": "1", "retries": "1", "log_level": "INFO", "access": "admin", "toolsets": "all",
        "tools": "get_vms", "policy": str(tmp_path / ".env"), "approval": "model", "approval_minutes": "9",
        "audit": "all", "upload_folder": str(tmp_path), "state_dir": str(tmp_path),
    }  # fmt: skip
    file = tmp_path / ".env"
    file.write_text(f"PROXMOX_{name.upper()}={values[name]}\n")
    safety = {"access", "toolsets", "tools", "policy", "approval", "approval_minutes", "audit", "upload_folder"}
    if name in safety | {"state_dir"}:
        with pytest.raises(SettingsError, match=f"PROXMOX_{name.upper()} in .env: .*{_LATER}.*--env-file"):
            load_settings({})
    else:
        load_settings({})
    assert name in load_settings({}, env_file=file).model_fields_set


@pytest.mark.parametrize("name", ["HOST", "PORT", "CA_FILE", "FINGERPRINT", "VERIFY_TLS"])
@pytest.mark.parametrize("secret", ["TOKEN_VALUE", "PASSWORD"])
def test_no_found_file_says_where_a_secret_of_the_environment_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, secret: str
) -> None:
    value = {"PORT": "1", "CA_FILE": ".env", "FINGERPRINT": "0" * 64, "VERIFY_TLS": "0"}.get(name, "evil.example")
    (tmp_path / ".env").write_text(f"PROXMOX_{name}={value}\n")
    monkeypatch.setenv(f"PROXMOX_{secret}", "secret")
    with pytest.raises(SettingsError, match=f"PROXMOX_{name} in .env: where a secret is sent"):
        load_settings({})
    monkeypatch.setenv(f"PROXMOX_{name}", value)  # now it says nothing that counts
    assert load_settings({}).secrets() == ("secret",)


def test_a_found_file_may_hold_a_whole_connection(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROXMOX_HOST=pve1\nPROXMOX_USER=a@pve!t\nPROXMOX_TOKEN_VALUE=secret\n")
    settings = load_settings({})
    assert (settings.host, settings.identity, settings.access) == ("pve1", "a@pve!t", "read")


def test_a_variable_names_a_file_of_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "server.env"
    file.write_text("PROXMOX_ACCESS=operate\n")
    (tmp_path / ".env").write_text("PROXMOX_ACCESS=admin\n")  # which is not looked at, then
    monkeypatch.setenv("PROXMOX_ENV_FILE", str(file))
    assert load_settings({}).access == "operate"
    with pytest.raises(SettingsError, match=r"none\.env cannot be read: No such file"):
        load_settings({}, env_file=tmp_path / "none.env")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_a_file_that_everyone_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PROXMOX_HOST=pve1\n")
    file.chmod(0o666)
    with pytest.raises(SettingsError, match=r"\.env can be written by everyone"):
        load_settings({})
    file.unlink()
    config = tmp_path / "c.toml"
    config.write_text('host = "pve1"\n')
    config.chmod(0o666)
    with pytest.raises(SettingsError, match=r"c\.toml can be written by everyone"):
        load_settings({}, config=config)
