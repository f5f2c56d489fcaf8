"""What a deployment hands over by file reaches the service, and nothing of it stands in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.settings import ServiceSettings
from libs.common.topics import TopicSettings


def test_the_store_s_address_comes_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "address"
    kept.write_text("mongodb://registration:pw@mongo-registration/?authSource=hillhealth_registration\n")
    monkeypatch.setenv("MONGODB_URI_FILE", str(kept))
    settings = ServiceSettings()
    assert settings.mongodb_uri == "mongodb://registration:pw@mongo-registration/?authSource=hillhealth_registration"


def test_a_missing_address_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ServiceSettings(mongodb_uri_file=tmp_path / "absent")


def test_topics_have_as_many_copies_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPIC_REPLICATION", "3")
    assert TopicSettings().topic_replication == 3
