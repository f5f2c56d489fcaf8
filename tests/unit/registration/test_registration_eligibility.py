"""What every scheme tells a family on a day, by the rules that ship."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.refusal import Refused
from services.registration.domain.eligibility import Answer, belonging, pack
from services.registration.domain.family import Asking, Family, Member
from services.registration.domain.schemes import Days, Months, opens
from services.registration.eligibility_api import AskEligibility, answered
from services.registration.places import read_places
from services.registration.rulebook import read_rulebook

RULES = read_rulebook()
PLACES = read_places()
TODAY = dt.date(2026, 1, 15)

EMPLOYEE = {"state_lgd": 2, "family_size": 6, "categories": ["state-government-serving"]}
LABOURER = {"state_lgd": 2, "family_size": 6, "categories": ["daily-wage"]}


def told(on: str, scheme: str = "himcare", **said: Any) -> Answer:
    asked = AskEligibility.model_validate({"on": on} | said)
    found = answered(RULES, PLACES, asked, TODAY)
    return next(each for each in found.schemes if each.scheme == scheme)


def test_a_state_employees_family_of_six_is_told_four_different_things() -> None:
    first, second, third, fourth = (
        told(on, **EMPLOYEE) for on in ("2021-06-01", "2023-06-01", "2024-08-04", "2025-07-10")
    )
    # While enrolment was by window: Rs 1,000 for each of two units, but not before January.
    assert (first.answer, first.slab, first.rule.code) == ("yes", "III", "himcare-2019")
    assert first.cost is not None
    assert (first.cost.per_unit_inr, first.cost.units, first.cost.total_inr) == (1000, 2, 2000)
    assert [option.years for option in first.cost.options] == [1]
    assert first.enrolment is not None
    assert (first.enrolment.open, str(first.enrolment.opens_on)) == (False, "2022-01-01")
    # All year, for one year or three.
    assert (second.answer, second.rule.code) == ("yes", "himcare-2022")
    assert second.cost is not None
    assert [(option.years, option.total_inr) for option in second.cost.options] == [(1, 2000), (3, 6000)]
    assert second.enrolment is not None
    assert second.enrolment.open
    # Excluded at once; later by a rule of its own.
    assert (third.answer, third.eligible, third.cost) == ("no", False, None)
    assert (third.rule.code, str(third.rule.valid_from)) == ("himcare-2024-08", "2024-08-03")
    assert (fourth.answer, fourth.rule.code) == ("no", "himcare-2025-07")
    assert len({each.says for each in (first, second, third, fourth)}) == 4
    assert all(each.rule.source for each in (first, second, third, fourth))


def test_a_daily_wage_workers_family_of_six_gets_two_units_and_is_told_to_come_in_september() -> None:
    answer = told("2025-07-10", **LABOURER)
    assert answer.units is not None
    assert [(unit.people, unit.premium_inr) for unit in answer.units] == [(5, 365), (1, 365)]
    assert answer.cost is not None
    assert answer.cost.total_inr == 730
    assert answer.enrolment is not None
    assert not answer.enrolment.open
    assert (str(answer.enrolment.opens_on), str(answer.enrolment.closes_on)) == ("2025-09-01", "2025-09-30")
    assert "come in September 2025" in answer.says
    in_september = told("2025-09-10", **LABOURER)
    assert in_september.enrolment is not None
    assert in_september.enrolment.open


def test_the_officer_of_a_medical_college_lets_a_severe_case_enrol_at_once_and_nobody_else_does() -> None:
    def enrolled(**leave: str) -> bool:
        enrolment = told("2025-07-10", **LABOURER, overrides=[leave]).enrolment
        assert enrolment is not None
        return enrolment.open

    assert enrolled(by="medical-superintendent", reason="severe-disease")
    assert enrolled(by="Medical Superintendent", reason="severe_disease")
    assert enrolled(by="principal", reason="hardship")
    assert not enrolled(by="principal", reason="because-i-say-so")
    assert not enrolled(by="officer", reason="severe-disease")
    # It lifts the window, not the exclusion.
    leave = [{"by": "principal", "reason": "severe-disease"}]
    assert told("2025-07-10", **EMPLOYEE, overrides=leave).eligible is False
    # And no rule of 2024 knew of it.
    assert told("2021-06-01", **LABOURER, overrides=leave).enrolment.open is False  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("on", "valid_to", "status", "kind", "open_now", "opens_on"),
    [
        ("2025-07-10", "2025-08-31", "live", "renewal", True, "2025-07-10"),
        ("2025-07-10", "2025-07-10", "live", "renewal", True, "2025-07-10"),
        ("2025-07-10", "2025-07-09", "expired", "renewal-after-expiry", False, "2025-09-01"),
        ("2021-06-10", "2021-05-01", "expired", "renewal-after-expiry", True, "2021-06-01"),
        ("2021-06-21", "2021-05-01", "expired", "renewal-after-expiry", False, "2021-12-01"),
    ],
)
def test_a_live_card_is_renewed_on_any_day_and_an_expired_one_in_its_months(
    on: str, valid_to: str, status: str, kind: str, open_now: bool, opens_on: str
) -> None:
    answer = told(on, state_lgd=2, family_size=2, categories=[], cards=[{"scheme": "himcare", "valid_to": valid_to}])
    assert answer.card is not None
    assert answer.card.status == status
    assert answer.enrolment is not None
    assert (answer.enrolment.kind, answer.enrolment.open) == (kind, open_now)
    assert str(answer.enrolment.opens_on) == opens_on


def test_a_card_runs_as_long_as_the_rules_of_its_own_day_said() -> None:
    def card(**said: Any) -> Any:
        return told("2025-07-10", state_lgd=2, family_size=2, cards=[{"scheme": "himcare"} | said]).card

    assert (card(issued_on="2023-06-01", years=3).status, str(card(issued_on="2023-06-01", years=3).valid_to)) == (
        "live",
        "2026-05-31",
    )
    assert card(issued_on="2023-06-01").status == "expired"
    with pytest.raises(Refused) as refused:
        card(issued_on="2021-02-01", years=3)
    assert refused.value.field == "cards.0.years"


def test_the_card_of_an_excluded_family_ended_with_the_rule() -> None:
    card = [{"scheme": "himcare", "valid_to": "2026-05-31"}]
    before, after = told("2024-08-02", **EMPLOYEE, cards=card), told("2024-08-03", **EMPLOYEE, cards=card)
    assert before.card is not None
    assert after.card is not None
    assert (before.card.status, after.card.status) == ("live", "ended")


@pytest.mark.parametrize(
    ("category", "on", "slab"),
    [
        ("below-poverty-line", "2023-06-01", "I"),
        ("street-vendor", "2025-09-01", "I"),
        ("single-woman", "2025-09-01", "II"),
        ("asha", "2023-06-01", "II"),
        ("asha", "2025-09-01", "III"),
        ("farmer", "2025-09-01", "III"),
    ],
)
def test_slabs_of_himcare(category: str, on: str, slab: str) -> None:
    assert told(on, state_lgd=2, family_size=1, categories=[category]).slab == slab


def test_what_is_measured_decides_the_slab_too() -> None:
    def slab(**said: Any) -> str | None:
        return told("2025-09-01", state_lgd=2, categories=[], **said).slab

    assert slab(family_size=1, mgnrega_days=50) == "I"
    assert slab(family_size=1, mgnrega_days=49) == "III"
    assert slab(members=[{"disability_percent": 40}]) == "II"
    assert slab(members=[{"disability_percent": 39}]) == "III"


def test_who_is_in_pm_jay_is_not_in_himcare() -> None:
    assert told("2023-06-01", **LABOURER, pm_jay=True).eligible is False
    assert told("2023-06-01", "pm-jay", **LABOURER, pm_jay=True).eligible is True
    assert told("2023-06-01", "pm-jay", **LABOURER, pm_jay=False).eligible is False


def test_what_is_missing_is_asked_for_and_is_no_error() -> None:
    himcare = told("2025-09-01")
    assert (himcare.answer, himcare.eligible) == ("unknown", None)
    assert [each.field for each in himcare.missing] == ["state_lgd"]
    pm_jay = told("2025-09-01", "pm-jay")
    assert (pm_jay.answer, (pm_jay.missing[0].field, pm_jay.missing[0].assumed)) == ("unknown", ("pm_jay", None))
    labourer = told("2025-09-01", **LABOURER)
    assert {(each.field, each.assumed) for each in labourer.missing} == {("pm_jay", "no"), ("mgnrega_days", "no")}
    uncounted = told("2025-09-01", state_lgd=2, categories=["daily-wage"], pm_jay=False, mgnrega_days=0)
    assert uncounted.cost is not None
    assert (uncounted.cost.per_unit_inr, uncounted.cost.total_inr) == (365, None)
    assert [each.field for each in uncounted.missing] == ["members"]


def test_seventy_by_the_day_and_only_those_of_seventy_share_the_cover() -> None:
    family = [
        {"ref": "grandfather", "birth_date": "1955-03-01"},
        {"ref": "grandmother", "birth_year": 1955},
        {"ref": "daughter", "age_years": 45},
    ]
    eve, day, later = (
        told(on, "vay-vandana", members=family, pm_jay=True) for on in ("2025-02-28", "2025-03-01", "2026-01-01")
    )
    assert eve.eligible is False
    assert day.units is not None
    assert [unit.members for unit in day.units] == [("grandfather",)]
    # Of whom only the year is known, one is born on the first of January of the next.
    assert later.units is not None
    assert [unit.members for unit in later.units] == [("grandfather", "grandmother")]
    assert later.slab == "top-up"
    assert told("2024-10-28", "vay-vandana", members=family).rule.code is None
    assert told("2025-03-01", "vay-vandana", family_size=3).answer == "unknown"


def test_sehat_is_for_every_resident_and_ladakhs_scheme_for_every_ration_card() -> None:
    assert told("2020-12-25", "sehat", state_lgd=1).eligible is False
    assert told("2020-12-26", "sehat", state_lgd=1, family_size=14).units[0].people == 14  # type: ignore[index]
    assert told("2021-06-01", "sehat", state_lgd=37).eligible is False
    assert told("2021-06-01", "ladakh-universal", state="Ladakh", ration_card=True).eligible is True
    assert told("2021-06-01", "ladakh-universal", state="Ladakh", ration_card=False).eligible is False
    assert told("2021-06-01", "ladakh-universal", state="Ladakh").answer == "unknown"
    army = told("2021-06-01", "ladakh-universal", state="Ladakh", ration_card=True, categories=["army"])
    assert army.eligible is False


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"state": "Atlantis"}, "state"),
        ({"state": "Ladakh", "state_lgd": 2}, "state"),
        ({"district_lgd": 4711}, "district_lgd"),
        ({"district_lgd": 9, "state_lgd": 2}, "district_lgd"),
        ({"categories": ["astronaut"]}, "categories.0"),
        ({"members": [{}, {"categories": ["daily-wage", "astronaut"]}]}, "members.1.categories.1"),
        ({"members": [{}, {}], "family_size": 1}, "family_size"),
        ({"members": [{"ref": "a"}, {"ref": "a"}]}, "members.1.ref"),
        ({"facts": {"horoscope": True}}, "facts"),
        ({"schemes": ["himcare", "no-such"]}, "schemes.1"),
        ({"cards": [{"scheme": "no-such", "valid_to": "2025-01-01"}]}, "cards.0.scheme"),
    ],
)
def test_a_wrong_field_is_named(said: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        told("2025-09-01", **said)
    assert refused.value.field == field


@pytest.mark.parametrize("spelt", ["Daily Wager", "daily_wage", "DAILY-WAGE", "daily wage worker"])
def test_a_category_is_understood_however_it_is_spelt(spelt: str) -> None:
    assert told("2025-09-01", state="himachal pradesh", family_size=6, category=spelt).slab == "II"


DAYS = st.dates(dt.date(2018, 1, 1), dt.date(2027, 12, 31))
CATEGORIES = st.none() | st.frozensets(st.sampled_from(sorted(RULES.categories)), max_size=3)
MEMBERS = st.builds(
    lambda n, age, disability, categories: Member(f"m{n}", age, disability_percent=disability, categories=categories),
    st.integers(0, 10**9),
    st.none() | st.integers(0, 110),
    st.none() | st.integers(0, 100),
    CATEGORIES,
)
FAMILIES = st.builds(
    lambda members, more, state, categories, pm_jay, ration_card, days: Family(
        members=tuple(members),
        size=None if more is None else len(members) + more,
        state_lgd=state,
        categories=categories,
        pm_jay=pm_jay,
        ration_card=ration_card,
        mgnrega_days=days,
    ),
    st.lists(MEMBERS, max_size=12, unique_by=lambda member: member.ref),
    st.none() | st.integers(1, 8),
    st.sampled_from([None, 1, 2, 37]),
    CATEGORIES,
    st.none() | st.booleans(),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 100),
)
SCHEMES = st.sampled_from(list(RULES.schemes.values()))


def of(scheme: Any, family: Family, on: dt.date) -> Answer:
    from services.registration.domain.eligibility import answer

    return answer(scheme, family, on, states=PLACES.states)


@given(SCHEMES, FAMILIES, DAYS)
def test_every_family_gets_an_answer_with_its_rule_on_every_day(scheme: Any, family: Family, on: dt.date) -> None:
    answer = of(scheme, family, on)
    assert answer.eligible is {"yes": True, "no": False, "unknown": None}[answer.answer]
    assert answer.rule.source
    assert answer.says.endswith((".", "?"))
    assert (answer.rule.valid_from or on) <= on <= (answer.rule.valid_to or on)
    if answer.eligible is None:
        assert any(each.assumed is None for each in answer.missing)
    if answer.enrolment and answer.enrolment.opens_on and not answer.enrolment.open:
        assert answer.enrolment.opens_on > on


@given(SCHEMES, FAMILIES, DAYS)
def test_units_hold_everybody_who_belongs_once_and_none_is_too_big(scheme: Any, family: Family, on: dt.date) -> None:
    mine = belonging(scheme, family, Asking(on, scheme.year_of_birth))
    units = pack(scheme, mine, 365)
    assert [ref for unit in units for ref in unit.members] == [member.ref for member in mine]
    most = scheme.unit.at_most or 10**6
    assert all(unit.people == len(unit.members) <= most for unit in units)
    assert len(units) == -(-len(mine) // most)


@given(FAMILIES, DAYS)
def test_saying_what_was_taken_for_granted_changes_nothing(family: Family, on: dt.date) -> None:
    """What is assumed is what is then said: the answer must stand."""
    from dataclasses import replace

    scheme = RULES.schemes["himcare"]
    before = of(scheme, family, on)
    if before.eligible is None or any(not each.field.startswith(("pm_jay", "mgnrega")) for each in before.missing):
        return
    after = of(
        scheme,
        replace(
            family,
            pm_jay=family.pm_jay or False,
            mgnrega_days=family.mgnrega_days if family.mgnrega_days is not None else 0,
        ),
        on,
    )
    assert (after.eligible, after.slab, after.units, after.enrolment) == (
        before.eligible, before.slab, before.units, before.enrolment,
    )  # fmt: skip
    assert after.missing == ()


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=12, unique=True).map(sorted),
    st.dates(dt.date(2020, 1, 1), dt.date(2024, 12, 31)),
)
def test_open_months_are_those_that_counting_day_by_day_finds(months: list[int], day: dt.date) -> None:
    until = day + dt.timedelta(days=700)
    found = opens(Months(months=tuple(months)), day, until)
    assert found is not None
    first = day
    while first.month not in months:
        first += dt.timedelta(days=1)
    assert max(found[0], day) == first
    last = first
    while (last + dt.timedelta(days=1)).month in months and last < until:
        last += dt.timedelta(days=1)
    # Stretches are cut at the turn of the last year looked at, at the earliest.
    assert found[1] == last or found[1].month == 12


def test_a_window_that_is_over_does_not_open_again() -> None:
    window = Days.model_validate({"between": [{"first": "2021-01-01", "last": "2021-04-15"}]})
    assert opens(window, dt.date(2021, 4, 15), dt.date(2022, 1, 1)) == (dt.date(2021, 1, 1), dt.date(2021, 4, 15))
    assert opens(window, dt.date(2021, 4, 16), dt.date(2022, 1, 1)) is None
