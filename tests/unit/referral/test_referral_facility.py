"""What a facility says of itself, and what it has to give at a moment of all that it lists."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.refusal import Refused
from libs.contracts.referral import Duty, FacilityCard, Hours, Unavailable
from services.referral import directory
from services.referral.country_api import CardBody
from services.referral.domain import facility, today
from services.referral.domain.dataset import Notice
from services.referral.domain.facility import Facility, FacilityChanged

CARD = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}["HP-KNR-RH-PEO"]
MONDAY = dt.date(2026, 7, 6)


def at(clock: str, day: dt.date = MONDAY) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.fromisoformat(clock), today.INDIA).astimezone(dt.UTC)


def card(**said: object) -> FacilityCard:
    return CARD.model_copy(update=said)


def test_what_it_says_is_told_once_and_a_changed_row_leaves_it() -> None:
    state = Facility(card=CARD, source="row-1")
    (told,) = facility.change(state, {"theatre": "closed", "blood": ("A+",)})
    assert isinstance(told, FacilityChanged)
    assert (told.card.theatre, told.card.blood, told.source) == ("closed", ("A+",), "row-1")
    after = facility.evolve(state, told)
    assert facility.change(after, {"theatre": "closed"}) == []
    row = CARD.model_copy(update={"beds": CARD.beds + 1})
    (from_file,) = facility.decide(after, row, "row-2")
    assert isinstance(from_file, FacilityChanged)
    assert (from_file.card.beds, from_file.card.theatre) == (CARD.beds + 1, "closed")


def test_services_that_a_facility_has_changed_are_its_own_from_then_on() -> None:
    state = Facility(card=CARD, source="row-1")
    fewer = tuple(service for service in CARD.services if service != "surgery")
    (told,) = facility.change(state, {"services": fewer, "desk_email": CARD.desk_email})
    after = facility.evolve(state, told)
    assert after.said == ("services",)
    row = CARD.model_copy(update={"beds": CARD.beds + 1, "desk_email": "desk.new@hospital.example"})
    (from_file,) = facility.decide(after, row, "row-2")
    assert isinstance(from_file, FacilityChanged)
    assert (from_file.card.services, from_file.card.desk_email) == (fewer, "desk.new@hospital.example")
    assert facility.evolve(after, from_file).said == ("services",)


def test_a_season_that_is_none_would_open_its_road_all_year() -> None:
    with pytest.raises(Refused) as refused:
        facility.change(Facility(card=CARD), {"winter_access": "pass-closure"}, ("open", "pass-closures"))
    assert refused.value.field == "winter_access"
    assert facility.change(Facility(card=CARD), {"winter_access": "pass-closures"}, ("open", "pass-closures"))


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"level": "MC"}, "level"),
        ({"road_hours": 0.1}, "road_hours"),
        ({"unavailable": (Unavailable(service="heart-transplant", reason="no-such"),)}, "unavailable.0.service"),
        ({"refuses": ("everybody",)}, "refuses"),
        ({"beds_by_kind": {"icu": -1}}, "beds_by_kind.icu"),
        ({"hours": (Hours(opens="10:00", closes="10:00"),)}, "hours.0.closes"),
        ({"hours": (Hours(days=(), opens="10:00", closes="11:00"),)}, "hours.0.days"),
        ({"services": ("surgery", "obstetrics", "surgery")}, "services.2"),
    ],
)
def test_what_is_not_its_own_or_does_not_fit_is_refused(said: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        facility.change(Facility(card=CARD), said)
    assert refused.value.field == field


def test_listed_is_not_available_while_the_specialist_is_away() -> None:
    away = card(unavailable=(Unavailable(service="surgery", reason="specialist-on-leave", until=at("18:00")),))
    assert "surgery" not in today.available(away, at("17:59"))
    assert "surgery" in today.available(away, at("18:00"))
    assert today.available(card(takes_referrals=False), at("12:00")) == ()


def test_who_answers_now_by_day_night_and_service() -> None:
    duties = (
        Duty(role="doctor", starts="09:00", ends="17:00", reach="+91 5550100001"),
        Duty(role="nurse", starts="17:00", ends="09:00", reach="+91 5550100002 ext 12"),
        Duty(role="surgeon", service="surgery", days=("mon",), starts="22:00", ends="06:00", reach="ot@h.example"),
    )
    listed = card(duty=duties)

    def roles(clock: str, service: str | None = None, day: dt.date = MONDAY) -> list[str]:
        return [duty.role for duty in today.on_duty(listed, service, at(clock, day))]

    assert roles("10:00") == ["doctor"]
    assert roles("08:59") == ["nurse"]
    assert roles("23:00", "surgery") == ["surgeon"]
    assert roles("05:00", "surgery", MONDAY + dt.timedelta(days=1)) == ["surgeon"]
    assert roles("05:00", "surgery") == ["nurse"]


def test_a_duty_names_a_switchboard_or_a_mailbox_and_nobody_by_name() -> None:
    with pytest.raises(ValueError, match="reach"):
        Duty(role="doctor", starts="09:00", ends="17:00", reach="Dr Sharma")


def test_when_it_opens_next() -> None:
    weekdays = card(hours=(Hours(days=("mon", "tue"), opens="09:00", closes="13:00"),))
    assert today.is_open(weekdays, at("09:00"))
    assert not today.is_open(weekdays, at("13:00"))
    assert today.opens_next(weekdays, at("13:00")) == at("09:00", MONDAY + dt.timedelta(days=1))
    assert today.opens_next(weekdays, at("13:00", MONDAY + dt.timedelta(days=1))) == at(
        "09:00", MONDAY + dt.timedelta(days=7)
    )


def test_it_refuses_only_what_it_has_switched_on_and_never_an_emergency() -> None:
    missing = Notice(code="missing", field="findings.pulse_per_minute", detail="pulse is expected")
    past = Notice(code="passed-by", field="past_reason", detail="another comes first")
    assert facility.refusal(CARD, "urgent", [missing, past]) is None
    assert facility.refusal(card(refuses=("passed-by",)), "urgent", [missing, past]) == past
    assert facility.refusal(card(refuses=("dataset-incomplete",)), "urgent", [missing, past]) == missing
    assert facility.refusal(card(refuses=("dataset-incomplete",)), "emergency", [missing, past]) is None


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (
            {"unavailable": [{"service": "surgery", "reason": "leave", "from": "2026-12-01"}]},
            ("unavailable", 0, "from"),
        ),
        ({"hours": [{"opens": "09:00", "closes": "17:00", "closed": True}]}, ("hours", 0, "closed")),
        (
            {"duty": [{"role": "surgeon", "starts": "09:00", "ends": "17:00", "reach": "104", "name": "x"}]},
            ("duty", 0, "name"),
        ),
    ],
)
def test_what_no_card_has_room_for_is_refused_and_not_left_out(said: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        CardBody.model_validate(said)
    assert refused.value.errors()[0]["loc"] == where
    [(name, [whole])] = said.items()
    [told] = CardBody.model_validate({name: [{k: v for k, v in whole.items() if k != where[-1]}]}).said()[name]
    assert type(told) in (Unavailable, Hours, Duty), "the same said again is nothing new"
