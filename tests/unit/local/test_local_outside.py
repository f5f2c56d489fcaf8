"""What was lent may be gone when its traces are to be cleared away."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from deploy.local import outside, store
from deploy.local.layout import Layout, write_json
from deploy.local.ports import free_port


def test_a_store_and_a_broker_that_are_away_are_named_and_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(address: str, prefix: str) -> list[str]:
        raise ServerSelectionTimeoutError("nobody there")

    monkeypatch.setattr(store, "drop", away)
    lent = {
        "databases": [{"uri": "mongodb://user:word@127.0.0.1:1", "prefix": "trial_"}],
        "topics": [{"bootstrap": f"127.0.0.1:{free_port()}", "before": []}],
    }
    write_json(tmp_path / "outside.json", lent)
    said = outside.drop(Layout(tmp_path))
    assert len(said) == 2
    assert "trial_" in said[0]
    assert "word" not in said[0]
    assert "broker" in said[1]


def test_a_lent_store_has_its_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.delenv("MONGODB_URI", raising=False)
    own = layout.played
    monkeypatch.setenv("MONGODB_URI", "mongodb://user:word@127.0.0.1:1")
    lent = layout.played
    assert lent != own
    assert "word" not in str(lent)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    assert layout.played not in (own, lent)
