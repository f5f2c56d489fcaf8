"""When a request was sent, and when what it says happened: near the ends of the calendar, too, a refusal."""

from __future__ import annotations

import datetime as dt

import pytest
from starlette.requests import Request

from libs.common.refusal import Refused
from libs.common.web import check_occurred, time_of_sending

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def sent(date: str) -> Request:
    return Request({"type": "http", "headers": [(b"date", date.encode())]})


@pytest.mark.parametrize(
    "date",
    ["", "soon", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -1200", "Wed, 01 Jan 2201 00:00:00 GMT"],
)
def test_a_date_that_nothing_can_be_counted_from_is_refused(date: str) -> None:
    with pytest.raises(Refused) as refusal:
        time_of_sending(sent(date))
    assert (refusal.value.code, refusal.value.field) == ("date-invalid", "Date")


@pytest.mark.parametrize("date", ["Fri, 20 Nov 2026 00:00:00 GMT", "Fri, 20 Nov 2026 05:30:00 +0530"])
def test_what_happened_is_held_against_the_time_of_sending(date: str) -> None:
    assert time_of_sending(sent(date)) == NOW
    check_occurred(NOW + dt.timedelta(minutes=5), NOW)
    for ahead in (NOW + dt.timedelta(minutes=6), dt.datetime.max.replace(tzinfo=dt.UTC)):
        with pytest.raises(Refused):
            check_occurred(ahead, NOW)
