"""Keep secrets out of logs and of the texts that a model reads."""

import logging
import re
import threading

HIDDEN = "[hidden]"

# A secret that is shorter than this would also hide harmless text, such as every "a" in a log.
_SHORTEST_SECRET = 4

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # An API token in an Authorization header: PVEAPIToken=root@pam!name=UUID
    (re.compile(r"(P(?:VE|BS)APIToken=[^\s=:'\"]+[=:])[^\s,;'\"]+"), rf"\1{HIDDEN}"),
    # A ticket or CSRF token: PVE:root@pam:6B03C39F::signature, 6B03C39F:signature
    (re.compile(r"\bP(?:VE|BS|VEVNC|MG)(?::|%3A)[^\s'\";,]+(?::|%3A){2}[^\s'\";,]+", re.IGNORECASE), HIDDEN),
    (re.compile(r"(CSRFPreventionToken['\"]?\s*[:=]\s*['\"]?)[^\s'\",;}]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # A parameter named as a secret, in a form body, a query, JSON or a Python dict.
    (
        re.compile(
            r"((?:[\w-]*password|passwd|token_value|secret|tfa-challenge)['\"]?\s*[:=]\s*)(['\"]?)[^\s'\",;&}]+\2",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


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
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


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
