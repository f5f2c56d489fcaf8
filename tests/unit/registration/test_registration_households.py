"""Households and benefit units: who belongs from day to day, how many fit, and that they are different sets."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.registration import Member, UnitKind
from services.registration.domain import benefit_unit, family, household
from services.registration.domain.benefit_unit import BenefitUnit, JoinUnit, limits, packs
from services.registration.domain.household import Household
from services.registration.domain.membership import Join, Leave
from services.registration.rulebook import read_rulebook

TODAY = dt.date(2026, 11, 20)
RULES = read_rulebook()


def people(count: int, born: int | None = 1980) -> tuple[tuple[Member, ...], dict[str, family.Member]]:
    members = tuple(Member(patient=f"p{n}", relation="member", since=TODAY) for n in range(count))
    return members, {member.patient: family.Member(member.patient, birth_year=born) for member in members}


def unit(kind: UnitKind, count: int, born: int | None = 1980) -> BenefitUnit:
    members, known = people(count, born)
    command = benefit_unit.Form(
        kind, "HP-LSP-SDH-KAZA", None, "", members, known, limits(RULES.schemes, kind, TODAY), TODAY
    )
    [event] = benefit_unit.decide(None, command)
    return benefit_unit.evolve(None, event)


def join(state: BenefitUnit, patient: str, born: int | None = 1980) -> BenefitUnit:
    step = JoinUnit(
        Join(patient, "member", TODAY, TODAY),
        family.Member(patient, birth_year=born),
        limits(RULES.schemes, state.kind, TODAY),
    )
    for event in benefit_unit.decide(state, step):
        state = benefit_unit.evolve(state, event)
    return state


def test_a_himcare_unit_takes_five_and_a_pm_jay_family_any_number() -> None:
    four = unit("himcare-unit", 4)
    full = join(four, "fifth")
    assert len(full.current) == 5
    with pytest.raises(Refused) as refused:
        join(full, "sixth")
    assert (refused.value.code, refused.value.field) == ("unit-full", None)
    assert len(join(unit("pm-jay-family", 30), "another").current) == 31


@given(st.integers(1, 60))
def test_the_sixth_of_a_family_and_those_after_form_further_units(count: int) -> None:
    members, _ = people(count)
    formed = packs(members, limits(RULES.schemes, "himcare-unit", TODAY))
    assert tuple(member for pack in formed for member in pack) == members
    assert [len(pack) for pack in formed[:-1]] == [5] * (len(formed) - 1)
    assert 1 <= len(formed[-1]) <= 5
    assert packs(members, limits(RULES.schemes, "pm-jay-family", TODAY)) == [members]


def test_the_vay_vandana_group_is_of_those_of_seventy() -> None:
    assert len(unit("vay-vandana-group", 2, born=1950).current) == 2
    with pytest.raises(Refused) as young:
        unit("vay-vandana-group", 1, born=1960)
    assert (young.value.code, young.value.field) == ("not-of-this-unit", "members.0.patient")
    with pytest.raises(Refused) as unknown:
        unit("vay-vandana-group", 1, born=None)
    assert unknown.value.code == "age-not-known"
    with pytest.raises(Refused) as joining:
        join(unit("vay-vandana-group", 1, born=1950), "grandchild", born=2010)
    assert joining.value.field == "patient"


def test_one_person_is_in_one_unit_of_a_kind_and_in_several_kinds() -> None:
    claims = [benefit_unit.claims(unit(kind, 2, born=1950)) for kind in ("himcare-unit", "vay-vandana-group")]
    assert claims == [
        ["member:himcare-unit:p0", "member:himcare-unit:p1"],
        ["member:vay-vandana-group:p0", "member:vay-vandana-group:p1"],
    ]


def formed(*patients: str) -> Household:
    members = tuple(Member(patient=patient, since=dt.date(2026, 1, 1)) for patient in patients)
    [event] = household.decide(None, household.Form("HP-LSP-SDH-KAZA", 2, members, TODAY))
    return household.evolve(None, event)


def told(state: Household, command: household.Command) -> Household:
    for event in household.decide(state, command):
        state = household.evolve(state, event)
    return state


def test_who_lived_together_on_a_day_stays_as_it_was() -> None:
    state = formed("p1", "p2")
    state = told(state, Leave("p2", dt.date(2026, 3, 31), "married", TODAY))
    state = told(state, Join("p3", "child", dt.date(2026, 4, 1), TODAY))

    def there(day: str) -> list[str]:
        return [each.patient for each in state.members if each.holds(dt.date.fromisoformat(day))]

    assert there("2025-12-31") == []
    assert there("2026-03-31") == ["p1", "p2"]
    assert there("2026-04-01") == ["p1", "p3"]
    assert household.claims(state) == ["member:p1", "member:p3"]
    # Somebody who left may come back, though not for days they were there already.
    with pytest.raises(Refused) as early:
        told(state, Join("p2", "member", dt.date(2026, 3, 1), TODAY))
    assert early.value.field == "since"
    assert told(state, Join("p2", "member", dt.date(2026, 10, 1), TODAY)).current == ("p1", "p3", "p2")


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Join("p1", "member", TODAY, TODAY), "patient"),
        (Join("p9", "member", TODAY + dt.timedelta(days=1), TODAY), "since"),
        (Leave("p9", TODAY, "other", TODAY), "patient"),
        (Leave("p1", TODAY + dt.timedelta(days=1), "other", TODAY), "until"),
        (Leave("p1", dt.date(2025, 12, 31), "other", TODAY), "until"),
        (household.GiveLeave("himcare", "principal", "whim", TODAY, ("severe-disease",)), "reason"),
        (household.GiveLeave("sehat", "principal", "severe-disease", TODAY, ()), "scheme"),
        (household.Describe(household.Description(members={"p9": household.Described()})), "members"),
    ],
)
def test_wrong_input_names_the_field_and_changes_nothing(command: household.Command, field: str) -> None:
    with pytest.raises(Refused) as refused:
        household.decide(formed("p1"), command)
    assert refused.value.field == field


def test_with_somebody_erased_what_was_said_of_the_family_goes() -> None:
    said = household.Description(pm_jay=True, members={"p1": household.Described(disability_percent=60)})
    state = told(formed("p1", "p2"), household.Describe(said))
    assert state.description == said
    after = household.evolve(state, household.HouseholdForgotten())
    assert (after.description, after.current) == (household.Description(), ("p1", "p2"))
    # The journal's entry is redacted to what it has by default, and is folded again.
    assert household.evolve(state, household.FamilyDescribed()).description == household.Description()


def test_an_officers_leave_is_good_for_thirty_days() -> None:
    leave = household.GiveLeave("himcare", "principal", "severe-disease", TODAY, ("severe-disease",))
    [given_leave] = told(formed("p1"), leave).leaves
    days = [given_leave.holds(TODAY + dt.timedelta(days=days)) for days in (-1, 0, 30, 31)]
    assert days == [False, True, True, False]


HERE_ON = dt.date(2026, 7, 15)


def refused(on: dt.date = HERE_ON, scheme: str = "himcare", entitled: bool = False) -> household.Refuse:
    return household.Refuse(scheme, "HP-LSP-CHC-KAZA", "outside-window", on, entitled)


def test_a_refusal_is_published_without_a_name_and_reversed_once() -> None:
    state = told(formed("p1"), refused(entitled=True))
    [event] = household.decide(formed("p1"), refused(entitled=True))
    assert set(type(event).model_fields) == {"facility", "scheme", "reason", "refused_on", "entitled"}
    with pytest.raises(Refused) as again:
        household.decide(state, refused())
    assert again.value.code == "refused-already"
    [reversal] = household.decide(state, household.Reverse("himcare", "papers-were-there"))
    assert (reversal.model_dump(mode="json")["refused_on"], type(reversal).__name__) == (
        "2026-07-15",
        "EnrolmentRefusalReversed",
    )
    state = household.evolve(state, reversal)
    for scheme in ("himcare", "sehat"):
        with pytest.raises(Refused) as nothing:
            household.decide(state, household.Reverse(scheme, "papers-were-there"))
        assert (nothing.value.code, nothing.value.field) == ("nothing-refused", "scheme")


def test_an_officers_leave_reverses_what_a_desk_refused_of_that_scheme() -> None:
    leave = household.GiveLeave("himcare", "principal", "severe-disease", TODAY, ("severe-disease",))
    assert [type(each).__name__ for each in household.decide(formed("p1"), leave)] == ["LeaveGiven"]
    other = told(formed("p1"), refused(scheme="sehat"))
    assert [type(each).__name__ for each in household.decide(other, leave)] == ["LeaveGiven"]
    state = told(told(formed("p1"), refused()), refused(on=HERE_ON + dt.timedelta(days=1)))
    events = household.decide(state, leave)
    assert [type(each).__name__ for each in events] == ["LeaveGiven", "EnrolmentRefusalReversed"]
    assert events[1].model_dump(mode="json")["refused_on"] == "2026-07-16", "one decision, about the last refusal"
    assert all(each.reversed for each in told(state, leave).refusals)
