"""The table of defects seen elsewhere names tests that exist; settings that nothing reads are one of those defects."""

from __future__ import annotations

import importlib
import re

import pytest
from tree import ROOT

NAMED = re.findall(r"`(tests/\S+?\.py)::(\w+)`", (ROOT / "docs" / "defects-elsewhere.md").read_text(encoding="utf-8"))
SERVICES = ("registration", "referral", "grievance", "notifications")


def test_each_defect_names_a_test_that_exists() -> None:
    assert len(NAMED) > 40
    for file, name in NAMED:
        assert re.search(rf"def {name}\(", (ROOT / file).read_text(encoding="utf-8")), f"{file}::{name}"


@pytest.mark.parametrize("service", SERVICES)
def test_no_setting_is_dead(service: str) -> None:
    """Operators tune it, and nothing happens: there every service ships such ones."""
    settings = importlib.import_module(f"services.{service}.settings").Settings
    folders = (ROOT / "services" / service, ROOT / "libs" / "common")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    code = "\n".join(re.sub(r"(?m)^    \w+: .*= Field\(", "", path.read_text(encoding="utf-8")) for path in files)
    dead = [name for name in settings.model_fields if not re.search(rf"\.{name}\b", code)]
    assert dead == []
