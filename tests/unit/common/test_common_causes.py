"""Ids, causes and clocks: doing a thing twice is doing it once."""

from __future__ import annotations

import datetime as dt
import uuid

from hypothesis import given
from hypothesis import strategies as st

from libs.common.cause import request_cause, timer_cause
from libs.common.clock import LONG_AGO, Clock, DayClock, machine_now
from libs.common.ids import derive

NOW = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
PARTS = st.lists(st.text(max_size=8) | st.integers(), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_an_id_follows_from_its_parts_and_from_nothing_else(one: list[str | int], two: list[str | int]) -> None:
    assert derive(*one) == derive(*one)
    assert uuid.UUID(derive(*one)).version == 5
    clean = [[str(part).replace("\x1f", "") for part in parts] for parts in (one, two)]
    assert (derive(*one) == derive(*two)) == (clean[0] == clean[1])


def test_no_outsider_can_move_the_border_between_parts() -> None:
    assert derive("a", "b") != derive("ab")
    assert derive("a\x1fb", "c") != derive("a", "b\x1fc")


def _request(caller: str = "desk:me", verb: str = "POST /x", key: str = "k", **changes: object) -> str:
    given: dict[str, object] = {"fingerprint": "f", "actor": "desk@A1", "occurred_at": NOW}
    return request_cause(caller, verb, key, **given | changes).id  # type: ignore[arg-type]


def test_a_requests_cause_is_caller_verb_and_key() -> None:
    assert _request() == _request(fingerprint="other", occurred_at=NOW + dt.timedelta(days=1), actor="x")
    assert len({_request(), _request(caller="desk:you"), _request(verb="POST /y"), _request(key="l")}) == 4


def test_a_further_step_is_another_cause_of_the_same_request() -> None:
    cause = request_cause("me", "v", "k", fingerprint="f", actor="a", occurred_at=NOW)
    step = cause.derive("queue")
    assert step.id != cause.id
    assert step.id == cause.derive("queue").id
    assert (step.fingerprint, step.key, step.actor) == ("f", "k", "a")
    assert cause.new_id("patient") != cause.new_id("visit")


def test_two_clocks_steps_and_cycles_are_different_causes_and_the_instant_is_none() -> None:
    def timer(clock: str = "due", step: int = 1, cycle: int = 1, now: dt.datetime = NOW) -> str:
        return timer_cause(clock, step, cycle, aggregate="a", service="s", now=now).id

    assert len({timer(), timer("remind"), timer(step=2), timer(cycle=2)}) == 4
    assert timer() == timer(now=NOW + dt.timedelta(hours=1)), "a deadline derived anew does not fire twice"


def test_the_days_clock_is_the_latest_time_it_has_seen() -> None:
    clock = DayClock()
    assert clock.now() == clock.due_before() == LONG_AGO, "nothing is due before the first"
    clock.saw(NOW)
    clock.saw(NOW - dt.timedelta(hours=1))
    assert clock.now() == clock.due_before() == NOW
    india = dt.timezone(dt.timedelta(hours=5, minutes=30))
    clock.saw((NOW + dt.timedelta(minutes=1)).astimezone(india))
    assert clock.now() == NOW + dt.timedelta(minutes=1)
    assert clock.now().tzinfo == dt.UTC


def test_the_machines_clock_listens_to_nobody() -> None:
    clock = Clock()
    clock.saw(NOW + dt.timedelta(days=9999))
    assert abs(clock.now() - machine_now()) < dt.timedelta(seconds=5)
    assert clock.now().microsecond % 1000 == 0
