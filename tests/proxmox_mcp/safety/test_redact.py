import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxmox_mcp.safety.redact import HIDDEN, RedactingFilter, Redactor
from proxmox_mcp.safety.secret_names import is_secret_name

UUID = "3f0b2a6e-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: PVEAPIToken=root@pam!mcp={UUID}",
        f"cookie PVEAuthCookie=PVE:root@pam:6B03C39F::{UUID}==; x",
        f"cookie PVEAuthCookie=PVE%3Aroot@pam%3A6B03C39F%3A%3A{UUID}",
        f"{{'CSRFPreventionToken': '{UUID}'}}",
        f"username=a&password={UUID}&x=1",
        f'{{"cipassword": "{UUID}"}}',
        f"token_value: '{UUID}'",
        f'"password": "two words \\" {UUID}", "x": 1',
        f"password='no end {UUID[:0]}{UUID}'",
        f'root_password: "{UUID}',
    ],
)
def test_what_has_the_form_of_a_secret_is_hidden(text: str) -> None:
    hidden = Redactor().text(text)
    assert UUID not in hidden
    assert HIDDEN in hidden


@given(st.text(min_size=4, alphabet=st.characters(categories=["L", "N", "P"])), st.text(), st.text())
def test_a_secret_that_was_told_is_hidden_everywhere(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.learn(secret)
    hidden = redactor.text(f"{before} {secret} {after}")
    assert secret not in hidden.replace(HIDDEN, "\0")


def test_ordinary_texts_stay() -> None:
    text = "UPID:pve1:0000022A:00089A36:6B03C403:qmstart:100:root@pam: failed - VM 100 not running"
    assert Redactor().text(text) == text


def test_log_lines_and_tracebacks_leave_without_secrets() -> None:
    redactor = Redactor()
    redactor.learn("hunter2")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter(redactor))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        raise ValueError("login with hunter2 failed")
    except ValueError:
        logger.exception("as %s", "hunter2")
    assert "hunter2" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "key " + "a" * 500_000,
        "PVE:" * 50_000,
        'password="' * 50_000,
        "password" + " " * 500_000,
        "PVEAPIToken=" * 50_000,
        "my-" * 150_000 + "secret",
    ],
    ids=lambda text: text[:12],
)
def test_a_text_made_for_the_patterns_is_read_all_the_same(text: str) -> None:
    """With work that grows with the square of its length, each of these takes many minutes."""
    assert Redactor().text(text).startswith(text[:3])


def test_a_name_of_any_length_is_judged_by_its_end() -> None:
    assert is_secret_name("x_" * 500_000 + "password")
    assert not is_secret_name("password" + "_x" * 500_000)
