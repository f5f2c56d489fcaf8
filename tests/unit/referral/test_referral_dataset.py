"""The minimum dataset: what is missing is named, what does not fit is warned of, and nothing is refused for it."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import ValidationError

from libs.contracts.referral import FacilityCard
from libs.contracts.registration import PatientCard
from services.referral.domain import dataset
from services.referral.domain.dataset import EXPECTED, Findings, completeness, expected, mismatches, missing

TODAY = dt.date(2026, 11, 20)
URGENCIES = ("routine", "urgent", "emergency")


def facility(code: str, *services: str) -> FacilityCard:
    return FacilityCard(
        code=code,
        hip_id="IN9900000001",
        name=code,
        level="CHC",
        state_lgd=2,
        district_lgd=19,
        latitude=31.0,
        longitude=78.0,
        altitude_m=2000,
        beds=30,
        services=services,
    )


def person(**known: object) -> PatientCard:
    return PatientCard.model_validate({"id": "p", "registered_at": "HP-KNR-CHC-POOH", **known})


ORIGIN, DESTINATION = facility("HP-A", "general-medicine"), facility("HP-B", "surgery", "obstetrics", "paediatrics")


def codes(service: str, reason: str = "unwell", **known: object) -> list[str]:
    places = {"origin": ORIGIN, "destination": DESTINATION, "patient": None, **known}
    found = mismatches(service, reason, today=TODAY, **places)  # type: ignore[arg-type]
    return [warning.code for warning in found]


def test_every_row_of_the_table_names_a_finding() -> None:
    assert {row.field for row in EXPECTED} <= set(Findings.model_fields)


@pytest.mark.parametrize("urgency", URGENCIES)
@pytest.mark.parametrize("service", ["general-medicine", "obstetrics", "blood-bank", "a-new-service"])
def test_what_is_missing_is_exactly_what_is_expected_and_not_given(service: str, urgency: str) -> None:
    wanted = expected(service, urgency)
    assert [w.field for w in missing(service, urgency, None)] == [f"findings.{field}" for field in wanted]
    assert completeness(service, urgency, None) == 0
    everything = Findings(
        pulse_per_minute=80,
        systolic_mmhg=110,
        diastolic_mmhg=70,
        breaths_per_minute=16,
        temperature_celsius=37.1,
        oxygen_saturation_percent=94,
        consciousness="alert",
        weight_kg=52.5,
        gestation_weeks=34,
        haemoglobin_g_per_dl=9.5,
        creatinine_mg_per_dl=1.1,
        blood_group="B+",
        treatment_given="fluids",
    )
    assert list(missing(service, urgency, everything)) == []
    assert completeness(service, urgency, everything) == 100


def test_an_emergency_asks_for_vitals_and_obstetrics_for_gestation() -> None:
    assert "consciousness" in expected("general-medicine", "emergency")
    assert "consciousness" not in expected("general-medicine", "routine")
    assert "gestation_weeks" in expected("obstetrics", "routine")


def test_a_blank_is_not_given_and_half_is_half() -> None:
    assert completeness("general-medicine", "routine", Findings(treatment_given="  ")) == 0
    given = Findings(haemoglobin_g_per_dl=4.2)
    assert expected("blood-bank", "routine") == ("treatment_given", "haemoglobin_g_per_dl", "blood_group")
    assert completeness("blood-bank", "routine", given) == 33


@pytest.mark.parametrize(
    "nonsense", [{"pulse_per_minute": -1}, {"temperature_celsius": 98.6}, {"consciousness": "sleepy"}, {"weight_kg": 0}]
)
def test_a_number_in_another_unit_or_out_of_range_is_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Findings.model_validate(nonsense)


def test_places_that_do_not_fit_are_warned_of() -> None:
    assert codes("surgery") == []
    assert codes("cardiology") == ["not-listed"]
    assert codes("general-medicine") == ["not-listed", "listed-at-origin"]
    assert codes("cardiology", destination=None, origin=None) == []


def test_persons_that_do_not_fit_are_warned_of_and_unknown_ones_are_not() -> None:
    assert codes("obstetrics", patient=person(sex="male")) == ["person"]
    assert codes("obstetrics", patient=person(sex="female")) == []
    assert codes("paediatrics", patient=person(birth_year=1980)) == ["person"]
    assert codes("paediatrics", patient=person(birth_date="2008-11-20")) == ["person"]
    assert codes("paediatrics", patient=person(birth_date="2008-11-21")) == []
    assert codes("paediatrics", patient=person()) == []
    assert codes("obstetrics", patient=person(sex="male", birth_year=2020)) == ["person", "person"]
    assert codes("obstetrics", patient=person(sex="female", birth_year=1950)) == ["person"]
    listed = facility("HP-B", "geriatrics", "general-medicine")
    assert codes("geriatrics", patient=person(birth_year=2018), destination=listed) == ["person"]
    assert codes("geriatrics", patient=person(birth_year=1950), destination=listed) == []
    pregnant = Findings(gestation_weeks=30)
    assert codes("surgery", patient=person(sex="male"), findings=pregnant) == ["person"]
    assert codes("surgery", patient=person(sex="female", birth_year=2000), findings=pregnant) == []


def test_a_reason_that_speaks_for_another_service_is_warned_of() -> None:
    assert codes("paediatrics", "fracture of femur after fall") == ["other-service"]
    assert codes("surgery", "fracture of femur after fall") == []
    assert codes("obstetrics", "antepartum haemorrhage") == []
    assert codes("surgery", "patient with revisions") == []


def test_every_word_belongs_to_a_service_and_siblings_are_services() -> None:
    named = {row.service for row in EXPECTED if row.service} | set(dataset.WORDS)
    for together in dataset.SIBLINGS:
        assert together & named
