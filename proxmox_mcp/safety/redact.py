"""Keep secrets out of logs and of the texts that a model reads."""

import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

from proxmox_mcp.safety.secret_names import SHORTEST, is_secret_name, named, parts_of, place_of

HIDDEN = "[hidden]"

# Whoever writes a text may have made it for these patterns: none looks at a part of it more than a bounded number of
# times, so that the work grows with the text and not with its square.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # An API token in an Authorization header: PVEAPIToken=root@pam!name=UUID
    (re.compile(r"(P(?:VE|BS)APIToken=[^\s=:'\"]+[=:])[^\s,;'\"]+"), rf"\1{HIDDEN}"),
    # A ticket or CSRF token: PVE:root@pam:6B03C39F::signature, 6B03C39F:signature
    (re.compile(r"\bP(?:VE|BS|VEVNC|MG)(?::|%3A)[^\s'\";,]{1,150}?(?::|%3A){2}[^\s'\";,]+", re.IGNORECASE), HIDDEN),
    (re.compile(r"(CSRFPreventionToken['\"]?\s*[:=]\s*['\"]?)[^\s'\",;}]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Who logs in at a URL, and what a query there shows to be let in.
    (re.compile(r"(://)[^\s/?#'\"@]{1,300}@"), rf"\1{HIDDEN}@"),
    (
        re.compile(
            r"([?&;](?:[\w.-]{0,30}[-_.])?(?:sig|signature|token|key|auth|code|credential|pass|pwd)s?=)[^\s'\"&;#]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    # A private key, and a variable of an environment that is named as a secret.
    (re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[^-]*"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"((?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|PRIVATE_KEY)(?!_?(?:NAME|ID|FILE|TYPE)=)[A-Z0-9_]{0,40}=)"
            r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s'\",;&}]+)"
        ),
        rf"\1{HIDDEN}",
    ),
    # A parameter named as a secret, in a form body, a query, JSON or a Python dict.
    (
        re.compile(
            r"((?:password|passwd|passphrase|token_value|secret|sshkeys|tfa-challenge)['\"]?\s*[:=]\s*)"
            r"(?:\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|['\"]?[^\s'\",;&}]+)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


_of_this_call: ContextVar[tuple[str, ...]] = ContextVar("secrets_of_this_call", default=())


# A text without any of these holds nothing of the above; to know that takes a hundredth of the time.
_TELLTALES = (
    "pve:", "pve%3a", "pveapi", "pvevnc", "pbs:", "pbs%3a", "pbsapi", "pmg:", "pmg%3a", "pass", "token", "secret",
    "ticket", "key", "tfa", "csrf", "credential", "input", "challenge", "header", '"env"', "otp", "recovery", "plugin",
    "webhook", "://",
)  # fmt: skip


def _may_hold_secrets(text: str) -> bool:
    lowered = text.lower()
    return any(telltale in lowered for telltale in _TELLTALES)


def _in_json(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


class Redactor:
    """Hides the secrets it was told of, and whatever has the form of a PVE secret."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._in_json: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def learn(self, *secrets: str) -> None:
        """Hide these texts from now on, wherever they occur. Very short ones are left alone."""
        with self._lock:
            known = {*self._secrets, *(secret for secret in secrets if len(secret) >= SHORTEST)}
            ordered = tuple(sorted(known, key=len, reverse=True))
            self._in_json = tuple(map(_in_json, ordered))
            self._secrets = ordered

    def text(self, text: str) -> str:
        """The text without its secrets."""
        for secret in _of_this_call.get():
            text = text.replace(secret, HIDDEN)
        return self.by_place(text)

    def by_place(self, text: str) -> str:
        """The same without regard to the arguments of the call: for what a person reads before deciding on it."""
        text = self.own(text)
        if not _may_hold_secrets(text):
            return text
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def own(self, text: str) -> str:
        """The text without the server's own secrets: what is to be run or written, for who decides on it.

        A script can be made to look like a secret; what a person approves of is not hidden for its looks.
        """
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def value(self, value: Any, name: str = "", beside: frozenset[str] = frozenset()) -> Any:
        """A JSON value without its secrets: those it was told of, and whatever stands under the name of one."""
        if value is None or isinstance(value, bool):
            return value
        if is_secret_name(name):
            return HIDDEN
        if isinstance(value, Mapping):
            here = beside | place_of(value)
            return {key: self.value(inner, judged, here) for key, inner, judged in named(value, here)}
        if isinstance(value, list | tuple):
            return [self.value(inner, "", beside) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def finds_nothing(self, document: str) -> bool:
        """Whether a JSON document surely holds no secret: quicker to tell than to take out what is not there."""
        if _may_hold_secrets(document):
            return False
        secrets = (*self._in_json, *map(_in_json, _of_this_call.get()))
        return not any(secret in document for secret in secrets)

    @contextmanager
    def hiding(self, secrets: Iterable[str]) -> Iterator[None]:
        """Hide these texts, too, in what is done for one call: in its errors, its log lines and its result."""
        # As it was given, line by line, and as PVE wants some of them and repeats them in errors: escaped.
        known = {form for secret in parts_of(secrets) for form in (secret, quote(secret, safe=""))}
        token = _of_this_call.set(tuple(sorted(known, key=len, reverse=True)))
        try:
            yield
        finally:
            _of_this_call.reset(token)


class RedactingFilter(logging.Filter):
    """A filter for a log handler: message, arguments and traceback leave it without secrets."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; it is never dropped."""
        record.msg = self._redactor.text(record.getMessage())
        record.args = None
        if record.exc_info and record.exc_info[0] is not None:
            # The formatter prefers a text that is already there to formatting the traceback itself.
            record.exc_text = self._redactor.text(self._formatter.formatException(record.exc_info))
            record.exc_info = None
        if record.stack_info:
            record.stack_info = self._redactor.text(record.stack_info)
        return True


redactor = Redactor()
"""The process's own: settings teach it, the log handler and the server ask it."""
