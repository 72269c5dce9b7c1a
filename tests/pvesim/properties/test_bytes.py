"""Whatever bytes come over the wire, there is one well-formed answer, and a refusal has changed nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from urllib.parse import quote

import orjson
from hypothesis import given
from hypothesis import strategies as st

from pvesim.contract import Contract
from pvesim.core.tasks import Task
from pvesim.wire import FORM_TYPE, WireRequest
from tests.pvesim.invariants import check_invariants
from tests.pvesim.properties.hostile import furnished
from tests.pvesim.properties.profiles import property_settings
from tests.pvesim.properties.worlds import TOKEN

KNOWN = ("pve1", "100", "200", "local", "web", "crew", "s1", "0", "vm:101", "root@pam", "lab", "zone1")
NAMES = ("vmid", "node", "storage", "name", "delete", "digest", "net0", "scsi0", "comment", "type", "content", "force")


LONG = "a" * 3000


@cache
def templates() -> list[str]:
    return Contract.load().paths


texts = st.one_of(st.sampled_from(KNOWN), st.text(max_size=30), st.sampled_from(("..", "%", "\x00", "\ud7ff", LONG)))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
names = st.one_of(st.sampled_from(NAMES), texts)


@st.composite
def paths(draw: Callable[[st.SearchStrategy[str]], str]) -> str:
    """A path of the API with anything in its places, or anything at all; encoded as a client would, or not."""
    if draw(st.sampled_from(("api", "api", "api", "other"))) == "other":
        return draw(st.text(max_size=40))
    template = draw(st.sampled_from(templates()))
    parts = [draw(texts) if part.startswith("{") else part for part in template.split("/")]
    format = draw(st.sampled_from(("json", "json", "extjs", "html", "png", "")))
    encode = draw(st.sampled_from(("yes", "yes", "no"))) == "yes"
    return f"/api2/{format}" + "/".join(quote(part, safe="") if encode else part for part in parts)


bodies: st.SearchStrategy[tuple[str, bytes]] = st.one_of(
    st.just(("", b"")),
    st.tuples(
        st.sampled_from(("", FORM_TYPE, "application/json", "multipart/form-data; boundary=x", "text/plain")),
        st.binary(),
    ),
    st.dictionaries(names, values, max_size=5).map(lambda given: ("application/json", json.dumps(given).encode())),
    st.lists(st.tuples(names, texts), max_size=5).map(
        lambda pairs: (FORM_TYPE, "&".join(f"{quote(name)}={quote(text)}" for name, text in pairs).encode())
    ),
)
tokens = st.one_of(
    st.just(f"PVEAPIToken=root@pam!auto={TOKEN}"),
    st.just(f"PVEAPIToken=root@pam!auto={TOKEN}"),
    st.text(max_size=40),
    st.text(max_size=20).map(lambda text: f"PVEAPIToken={text}"),
)


@property_settings(150)
@given(
    verb=st.one_of(st.sampled_from(("GET", "POST", "PUT", "DELETE")), st.sampled_from(("PATCH", "get", "", "\x00"))),
    path=paths(),
    query=st.one_of(st.just(""), st.text(max_size=40), st.tuples(names, texts).map("=".join)),
    token=tokens,
    cookie=st.one_of(st.none(), st.text(max_size=40).map(lambda text: f"PVEAuthCookie={text}")),
    body=bodies,
)
def test_any_request_is_answered(
    verb: str, path: str, query: str, token: str, cookie: str | None, body: tuple[str, bytes]
) -> None:
    simulator = furnished().fork()
    before = simulator.world.fork()
    headers = {"authorization": token, "content-type": body[0]}
    if cookie is not None:
        headers["cookie"] = cookie
    answer = simulator.handle(WireRequest(verb, path, query, headers, body[1]))
    assert 200 <= answer.status <= 600
    assert "\n" not in answer.reason
    if ("Content-Type", "application/json;charset=UTF-8") in answer.headers:
        assert isinstance(orjson.loads(answer.body), dict)
    if answer.status != 200:
        assert before.diff(simulator.world) == []
        return
    simulator.clock.advance(60)
    assert not [task for task in simulator.world.rows(Task).values() if task.running]
    asleep = [100, 200]  # may have been suspended
    assert check_invariants(simulator.world, left_locked=asleep) == []
