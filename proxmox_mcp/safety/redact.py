"""Keep secrets out of logs and of the texts that a model reads."""

import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import quote

HIDDEN = "[hidden]"

# A secret that is shorter than this would also hide harmless text, such as every "a" in a log.
_SHORTEST_SECRET = 4

# Whoever writes a text may have made it for these patterns: none looks at a part of it more than a bounded number of
# times, so that the work grows with the text and not with its square.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # An API token in an Authorization header: PVEAPIToken=root@pam!name=UUID
    (re.compile(r"(P(?:VE|BS)APIToken=[^\s=:'\"]+[=:])[^\s,;'\"]+"), rf"\1{HIDDEN}"),
    # A ticket or CSRF token: PVE:root@pam:6B03C39F::signature, 6B03C39F:signature
    (re.compile(r"\bP(?:VE|BS|VEVNC|MG)(?::|%3A)[^\s'\";,]{1,150}?(?::|%3A){2}[^\s'\";,]+", re.IGNORECASE), HIDDEN),
    (re.compile(r"(CSRFPreventionToken['\"]?\s*[:=]\s*['\"]?)[^\s'\",;}]+", re.IGNORECASE), rf"\1{HIDDEN}"),
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


# The names of parameters and of fields of answers whose values are nobody's business.
_SECRET_NAME = re.compile(
    r"(?:.*[_-])?(?:ci)?(?:password|passwd|passphrase|secret|token|token[_-]?value|ticket|api[_-]?key|private[_-]?key|ssh[_-]?keys?"
    r"|ssh[_-]?public[_-]?keys?|tfa[_-]?challenge|csrfpreventiontoken|credentials?|input[_-]?data|encryption[_-]?key)",
    re.IGNORECASE,
)
_LONGEST_NAME = 100  # what a name ends with decides

_of_this_call: ContextVar[tuple[str, ...]] = ContextVar("secrets_of_this_call", default=())


# A text without any of these holds nothing of the above; to know that takes a hundredth of the time.
_TELLTALES = (
    "pve:", "pve%3a", "pveapi", "pvevnc", "pbs:", "pbs%3a", "pbsapi", "pmg:", "pmg%3a", "pass", "token", "secret",
    "ticket", "key", "tfa", "csrf", "credential", "input",
)  # fmt: skip


def _may_hold_secrets(text: str) -> bool:
    lowered = text.lower()
    return any(telltale in lowered for telltale in _TELLTALES)


def is_secret_name(name: str) -> bool:
    """Whether a parameter or field of that name holds a secret."""
    return _is_secret_name(name[-_LONGEST_NAME:])


@lru_cache(4096)
def _is_secret_name(name: str) -> bool:
    return _SECRET_NAME.fullmatch(name) is not None


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """The texts among arguments, or in an answer, that stand under the name of a secret."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secrets_in(inner, name if is_secret_name(name) else _name_in(value, str(key)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secrets_in(inner, name)
    elif isinstance(value, str) and is_secret_name(name):
        yield value


def _name_in(record: Mapping[Any, Any], key: str) -> str:
    """A field's name; PVE gives the secret of a new API token as `value`, beside the token's id."""
    return "secret" if key == "value" and "full-tokenid" in record else key


class Redactor:
    """Hides the secrets it was told of, and whatever has the form of a PVE secret."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def learn(self, *secrets: str) -> None:
        """Hide these texts from now on, wherever they occur. Very short ones are left alone."""
        with self._lock:
            known = {*self._secrets, *(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)}
            self._secrets = tuple(sorted(known, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text without its secrets."""
        for secret in (*_of_this_call.get(), *self._secrets):
            text = text.replace(secret, HIDDEN)
        if not _may_hold_secrets(text):
            return text
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any, name: str = "") -> Any:
        """A JSON value without its secrets: those it was told of, and whatever stands under the name of one."""
        if value is None or isinstance(value, bool):
            return value
        if is_secret_name(name):
            return HIDDEN
        if isinstance(value, Mapping):
            return {key: self.value(inner, _name_in(value, str(key))) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def finds_nothing(self, document: str) -> bool:
        """Whether a JSON document surely holds no secret: quicker to tell than to take out what is not there."""
        secrets = (json.dumps(secret, ensure_ascii=False)[1:-1] for secret in (*_of_this_call.get(), *self._secrets))
        return not _may_hold_secrets(document) and not any(secret in document for secret in secrets)

    @contextmanager
    def hiding(self, secrets: Iterable[str]) -> Iterator[None]:
        """Hide these texts, too, in what is done for one call: in its errors, its log lines and its result."""
        # As it was given, line by line, and as PVE wants some of them and repeats them in errors: escaped.
        given = {part for secret in secrets for part in (secret, *secret.splitlines())}
        known = {form for secret in given for form in (secret, quote(secret, safe="")) if len(form) >= _SHORTEST_SECRET}
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
