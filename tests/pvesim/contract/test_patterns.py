"""Perl's patterns in Python."""

import pytest

from pvesim.contract import Contract, verify
from pvesim.contract.patterns import LONGEST_MATCHED, compile_pattern, matches
from pvesim.core.errors import ParameterErrors


@pytest.mark.parametrize(
    ("perl", "fitting", "wrong"),
    [
        (r"\d+", ["1", "12\n"], ["", "a1", "1a"]),
        (r"(?^:a|b)", ["a", "b"], ["ab"]),
        (r"(?^i:[a-z]+)", ["AbC"], ["1"]),
        (r"(?^:(?^i:x)y)", ["Xy"], ["XY"]),
        # No group is put around a pattern: either end may be open.
        (r"a|b", ["a-anything", "anything-b"], ["c"]),
        (r"(?^:^((?>[+-]?[\w\-\._=]+,?)+)$)", ["+aes,-pcid"], ["a b"]),
        (r"a\z", ["a"], ["a\n"]),
        (r"a\Z", ["a", "a\n"], ["a\n\n"]),
        (r"x{,3}", ["", "xxx"], ["xxxx"]),
    ],
)
def test_meaning(perl: str, fitting: list[str], wrong: list[str]) -> None:
    pattern = compile_pattern(perl)
    assert [text for text in fitting if not matches(pattern, text)] == []
    assert [text for text in wrong if matches(pattern, text)] == []


def test_texts_beyond_all_reason_do_not_match() -> None:
    pattern = compile_pattern("a+")
    assert matches(pattern, "a" * LONGEST_MATCHED)
    assert not matches(pattern, "a" * (LONGEST_MATCHED + 1))


def test_a_hostile_name_of_an_image_is_refused_at_once() -> None:
    # Exponential as it is published: this test would not end.
    method = Contract.load().method("POST", "/nodes/{node}/storage/{storage}/oci-registry-pull")
    given = {"node": "pve1", "storage": "local", "reference": "a" * 5000 + "!"}
    with pytest.raises(ParameterErrors) as refusal:
        verify(method, given)
    assert refusal.value.errors == {"reference": "value does not match the regex pattern"}
    assert verify(method, {**given, "reference": "docker.io/library/alpine--x:3.20"})["storage"] == "local"
