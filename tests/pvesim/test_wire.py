"""Bytes in, bytes out: how requests are read and answers written, with no world behind them."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.core.errors import (
    ApiError,
    Failure,
    Forbidden,
    NodeUnreachable,
    NoSuchMethod,
    ParameterErrors,
    Unauthorized,
)
from pvesim.wire import (
    FORM_LIMIT,
    FORM_TYPE,
    JSON_TYPE,
    Refused,
    WireRequest,
    WireResponse,
    check_format,
    decode_form,
    failure,
    first_line,
    read_parameters,
    read_path,
    success,
    to_json,
)


def refused(request: WireRequest, path: str = "/access/ticket") -> tuple[int, str, bytes]:
    """Status, reason and body of a request that the daemon refuses to read."""
    with pytest.raises(Refused) as caught:
        format, _ = read_path(request)
        check_format(format, path)
        read_parameters(request, path)
    response = caught.value.response
    return response.status, response.reason, response.body


def posted(body: bytes, content_type: str | None = FORM_TYPE, **more: Any) -> WireRequest:
    headers = {} if content_type is None else {"content-type": content_type}
    return WireRequest("POST", "/api2/json/access/ticket", headers=headers, body=body, **more)


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/api2/json/version", ("json", "/version")),
        ("/api2/extjs/nodes/", ("extjs", "/nodes/")),
        ("/api2/json", ("json", "/")),
    ],
)
def test_a_path_has_a_format_and_what_follows(path: str, read: tuple[str, str]) -> None:
    assert read_path(WireRequest("GET", path)) == read


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("PATCH", "/api2/json/version", (501, "method 'PATCH' not available", b"")),
        ("HEAD", "/api2/json/version", (501, "method 'HEAD' not available", b"")),
        ("GET", "/index.html", (501, "no such uri", b"no such uri")),
        ("GET", "/api2/../", (501, "no such uri", b"no such uri")),
        ("GET", "/api2/json/../version", (501, "no such uri", b"no such uri")),
        ("GET", "/api2/xml/x", (501, "no formatter for uri /x, xml", b"no formatter for uri /x, xml")),
    ],
)
def test_what_is_not_in_the_api_is_refused_as_plain_text(method: str, path: str, expected: Any) -> None:
    assert refused(WireRequest(method, path), "/x") == expected


pairs = st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=12)), max_size=6)


@given(pairs)
def test_a_form_is_read_as_it_was_written(given_pairs: list[tuple[str, str]]) -> None:
    values = decode_form(urlencode(given_pairs))
    for name, value in values.items():
        expected = [text for key, text in given_pairs if key == name]
        assert value == (expected if len(expected) > 1 else expected[0])
    assert set(values) == {name for name, _ in given_pairs}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1&b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("&a&&b=", {"a": "", "b": ""}),
        ("a=x+y%20z%3D", {"a": "x y z="}),
        ("a=%ff", {"a": "\ufffd"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_forms_as_they_come(text: str, values: dict[str, Any]) -> None:
    assert decode_form(text) == values


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=1", FORM_TYPE),
        (b"a=1", None),
        (b"a=1", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"),
        (b'{"a": "1"}', "application/json"),
    ],
)
def test_the_body_comes_over_the_query(body: bytes, content_type: str | None) -> None:
    request = posted(body, content_type, query="a=0&b=2")
    assert read_parameters(request, "/access/ticket") == {"a": "1", "b": "2"}


def test_json_keeps_its_types() -> None:
    body = b'{"a": 1, "b": true, "c": null, "d": [1], "e": {"f": 1.5}}'
    values = {"a": 1, "b": True, "c": None, "d": [1], "e": {"f": 1.5}}
    assert read_parameters(posted(body, "application/json"), "/x") == values


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (WireRequest("GET", "/api2/json/x", body=b"a=b"), (501, "Unexpected content for method 'GET'")),
        (WireRequest("DELETE", "/api2/json/x", body=b"a=b"), (501, "Unexpected content for method 'DELETE'")),
        (posted(b"a=b", "text/plain"), (506, "upload 'Content-Type 'text/plain' not implemented")),
        (
            posted(b"--b", "multipart/form-data; boundary=b"),
            (506, "upload 'Content-Type 'multipart/form-data; boundary=b' not implemented"),
        ),
        (posted(b"a" * (FORM_LIMIT + 1)), (501, "for data too large")),
        (
            posted(b'{"username":', "application/json"),
            (
                500,
                "malformed JSON string, neither tag, array, object, number, string or atom, "
                'at character offset 12 (before "(end of string)")',
            ),
        ),
        (posted(b"[1,2]", "application/json"), (500, "Not a HASH reference")),
        (
            posted(b'"some text"', "application/json"),
            (500, 'Can\'t use string ("some text") as a HASH ref while "strict refs" in use'),
        ),
        (
            posted(b'{"a": "\xff"}', "application/json"),
            (500, "malformed UTF-8 character in JSON string, at character offset 7"),
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(request_: WireRequest, expected: tuple[int, str]) -> None:
    status, reason, body = refused(request_)
    assert (status, reason) == expected
    assert body.decode().rstrip("\n") == reason


# -- answers -------------------------------------------------------------------------------------------------------


def body_of(response: WireResponse) -> Any:
    return orjson.loads(response.body)


def test_a_success_has_its_data_and_what_is_not_empty_beside_it() -> None:
    response = success("json", [1], {"total": 3, "changes": None, "none": 0})
    assert (response.status, response.reason) == (200, "OK")
    assert response.headers == (("Content-Type", JSON_TYPE),)
    assert response.body == b'{"data":[1],"total":3}'
    assert success("extjs", None, {}).body == b'{"data":null,"success":1}'


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (Failure("no\nway"), 500, {"data": None, "message": "no\nway\n"}),
        (Forbidden("not you"), 403, {"data": None, "message": "not you\n"}),
        (NoSuchMethod("no method"), 501, {"data": None, "message": "no method"}),
        (
            ParameterErrors({"a": "bad"}),
            400,
            {"data": None, "message": "Parameter verification failed.\n", "errors": {"a": "bad"}},
        ),
        (ApiError("lone", status=424), 424, {"data": None, "message": "lone"}),
        (Unauthorized("authentication failure", body=True), 401, {"data": None, "message": "authentication failure\n"}),
    ],
)
def test_an_error_has_its_first_line_as_reason(error: ApiError, status: int, body: dict[str, Any]) -> None:
    response = failure("json", error)
    assert (response.status, response.reason) == (status, first_line(error.message))
    assert body_of(response) == body


@pytest.mark.parametrize(
    ("error", "status"), [(Unauthorized("No ticket", delay=3.0), 401), (NodeUnreachable("No route to host"), 595)]
)
def test_some_errors_have_no_body(error: ApiError, status: int) -> None:
    response = failure("json", error)
    assert (response.status, response.reason, response.body) == (status, error.message, b"")
    assert response.delay == getattr(error, "delay", 0.0)


@pytest.mark.parametrize(
    ("error", "status"), [(Failure("no"), 500), (ParameterErrors({"a": "bad"}), "400"), (Forbidden("no"), "403")]
)
def test_extjs_always_answers_200_and_tells_the_status_inside(error: ApiError, status: int | str) -> None:
    response = failure("extjs", error)
    assert (response.status, response.reason) == (200, "OK")
    assert body_of(response)["status"] == status
    assert body_of(response)["success"] == 0


def test_html_is_a_page_with_nothing_unescaped() -> None:
    response = success("html", "<script>", {})
    assert response.headers == (("Content-Type", "text/html;charset=UTF-8"),)
    assert b"<script>" not in response.body
    assert b"&lt;script&gt;" in response.body


scalars = st.none() | st.integers() | st.integers(min_value=2**64) | st.text()


@given(st.recursive(scalars, lambda inner: st.dictionaries(st.text(), inner), max_leaves=5))
def test_whatever_is_answered_can_be_written(value: Any) -> None:
    frozen = MappingProxyType(value) if isinstance(value, dict) else value
    assert json.loads(to_json({"data": frozen})) == {"data": value}
