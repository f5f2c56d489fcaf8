"""A journal entry's id follows from its aggregate, its cause and its place in the answer, and from nothing else."""

from __future__ import annotations

import datetime as dt

from libs.common.cause import Cause
from libs.common.ids import derive
from libs.common.journal import _entry
from libs.contracts.referral import ReferralRequested

NOW = dt.datetime(2026, 1, 5, 4, 0, tzinfo=dt.UTC)
EVENT = ReferralRequested(patient="p", origin="A1", destination="B1", service="surgery", urgency="routine")


def test_tried_again_it_is_the_same_event() -> None:
    cause = Cause("cause-1", "doctor@A1", NOW)
    first = _entry("referral-1", cause, EVENT, 0, NOW)
    again = _entry("referral-1", cause, EVENT, 0, NOW + dt.timedelta(seconds=9))
    assert first["id"] == again["id"] == derive("referral-1", "cause-1", 0)


def test_another_aggregate_cause_or_place_is_another_event() -> None:
    one, two = Cause("cause-1", "doctor@A1", NOW), Cause("cause-2", "doctor@A1", NOW)
    ids = [
        _entry(aggregate, cause, EVENT, index, NOW)["id"]
        for aggregate in ("referral-1", "referral-2")
        for cause in (one, two)
        for index in (0, 1)
    ]
    assert len(set(ids)) == len(ids)
