"""Records: only what is public goes out, and whatever comes in is read tolerantly."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.common.clock import LONG_AGO
from libs.common.listen import reason_of
from libs.common.records import Undecodable, encode, envelope_of
from libs.common.refusal import Refused
from libs.contracts.referral import ReferralRequested
from libs.contracts.registration import PatientErased
from tests.toy.ledger import Noted, asked

NOW = dt.datetime(2026, 1, 5, 9, 0, 0, 123000, tzinfo=dt.UTC)


def _entry(event: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "type": event.TYPE,
        "data": event.model_dump(mode="json"),
        "occurred_at": NOW - dt.timedelta(hours=1),
        "recorded_at": NOW,
        "cause": "c1",
        "actor": "doctor@A1",
        "sequence": 7,
    } | changes


class Consumed:
    """A consumer's record; made from an encoded one, with changes."""

    def __init__(self, **changes: Any) -> None:
        record = encode(_entry(asked(reason="private"), traceparent="t"), "k1", 3)
        self.topic, self.partition, self.offset, self.timestamp = record.topic, 4, 5, 1000
        self.key: Any = record.key
        self.value: Any = record.value
        headers: dict[str, Any] = dict(record.headers) | changes.pop("headers", {})
        self.headers: Any = list(headers.items())
        for name, value in changes.items():
            setattr(self, name, value)


def test_only_the_contracts_fields_go_out() -> None:
    record = encode(_entry(asked(reason="Marked")), "k1", 1)
    assert set(json.loads(record.value or b"")) == set(ReferralRequested.model_fields)
    assert b"Marked" not in (record.value or b"")
    assert record.topic == "referral.referral.v1"
    headers = dict(record.headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_subject"] == b"k1"
    assert headers["ce_time"] == b"2026-01-05T08:00:00.123Z"
    assert headers["content-type"] == b"application/json"
    assert "traceparent" not in headers


def test_an_erasure_is_a_tombstone_and_a_private_event_goes_nowhere() -> None:
    assert encode(_entry(PatientErased()), "k1", 1).value is None
    with pytest.raises(KeyError):
        encode(_entry(Noted()), "k1", 1)


def test_an_envelope_comes_back_as_it_was_sent() -> None:
    envelope = envelope_of(Consumed())
    assert (envelope.id, envelope.sequence, envelope.epoch, envelope.key) == ("e1", 7, 3, "k1")
    assert (envelope.recorded_at, envelope.occurred_at) == (NOW, NOW - dt.timedelta(hours=1))
    assert (envelope.actor, envelope.traceparent) == ("doctor@A1", "t")


def test_null_and_unreadable_headers_that_are_not_needed_are_no_trouble() -> None:
    headers = {"ce_time": None, "ce_recordedat": b"yesterday", "ce_epoch": None, "traceparent": None, "x": b"\xff"}
    envelope = envelope_of(Consumed(headers=headers))
    assert envelope.occurred_at == envelope.recorded_at == dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
    assert (envelope.epoch, envelope.traceparent) == (1, None)


@pytest.mark.parametrize("text", ["2026-01-05T09:00:00", "0001-01-01T00:00:00+14:00", "", "x"])
def test_a_time_without_an_offset_or_out_of_range_is_the_records_own(text: str) -> None:
    assert envelope_of(Consumed(headers={"ce_recordedat": text.encode()})).recorded_at.year == 1970


def test_a_record_from_no_time_at_all_is_read() -> None:
    for timestamp in (None, -1, 2**62):
        sent = envelope_of(Consumed(timestamp=timestamp, headers={"ce_time": None})).occurred_at
        assert sent == LONG_AGO


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": None}, "no key"),
        ({"key": b""}, "no key"),
        ({"key": b"\xff"}, "key is not text"),
        ({"headers": {"ce_id": None}}, "no header ce_id"),
        ({"headers": {"ce_type": b""}}, "no header ce_type"),
        ({"headers": {"ce_sequence": b"Marked"}}, "ce_sequence or ce_epoch is not a number"),
        ({"headers": {"ce_sequence": b"-1"}}, "ce_sequence or ce_epoch is out of range"),
        ({"headers": {"ce_epoch": b"99999999999999999999"}}, "ce_sequence or ce_epoch is out of range"),
        ({"headers": {"ce_sequence": b"9" * 5000}}, "ce_sequence or ce_epoch is not a number"),
    ],
)
def test_what_is_no_event_of_ours_says_why_and_quotes_nothing(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Undecodable) as caught:
        envelope_of(Consumed(**changes))
    assert str(caught.value) == reason


NAMES = st.sampled_from(["ce_id", "ce_type", "ce_sequence", "ce_epoch", "ce_time", "ce_recordedat"])


@given(
    st.none() | st.binary(max_size=20),
    st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=30))),
    st.none() | st.integers(-(2**63), 2**63 - 1),
)
def test_nothing_that_may_stand_on_a_topic_breaks_the_reader(key: Any, headers: Any, timestamp: Any) -> None:
    record = Consumed(key=key, timestamp=timestamp)
    record.headers += headers
    try:
        envelope = envelope_of(record)
    except Undecodable:
        return
    assert envelope.recorded_at.tzinfo is not None


def test_reasons_name_the_field_and_never_what_stood_in_it() -> None:
    with pytest.raises(ValidationError) as caught:
        ReferralRequested.model_validate({"patient": 5550000001, "origin": "Marked Name", "destination": "B1"})
    reason = reason_of(caught.value)
    assert reason == "schema:origin,patient,service,urgency"
    with pytest.raises(ValidationError) as caught:
        ReferralRequested.model_validate_json(b"\xffMarked")
    assert reason_of(caught.value) == "undecodable:not JSON"
    assert reason_of(Undecodable("no key")) == "undecodable:no key"
    assert reason_of(Refused("too-late", "Marked Name came too late")) == "refused:too-late"
    assert reason_of(RuntimeError("Marked Name")) == "failing:RuntimeError"
