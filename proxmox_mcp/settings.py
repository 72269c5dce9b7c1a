"""Everything that can be configured, once.

A setting comes from, in this order: an option of the command line, an environment variable, a file of variables
(`--env-file`, or `PROXMOX_ENV_FILE`; else `.env` in the working directory), a TOML file (`--config`, or
`PROXMOX_CONFIG`), its default. The variable of a field is its name in capitals behind `PROXMOX_`; the key in TOML is
its name.

Whoever may write into a folder in which the server is started can put a `.env` there, an assistant among them. So one
that nobody named says how PVE is reached and no more: not what an assistant may do, and not where a secret is sent
that it does not hold itself.

`Connection` is what one cluster needs; `Settings` is that and what the server as a whole needs. A second cluster would
be a second `Connection`.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from proxmox_mcp.errors import SettingsError
from proxmox_mcp.safety.files import Unsafe, require_trusted

Access = Literal["read", "operate", "admin"]
Approval = Literal["ask", "client", "command", "model"]

PREFIX = "PROXMOX_"

_FOUND = Path(".env")
_SECRETS = frozenset(("token_value", "password"))
_WHERE = frozenset(("host", "port", "ca_file", "fingerprint", "verify_tls"))
_HARMLESS = frozenset(("user", "token_name", "connect_timeout", "timeout", "concurrency", "retries", "log_level"))


def _fingerprint(value: str) -> str:
    digits = re.sub(r"[:\s]", "", value.removeprefix("SHA256:")).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("expected a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons")
    return digits


def _host(value: str) -> str:
    host = value.strip().removeprefix("https://").rstrip("/")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+|[\w.-]+", host):
        raise ValueError("expected a host name or an IP address alone; the port has its own setting")
    return host


def _existing_file(value: Path) -> Path:
    path = value.expanduser()
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _existing_folder(value: Path) -> Path:
    path = value.expanduser()
    if not path.is_dir():
        raise ValueError("there is no such folder")
    return path


def _user(value: str) -> str:
    if not re.fullmatch(r"[^\s:/!@][^\s:/!]*@[\w.-]+", value):
        raise ValueError("expected a user with its realm, such as root@pam")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _names(value: object) -> object:
    """Names with commas between them, or a list of names."""
    return tuple(name for name in re.split(r"[\s,]+", value) if name) if isinstance(value, str) else value


class Connection(BaseModel):
    """How one cluster is reached. Times are in seconds."""

    model_config = ConfigDict(frozen=True)

    host: Annotated[str, AfterValidator(_host)] | None = Field(
        None, description="Host name or IP address of a node of the cluster"
    )
    port: int = Field(8006, ge=1, le=65535, description="Port of the PVE API")
    user: Annotated[str, AfterValidator(_user)] | None = Field(None, description="User with realm, such as root@pam")
    token_name: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9._-]*$", description="Name of the API token")
    token_value: SecretStr | None = Field(None, min_length=1, description="Secret of the API token")
    password: SecretStr | None = Field(None, min_length=1, description="Password, when there is no token")
    ca_file: Annotated[Path, AfterValidator(_existing_file)] | None = Field(
        None, description="PEM file with the certificate authority to trust, instead of the system's own"
    )
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = Field(
        None, description="SHA-256 fingerprint of the node's certificate, which is then the only one accepted"
    )
    verify_tls: bool = Field(
        True, description="Set to false to send credentials without knowing whom to: for laboratories only"
    )
    connect_timeout: float = Field(5.0, gt=0, le=300, description="Seconds to wait for a connection")
    timeout: float = Field(30.0, gt=0, le=3600, description="Seconds that one call may take, retries included")
    concurrency: int = Field(8, ge=1, le=64, description="How many requests may be under way at once")
    retries: int = Field(2, ge=0, le=10, description="How often a read is repeated when the connection fails")

    def require_connection(self) -> None:
        """Check that there is enough to connect with.

        Raises:
            SettingsError: the host, the user, or both kinds of credentials are missing, or half of a token is.
        """
        if self.host is None:
            raise SettingsError(f"{PREFIX}HOST is not set.", "Set it to a node of the cluster, or use --simulate.")
        if self.user is None:
            raise SettingsError(f"{PREFIX}USER is not set.", "Set it to a user with its realm, such as root@pam.")
        if (self.token_name is None) != (self.token_value is None):
            missing = "TOKEN_NAME" if self.token_name is None else "TOKEN_VALUE"
            raise SettingsError(f"{PREFIX}{missing} is not set.", "An API token needs its name and its value.")
        if self.token_name is None and self.password is None:
            raise SettingsError(
                f"There are no credentials for {self.user}.",
                f"Set {PREFIX}TOKEN_NAME and {PREFIX}TOKEN_VALUE (better), or {PREFIX}PASSWORD.",
            )

    @property
    def identity(self) -> str:
        """As whom PVE is asked: a user (`mcp@pve`), or a token (`mcp@pve!assistant`)."""
        if self.token_name is not None and self.token_value is not None:
            return f"{self.user}!{self.token_name}"
        return str(self.user)

    def secrets(self) -> tuple[str, ...]:
        """The secrets among the settings, for the redactor."""
        return tuple(secret.get_secret_value() for secret in (self.token_value, self.password) if secret is not None)


class Settings(BaseSettings, Connection):
    """All settings of the server: how PVE is reached, and what an assistant may do there."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    access: Annotated[Access, BeforeValidator(_lower)] = Field(
        "read", description="What tools there are: read (look), operate (also start, stop, …), admin (everything)"
    )
    toolsets: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_names)] = Field(
        None, description="Which toolsets there are: their names, default or all; default if not given"
    )
    tools: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_names)] = Field(
        None, description="Which tools there are, by name; with toolsets, these besides"
    )
    policy: Annotated[Path, AfterValidator(_existing_file)] | None = Field(
        None, description="TOML file of rules on what is allowed, asked about and denied"
    )
    approval: Annotated[Approval, BeforeValidator(_lower)] = Field(
        "ask",
        description="Who approves of what destroys or interrupts: client (a form there), command (proxmox-mcp "
        "approve), ask (a form, or else the command), model (itself, by a confirm argument: no safety)",
    )
    approval_minutes: float = Field(10.0, gt=0, le=1440, description="How long a request for approval counts")
    audit: Annotated[Literal["writes", "all"], BeforeValidator(_lower)] = Field(
        "writes", description="What the audit records: writes and what was refused, or reads too"
    )
    upload_folder: Annotated[Path, AfterValidator(_existing_folder)] | None = Field(
        None, description="Folder whose files may be uploaded to storages; without one, none may"
    )
    state_dir: Path | None = Field(
        None, description="Folder of the audit and of requests for approval; by default XDG_STATE_HOME/proxmox-mcp"
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    ] = Field("WARNING", description="How much is logged, to standard error")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: `load_settings` has read the sources, and knows which value came from where."""
        return (init_settings,)


def _split_token_id(values: dict[str, Any]) -> dict[str, Any]:
    """Take a token's full id (`root@pam!name`) where its name or its user is asked for: PVE shows it that way."""
    for key in ("token_name", "user"):
        given = values.get(key)
        if isinstance(given, str) and "!" in given:
            user, _, name = given.partition("!")
            values = {**values, key: name if key == "token_name" else user}
            values.setdefault("user", user)
            values.setdefault("token_name", name)
    return values


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        require_trusted(path)
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except Unsafe as unsafe:
        raise SettingsError(f"The configuration is not trusted: {unsafe}.") from None
    except OSError as error:
        raise SettingsError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The configuration file {path} is not TOML: {error}.") from None
    for key in table:
        if key not in Settings.model_fields:
            near = difflib.get_close_matches(key, Settings.model_fields, n=1)
            known = f"Did you mean {near[0]}?" if near else f"Known keys: {', '.join(Settings.model_fields)}."
            raise SettingsError(f"{path} has an unknown key {key}.", known)
    return table


def _read_env_file(path: Path) -> dict[str, Any]:
    try:
        require_trusted(path)
        values = DotEnvSettingsSource(Settings, env_file=path, env_file_encoding="utf-8", env_ignore_empty=True)()
    except Unsafe as unsafe:
        raise SettingsError(f"The file is not trusted: {unsafe}.") from None
    except OSError as error:
        raise SettingsError(f"The file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"The file {path} is not text in UTF-8.") from None
    return values


class _Layer(NamedTuple):
    """A source: how a value of it is named to the user, the values, and whether nobody asked for it."""

    label: str
    values: dict[str, Any]
    found: bool = False


def _named_file(given: Path | None, variable: str) -> Path | None:
    """The file that an option names, or else a variable."""
    if given is not None:
        return given.expanduser()
    named = os.environ.get(PREFIX + variable)
    return Path(named).expanduser() if named else None


def _layers(options: Mapping[str, Any], config: Path | None, env_file: Path | None) -> list[_Layer]:
    """The sources, the strongest first."""
    given = InitSettingsSource(Settings, {key: value for key, value in options.items() if value is not None})()
    environment = EnvSettingsSource(Settings, env_ignore_empty=True)()
    layers = [_Layer("--{option}", given), _Layer(PREFIX + "{variable}", environment)]
    named = _named_file(env_file, "ENV_FILE")
    if named is not None or _FOUND.is_file():
        path = named or _FOUND
        layers.append(_Layer(f"{PREFIX}{{variable}} in {path}", _read_env_file(path), found=named is None))
    toml = _named_file(config, "CONFIG")
    if toml is not None:
        layers.append(_Layer(f"{{key}} in {toml}", _read_toml(toml)))
    return layers


def _check_found(found: set[str], merged: Mapping[str, Any]) -> None:
    """Refuse what a file that nobody named must not decide; `found` are the settings that would come from it."""
    secrets = _SECRETS & merged.keys()
    refused = found - _SECRETS - _HARMLESS - (_WHERE if secrets <= found else set())
    if refused:
        names = ", ".join(sorted(f"{PREFIX}{name.upper()}" for name in refused))
        why = (
            "where a secret is sent that stands elsewhere"
            if refused <= _WHERE
            else "what an assistant may do, and how it is watched"
        )
        raise SettingsError(
            f"{names} in {_FOUND}: {why}, is not taken from a file that just lies in the working directory.",
            f"Set it in the environment or the file of --config, or name the file: --env-file {_FOUND} "
            f"({PREFIX}ENV_FILE).",
        )


def load_settings(
    options: Mapping[str, Any] | None = None, *, config: Path | None = None, env_file: Path | None = None
) -> Settings:
    """Read the settings from all their sources.

    Args:
        options: what the command line gave; `None` values count as not given.
        config: a TOML file; by default the one that `PROXMOX_CONFIG` names, if any.
        env_file: a file of variables; by default the one that `PROXMOX_ENV_FILE` names, or else `.env` in the working
            directory, of which only what concerns the connection is taken.

    Raises:
        SettingsError: one line that names the variable, option, or file and key of every bad value, and no value.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    found: set[str] = set()
    for layer in _layers(options or {}, config, env_file):
        for key, value in _split_token_id(layer.values).items():
            if key in Settings.model_fields and key not in merged:
                merged[key] = value
                origin[key] = layer.label.format(option=key.replace("_", "-"), variable=key.upper(), key=key)
                if layer.found:
                    found.add(key)
    _check_found(found, merged)
    try:
        return Settings(**merged)
    except ValidationError as error:
        problems = [
            f"{origin[str(problem['loc'][0])]}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SettingsError(f"Bad setting: {'; '.join(problems)}.") from None
