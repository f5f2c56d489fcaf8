"""The way there: its own table, beside the referral's; what is lost by cause; what an SMS says; what was avoidable."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import Event
from services.referral import way
from services.referral.domain import commands as machine
from services.referral.domain import leg, moves, way_message
from services.referral.domain.commands import By
from services.referral.domain.leg import LEG_MOVES, Leg
from services.referral.domain.medicines import Medicine
from services.referral.domain.referral import Referral, decide, evolve, sides_of

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HERE, THERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO"
REQUEST = machine.Request("p1", THERE, "surgery", "urgent", "acute abdomen, guarding")
DOCTOR_HERE, DOCTOR_THERE, DESK = By("doctor", HERE), By("doctor", THERE), By("desk", THERE)
TRANSPORT = By("transport", HERE)


def after(minutes: float) -> dt.datetime:
    return NOW + dt.timedelta(minutes=minutes)


class Told:
    """A referral that goes on, with all that was told of it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.state: Referral | None = None
        self.do(REQUEST, DOCTOR_HERE)
        self.do(machine.Accept(), DOCTOR_THERE)

    def take(self, events: list[Event]) -> Referral:
        for event in events:
            self.state = evolve(self.state, event)
            self.events.append(event)
        assert self.state is not None
        return self.state

    def do(self, command: machine.Command, by: By, at: dt.datetime = NOW) -> Referral:
        return self.take(decide(self.state, command, by, at))

    def way(self, command: str, by: By = TRANSPORT, at: dt.datetime = NOW, **said: Any) -> Leg:
        assert self.state is not None
        sides = sides_of(self.state, by.facility)
        found = leg.decide(self.state.status, self.state.leg or Leg(), command, said, by.role, sides, at)
        return self.take(found).leg or Leg()


def test_a_way_from_the_asking_to_the_handing_over() -> None:
    told = Told()
    assert told.way("request", DOCTOR_HERE, after(1), needs=("oxygen",)).status == "requested"
    assigned = told.way("assign", at=after(5), mode="ambulance-108", vehicle="HP 25 A 1234", code="ABCDEFGH")
    assert (assigned.status, assigned.vehicle, assigned.code) == ("assigned", "HP 25 A 1234", "ABCDEFGH")
    told.do(machine.Depart("ambulance-108", travel_seconds=9000), TRANSPORT, after(30))
    assert told.state is not None
    assert told.state.leg is not None
    assert told.state.leg.expected_at == after(30) + dt.timedelta(seconds=9000)
    moved = told.way("position", at=after(60), latitude=31.7, longitude=78.5)
    assert moved.position is not None
    assert (moved.position.latitude, moved.positions) == (31.7, 1)
    handed = told.way("hand-over", DESK, after(180))
    assert (handed.status, handed.handed_over_at) == ("handed-over", after(180))
    arrived = told.do(machine.Arrive(), DESK, after(185))
    assert arrived.leg is not None
    assert arrived.leg.ended_at == after(185)
    assert arrived == Referral.model_validate_json(arrived.model_dump_json())


def test_time_is_lost_by_cause_and_puts_off_when_the_patient_is_expected() -> None:
    told = Told()
    told.do(machine.Depart("army-convoy", travel_seconds=3600), TRANSPORT, after(0))
    told.do(machine.Hold("pass-closed", after(90)), TRANSPORT, after(30))
    assert told.state is not None
    assert told.state.leg is not None
    assert told.state.leg.expected_at == after(60 + 60)
    told.do(machine.Hold("weather"), TRANSPORT, after(50))
    told.do(machine.Depart("army-convoy"), TRANSPORT, after(60))
    assert told.state.leg is not None
    on = told.state.leg
    assert on is not None
    assert on.lost_seconds == {"pass-closed": 20 * 60, "weather": 10 * 60}
    assert on.departed_at == after(0)
    assert on.expected_at == after(60 + 30)
    told.do(machine.Hold("pass-closed"), TRANSPORT, after(70))
    there = told.do(machine.Arrive(), DESK, after(100))
    assert there.leg is not None
    assert there.leg.lost_seconds == {"pass-closed": 50 * 60, "weather": 10 * 60}
    assert there.leg.held_since is None


def test_who_comes_another_time_has_another_way_and_what_was_lost_stays_counted() -> None:
    told = Told()
    desk = By("desk", THERE)
    told.way("assign", at=after(0), mode="own-vehicle", vehicle=None, code="ABCDEFGH")
    told.do(machine.Depart("own-vehicle", travel_seconds=3600), TRANSPORT, after(10))
    told.do(machine.Hold("weather"), TRANSPORT, after(30))
    missed = told.do(machine.NoShow(), desk, after(90))
    assert (missed.leg and missed.leg.lost_seconds) == {"weather": 3600}
    again = told.do(machine.Reschedule(after(6000)), desk, after(100))
    assert again.leg is not None
    assert (again.leg.status, again.transport, again.mode, again.held_for) == ("none", "none", None, None)
    assert f"to-send@{HERE}" in again.lists
    assert f"en-route@{THERE}" not in again.lists
    assert told.way("request", DOCTOR_HERE, after(5000)).status == "requested"
    assert told.way("assign", at=after(5001), mode="ambulance-108", vehicle=None, code="ABCDEFGH").status == "assigned"
    on = told.do(machine.Depart("ambulance-108", travel_seconds=7200), TRANSPORT, after(5010))
    assert on.leg is not None
    assert (on.leg.departed_at, on.leg.expected_at) == (after(5010), after(5010 + 120))
    assert f"en-route@{THERE}" in on.lists
    there = told.do(machine.Arrive(), DESK, after(5130))
    assert (there.leg and there.leg.lost_seconds) == {"weather": 3600}


def test_who_is_seen_or_handed_over_is_held_no_longer() -> None:
    for end in ("note", "hand-over"):
        told = Told()
        told.do(machine.Depart("own-vehicle"), TRANSPORT, after(10))
        told.do(machine.Hold("vehicle"), TRANSPORT, after(30))
        if end == "note":
            state = told.do(machine.WriteNote("seen in the clinic"), DOCTOR_THERE, after(60))
        else:
            told.way("hand-over", DESK, after(60))
            assert told.state is not None
            state = told.state
            assert (state.transport, state.held_for, state.clock_says) == ("departed", None, None)
        assert state.leg is not None
        assert (state.leg.held_since, state.leg.lost_seconds) == (None, {"vehicle": 1800})


def test_of_two_positions_the_later_one_stays_whichever_message_comes_first() -> None:
    told = Told()
    told.way("assign", mode="own-vehicle", vehicle=None, code="ABCDEFGH")
    told.way("position", at=after(60), latitude=31.7, longitude=78.5, taken_at=after(59))
    on = told.way("position", at=after(61), latitude=31.6, longitude=78.6, taken_at=after(20))
    assert on.position is not None
    assert (on.position.latitude, on.position.at, on.positions) == (31.7, after(59), 2)


def test_nobody_arrives_the_later_for_what_is_known_of_the_way() -> None:
    told = Told()
    there = told.do(machine.Arrive(), DESK)
    assert (there.status, there.leg) == ("arrived", None)
    told = Told()
    told.way("request", DOCTOR_HERE)
    assert told.do(machine.Arrive(), DESK).status == "arrived"


any_said: dict[str, dict[str, Any]] = {
    "request": {"mode": None, "needs": ()},
    "assign": {"mode": "own-vehicle", "vehicle": None, "code": "ABCDEFGH"},
    "position": {"latitude": 0.0, "longitude": 0.0},
    "hand-over": {},
}


@given(
    status=st.sampled_from(sorted(moves.STANDINGS)),
    at=st.sampled_from(["none", "requested", "assigned", "departed", "held", "handed-over"]),
    command=st.sampled_from([row.command for row in LEG_MOVES]),
    role=st.sampled_from(["doctor", "desk", "transport", "officer"]),
    sides=st.sampled_from([frozenset(), frozenset({"origin"}), frozenset({"destination"})]),
)
@settings(max_examples=300, deadline=None)
def test_only_what_the_table_of_the_way_allows_can_be_done(
    status: str, at: leg.LegStatus, command: str, role: str, sides: frozenset[str]
) -> None:
    row = next(row for row in LEG_MOVES if row.command == command)
    here = Leg(status=at)
    legal = at in row.at and status in row.while_ and any((role, side) in row.who for side in sides)
    assert (row in leg.open_to(status, here, role, sides)) is legal
    if legal:
        (event,) = leg.decide(status, here, command, any_said[command], role, sides, NOW)
        assert leg.follow(here, event).status == (row.to or at)  # type: ignore[arg-type]
        return
    with pytest.raises(Refused) as refused:
        leg.decide(status, here, command, any_said[command], role, sides, NOW)
    assert refused.value.allowed == tuple(each.command for each in leg.open_to(status, here, role, sides))


def test_a_long_journey_does_not_fill_its_journal_with_positions() -> None:
    told = Told()
    told.do(machine.Depart("own-vehicle"), TRANSPORT)
    for _ in range(leg.POSITIONS_KEPT + 5):
        told.way("position", latitude=31.7, longitude=78.5)
    assert sum(type(event).__name__ == "LegPositioned" for event in told.events) == leg.POSITIONS_KEPT


@pytest.mark.parametrize(
    ("text", "command", "said"),
    [
        ("HH 7K3QX2AB POS 34.152 77.577", "position", {"latitude": 34.152, "longitude": 77.577}),
        ("HH 7K3QX2AB POS +34.15231234 -77.577", "position", {"latitude": 34.15231234, "longitude": -77.577}),
        ("HH 7K3QX2AB POS 34.152,77.577", "position", {"latitude": 34.152, "longitude": 77.577}),
        ("HH 7K3QX2AB POS 34.152, 77.577", "position", {"latitude": 34.152, "longitude": 77.577}),
        ("hh 7k3qx2ab dep army", "depart", {"mode": "army-convoy"}),
        ("HH 7K3QX2AB HELD PASS 6", "hold", {"reason": "pass-closed", "hours": 6}),
        ("HH 7K3QX2AB HELD WEATHER", "hold", {"reason": "weather"}),
        ("  HH 7K3QX2AB   DONE ", "hand-over", {}),
    ],
)
def test_an_sms_says_one_thing(text: str, command: str, said: dict[str, Any]) -> None:
    told = way_message.parse(text)
    assert (told.code, told.command, told.said) == ("7K3QX2AB", command, said)


def test_a_message_that_comes_twice_tells_nothing_new() -> None:
    def is_so(text: str, leg: Leg) -> bool:
        return way_message.parse(f"HH ABCDEFGH {text}").is_so(leg, NOW)

    on, held = Leg(status="departed", mode="ambulance-108"), Leg(status="held", held_for="pass-closed")
    assert is_so("DEP 108", on)
    assert is_so("HELD PASS", held)
    assert is_so("DONE", Leg(status="handed-over"))
    for text, before in (("DEP OWN", on), ("DEP 108", held), ("HELD PASS", on), ("HELD WEATHER", held)):
        assert not is_so(text, before)
    assert not is_so("HELD PASS 6", held)
    for_six = held.model_copy(update={"held_since": NOW, "expected_release": after(355)})
    assert is_so("HELD PASS 6", for_six)
    assert is_so("HELD PASS", for_six)
    assert not is_so("HELD PASS 9", for_six)
    assert not way_message.parse("HH ABCDEFGH HELD PASS 6").is_so(for_six, after(180))
    assert not is_so("POS 31.5 78.2", on)
    assert not is_so("DEP 108", on.model_copy(update={"ended_at": NOW}))


def test_a_message_that_comes_after_a_later_one_undoes_nothing() -> None:
    def is_late(text: str, at: dt.datetime, *before: dt.datetime) -> bool:
        return way_message.parse(f"HH ABCDEFGH {text}").is_late(at, before)

    departed, held = after(0), after(30)
    assert is_late("DEP 108", departed, departed, held)
    assert is_late("HELD PASS", held, departed, held, after(60))
    assert not is_late("DEP 108", after(60), departed, held)
    assert not is_late("DEP 108", departed)
    assert not is_late("DEP 108", held, departed, held + dt.timedelta(milliseconds=700))
    assert not is_late("POS 31.5 78.2", departed, held)
    assert not is_late("DONE", departed, held)


def test_letters_that_are_taken_for_others_are_forgiven() -> None:
    assert way_message.parse("HH OI3QX2AL DONE").code == "013QX2A1"


@pytest.mark.parametrize(
    "text",
    [
        *("", "HH", "HH 7K3QX2AB", "HH 7K3QX2AB POS", "HH 7K3QX2AB POS 91 10", "HH 7K3QX2AB HELD BORED", "HELP"),
        *("X" * 161, "HH 7K3QX2 DONE", "HH 7K3QX2AB DONE NOW", "HH 7K3QX2AB POS 1e1 2"),
        *("HH 7K3QX2AB POS 34,152 77,577", "HH 7K3QX2AB POS 34,15", "HH 7K3QX2AB POS 34.15 77.57 3"),
    ],
)
def test_what_is_no_message_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(Refused) as refused:
        way_message.parse(text)
    assert refused.value.field == "text"


@given(st.text(alphabet="H ABCDEFGHPOSDNE0123456789.-", max_size=170))
@settings(max_examples=300)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Refused):
        assert len(way_message.parse(text).code) == way_message.CODE_LENGTH


def test_a_journeys_code_follows_from_the_secret_and_can_be_typed() -> None:
    code = way.code_of("some-referral", b"a" * 64)
    assert code == way.code_of("some-referral", b"a" * 64)
    assert code != way.code_of("some-referral", b"b" * 64)
    assert way_message.parse(f"HH {code} DONE").code == code


@pytest.mark.parametrize(
    ("outcome", "procedure", "days_later", "expected"),
    [
        ("manageable-at-origin", None, 0, True),
        ("manageable-at-origin", True, 3, True),
        ("treated-and-discharged", False, 0, True),
        ("treated-and-discharged", True, 0, False),
        ("treated-and-discharged", None, 0, None),
        ("treated-and-discharged", False, 1, False),
        ("admitted", False, 0, False),
        ("died", None, 0, False),
    ],
)
def test_what_was_avoidable_follows_from_the_outcome(
    outcome: str, procedure: bool | None, days_later: int, expected: bool | None
) -> None:
    told = Told()
    told.do(machine.Arrive(), DESK, after(1))
    done = told.do(
        machine.RecordOutcome(outcome, procedure=procedure), DOCTOR_THERE, after(2) + dt.timedelta(days=days_later)
    )
    assert done.avoidable is expected
    (event,) = [event for event in told.events if type(event).__name__ == "OutcomeRecorded"]
    assert event.avoidable is expected  # type: ignore[attr-defined]


def test_the_day_of_arrival_is_that_of_india() -> None:
    told = Told()
    told.do(machine.Arrive(), DESK, dt.datetime(2026, 11, 20, 18, 0, tzinfo=dt.UTC))
    next_day_there = dt.datetime(2026, 11, 20, 19, 0, tzinfo=dt.UTC)
    done = told.do(machine.RecordOutcome("treated-and-discharged", procedure=False), DOCTOR_THERE, next_day_there)
    assert done.avoidable is False


def test_medicines_go_home_with_the_advice() -> None:
    told = Told()
    told.do(machine.Arrive(), DESK)
    told.do(machine.RecordOutcome("admitted"), DOCTOR_THERE)
    tablets = Medicine(name="Paracetamol 500 mg", dose="1 tablet", timing="three times a day", days=5)
    home = told.do(machine.BackRefer("rest", (tablets,)), DOCTOR_THERE)
    assert home.medicines == (tablets,)
    assert Referral.model_fields["medicines"].json_schema_extra == {"personal": True}


def test_when_each_thing_happened_stands_in_the_state() -> None:
    told = Told()
    there = told.do(machine.Arrive(), DESK, after(9))
    assert there.milestones == {"ReferralRequested": NOW, "ReferralAccepted": NOW, "PatientArrived": after(9)}
