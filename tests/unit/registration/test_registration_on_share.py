"""The body of an acknowledgement: a token, or an error, never both."""

from __future__ import annotations

import datetime as dt

from services.registration.acknowledge import WITHIN_LEASE, on_share_body
from services.registration.domain.share import LEASE, Receive, ShareErased, decide, evolve

START = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
HALF_AN_HOUR = dt.timedelta(minutes=30)


def test_success_is_exactly_what_the_gateway_documents() -> None:
    state = evolve(None, decide(None, Receive("r-1", "p", "v", 7, "LA-X", "OPD1", "x@sbx"), START)[0])
    assert on_share_body(state, HALF_AN_HOUR) == {
        "acknowledgement": {
            "status": "SUCCESS",
            "abhaAddress": "x@sbx",
            "profile": {"context": "OPD1", "tokenNumber": "7", "expiry": "1800"},
        },
        "response": {"requestId": "r-1"},
    }


def test_somebody_erased_since_is_an_error_alone() -> None:
    state = evolve(None, decide(None, Receive("r-1", "p", "v", 7, "LA-X", "OPD1", "x@sbx"), START)[0])
    body = on_share_body(evolve(state, ShareErased()), HALF_AN_HOUR)
    assert sorted(body) == ["error", "response"]
    assert body["response"] == {"requestId": "r-1"}


def test_an_attempt_ends_before_its_lease() -> None:
    assert dt.timedelta(seconds=WITHIN_LEASE) < LEASE
