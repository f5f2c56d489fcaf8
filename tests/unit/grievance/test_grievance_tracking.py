"""The ticket's secret: repeatable, stored nowhere, and no other one will do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grievance.tracking import TrackingKey

KEY = TrackingKey(b"k" * 32)


def test_secret_follows_from_key_and_id() -> None:
    assert KEY.secret("a") == TrackingKey(b"k" * 32).secret("a")
    assert len({KEY.secret("a"), KEY.secret("b"), TrackingKey(b"j" * 32).secret("a")}) == 3
    assert len(KEY.secret("a")) == 32


def test_secret_opens_its_own_grievance_only() -> None:
    assert KEY.holds("a", KEY.secret("a"))
    assert KEY.holds("a", f" {KEY.secret('a').upper()} ")
    assert not KEY.holds("b", KEY.secret("a"))


def test_no_grievance_has_no_secret() -> None:
    assert not KEY.holds(None, KEY.secret(""))
    assert not KEY.holds(None, "")


@given(st.text())
def test_nonsense_opens_nothing(shown: str) -> None:
    assert not KEY.holds("a", shown)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        TrackingKey(b"short")
