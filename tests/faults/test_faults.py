"""A few rounds of what `make faults` does at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.__main__ import run
from tests.faults.calls import NEVER
from tests.faults.harness import COUNTED

ROUNDS = 3
SEED = 20261122
FEWEST_ACKNOWLEDGED = 100
"""In each round."""


@pytest.mark.slow
def test_what_is_hit_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    figures = run(ROUNDS, SEED, tmp_path / "history.jsonl")
    assert figures["rounds"] == ROUNDS
    assert figures["acknowledged"] >= ROUNDS * FEWEST_ACKNOWLEDGED
    assert {name: figures[name] for name in NEVER} == dict.fromkeys(NEVER, 0)
    assert figures["calls_one"] > ROUNDS * FEWEST_ACKNOWLEDGED
    assert {name: figures[name] for name in COUNTED} == dict.fromkeys(COUNTED, 0), (
        tmp_path / "history.jsonl"
    ).read_text()
