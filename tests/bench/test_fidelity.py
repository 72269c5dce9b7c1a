"""The table of the fidelity page is the one that the kit printed."""

from __future__ import annotations

import pytest

from bench.fidelity import main, page

PRINTED = """pvesim serves single-node
family     steps   exact    wire  status
auth          24  100.0%  100.0%  100.0%
total        950   99.5%   99.9%  100.0%
"""
PAGE = "# Page\n<!-- plays: generated -->\nold\n<!-- /plays -->\nend\n"


def test_the_printed_table_takes_the_place_of_the_old_one() -> None:
    text = page(PAGE, PRINTED, "2026-11-23")
    assert "| auth | 24 | 100.0 % | 100.0 % | 100.0 % |" in text
    assert "| **total** | **950** | **99.5 %** | **99.9 %** | **100.0 %** |" in text
    assert "old" not in text
    assert page(text, PRINTED, "2026-11-23") == text


@pytest.mark.parametrize(("text", "printed"), [("# Page\n", PRINTED), (PAGE, "no answer\n")])
def test_nothing_is_written_without_a_table_and_its_place(text: str, printed: str) -> None:
    with pytest.raises(ValueError, match="no table"):
        page(text, printed, "2026-11-23")


def test_without_a_kit_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "KIT is a folder with play_all.py" in capsys.readouterr().err
