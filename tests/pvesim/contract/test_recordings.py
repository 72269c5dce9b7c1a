"""The contract against every exchange that was recorded on a genuine node.

Needs the folder of a fidelity kit in PVESIM_FIDELITY_KIT; without it these tests are skipped and say so.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from pvesim.contract import Contract, Method, fits, verify
from pvesim.contract.answers import GENUINE_MISFITS
from pvesim.core.errors import ParameterErrors

KIT = os.environ.get("PVESIM_FIDELITY_KIT")
CONTRACT = Contract.load()

pytestmark = pytest.mark.skipif(KIT is None, reason="PVESIM_FIDELITY_KIT does not name the folder of a fidelity kit")

# Requests whose parameters a recording does not show (raw bodies), or that PVE ends before it looks at parameters.
BODIES = ("/access/ticket", "/nodes/{node}/storage/{storage}/upload")
BEFORE_PARAMETERS = (401, 403, 501, 506)


def exchanges() -> Iterator[tuple[dict[str, Any], Method, dict[str, object]]]:
    for file in sorted((Path(KIT or "") / "genuine").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            exchange = json.loads(line)
            path, _, query = exchange["path"].partition("?")
            params = exchange.get("params") or {}
            if "${" in json.dumps([path, params]) or path.startswith("/api2"):
                continue
            found = CONTRACT.find(exchange["method"], [unquote(part) for part in path.split("/") if part])
            if found is None:
                continue
            given: dict[str, object] = dict(parse_qsl(query, keep_blank_values=True))
            for name, value in params.items() if isinstance(params, dict) else params:
                texts = [str(item) for item in value] if isinstance(value, list) else str(value)
                given[name] = [given[name], texts] if name in given else texts
            yield exchange, found[0], {**given, **found[1]}


def errors_of(method: Method, given: dict[str, object]) -> dict[str, str]:
    try:
        verify(method, given)
    except ParameterErrors as refusal:
        return refusal.errors or {}
    return {}


def test_what_was_refused_is_refused_alike_and_the_rest_passes() -> None:
    wrong: list[str] = []
    seen = 0
    for exchange, method, given in exchanges():
        if (
            method.path in BODIES
            or exchange["status"] in BEFORE_PARAMETERS
            or exchange["reason"].startswith("hostname")
        ):
            continue
        seen += 1
        body = exchange.get("body")
        recorded = (body.get("errors") or {}) if isinstance(body, dict) else {}
        ours = errors_of(method, given)
        # What the node found by looking into its configuration is not the contract's to know.
        if ours and ours != recorded:
            wrong.append(f"{exchange['id']}: {ours} instead of {recorded}")
    assert wrong == []
    assert seen > 500


def test_genuine_answers_fit() -> None:
    wrong: list[str] = []
    seen = 0
    for exchange, method, _ in exchanges():
        if exchange["status"] != 200 or not isinstance(exchange.get("body"), dict):
            continue
        if (method.verb, method.path) not in GENUINE_MISFITS:
            seen += 1
            wrong += [f"{exchange['id']}: {problem}" for problem in fits(method.returns, exchange["body"].get("data"))]
    assert wrong == []
    assert seen > 500
