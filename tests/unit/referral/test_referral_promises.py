"""Within what time a referral is to be answered."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from services.referral import promises
from services.referral.promises import BadPromises


def test_the_more_urgent_has_the_shorter_promise_at_every_level() -> None:
    ours = promises.read()
    for level in ("PHC", "CHC", "SDH", "DH", "MC", "of another state", None):
        emergency, urgent, routine = (ours.answer_within(u, level) for u in ("emergency", "urgent", "routine"))
        assert dt.timedelta(0) < emergency < urgent < routine


def test_a_level_that_differs_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "promises.yaml"
    path.write_text("emergency: {any: 30, MC: 10}\nurgent: {any: 60}\nroutine: {any: 600}\nadvice: {any: 9}\n")
    ours = promises.read(path)
    assert ours.answer_within("emergency", "MC") == dt.timedelta(minutes=10)
    assert ours.answer_within("emergency", "DH") == dt.timedelta(minutes=30)


@pytest.mark.parametrize(
    "text",
    [
        "emergency: {any: 30}\nurgent: {any: 60}\n",
        "emergency: {MC: 30}\nurgent: {any: 60}\nroutine: {any: 600}\nadvice: {any: 9}\n",
        "emergency: {any: -1}\nurgent: {any: 60}\nroutine: {any: 600}\nadvice: {any: 9}\n",
        "emergency: {any: soon}\nurgent: {any: 60}\nroutine: {any: 600}\nadvice: {any: 9}\n",
        "emergency: [",
    ],
)
def test_a_file_that_cannot_be_taken_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "promises.yaml"
    path.write_text(text)
    with pytest.raises(BadPromises, match=r"promises\.yaml"):
        promises.read(path)
