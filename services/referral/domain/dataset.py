"""The minimum dataset: what a specialist needs to know before the patient travels, and what does not fit together.

What is missing is said before and after sending, and never stops a referral (facts: in none of 643 paper referrals was
every field filled). The tables are data.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.common.numbers import Real, Whole
from libs.contracts.referral import FacilityCard, Urgency
from libs.contracts.registration import PatientCard

ADULT_FROM_YEARS = 18


class Findings(BaseModel):
    """What was found, each as a number in the unit of its name. Every field may be absent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pulse_per_minute: Annotated[Whole, Field(ge=0, le=300)] | None = None
    systolic_mmhg: Annotated[Whole, Field(ge=0, le=350)] | None = None
    diastolic_mmhg: Annotated[Whole, Field(ge=0, le=250)] | None = None
    breaths_per_minute: Annotated[Whole, Field(ge=0, le=120)] | None = None
    temperature_celsius: Annotated[Real, Field(ge=20, le=45)] | None = None
    oxygen_saturation_percent: Annotated[Whole, Field(ge=0, le=100)] | None = None
    consciousness: Literal["alert", "voice", "pain", "unresponsive"] | None = None
    weight_kg: Annotated[Real, Field(gt=0, le=400)] | None = None
    gestation_weeks: Annotated[Whole, Field(ge=1, le=45)] | None = None
    haemoglobin_g_per_dl: Annotated[Real, Field(gt=0, le=30)] | None = None
    creatinine_mg_per_dl: Annotated[Real, Field(gt=0, le=50)] | None = None
    blood_group: Literal["A+", "A-", "B+", "B-", "AB+", "AB-", "O+", "O-"] | None = None
    treatment_given: Annotated[str, Field(max_length=500)] | None = None


@dataclass(frozen=True)
class Expected:
    """For this service and urgency (None: any) the `field` of Findings is expected."""

    service: str | None
    urgency: Urgency | None
    field: str


EXPECTED: tuple[Expected, ...] = (
    Expected(None, None, "treatment_given"),
    Expected(None, "urgent", "pulse_per_minute"),
    Expected(None, "urgent", "systolic_mmhg"),
    Expected(None, "emergency", "pulse_per_minute"),
    Expected(None, "emergency", "systolic_mmhg"),
    Expected(None, "emergency", "diastolic_mmhg"),
    Expected(None, "emergency", "breaths_per_minute"),
    Expected(None, "emergency", "oxygen_saturation_percent"),
    Expected(None, "emergency", "consciousness"),
    Expected("obstetrics", None, "gestation_weeks"),
    Expected("obstetrics", None, "systolic_mmhg"),
    Expected("obstetrics", None, "haemoglobin_g_per_dl"),
    Expected("obstetrics", "emergency", "blood_group"),
    Expected("paediatrics", None, "weight_kg"),
    Expected("paediatrics", None, "temperature_celsius"),
    Expected("blood-bank", None, "haemoglobin_g_per_dl"),
    Expected("blood-bank", None, "blood_group"),
    Expected("dialysis", None, "creatinine_mg_per_dl"),
    Expected("nephrology", None, "creatinine_mg_per_dl"),
    Expected("surgery", "emergency", "temperature_celsius"),
)

WORDS: dict[str, tuple[str, ...]] = {
    "orthopaedics": ("fracture", "dislocation"),
    "obstetrics": ("pregnan", "labour", "eclampsia", "antepartum", "postpartum"),
    "dialysis": ("creatinine", "uraemi", "dialysis"),
    "psychiatry": ("suicid", "depression", "psychosis"),
    "ophthalmology": ("cataract", "glaucoma", "vision"),
    "dental": ("tooth", "dental"),
}
"""Beginnings of words in a reason that speak for a service."""


@dataclass(frozen=True)
class For:
    """Whom a service is for: not for any of `not_sex` (as registration codes it), from and to an age in completed
    years."""

    not_sex: tuple[str, ...] = ()
    from_years: int = 0
    to_years: int = 150


PERSONS: dict[str, For] = {
    "obstetrics": For(not_sex=("male",), from_years=9, to_years=60),
    "gynaecology": For(not_sex=("male",)),
    "andrology": For(not_sex=("female",)),
    "paediatrics": For(to_years=ADULT_FROM_YEARS - 1),
    "paediatric-surgery": For(to_years=ADULT_FROM_YEARS - 1),
    "neonatology": For(to_years=0),
    "geriatrics": For(from_years=60),
}
"""By service; any other is for everybody."""

SIBLINGS: tuple[frozenset[str], ...] = (
    frozenset({"dialysis", "nephrology"}),
    frozenset({"orthopaedics", "surgery", "emergency"}),
    frozenset({"obstetrics", "surgery", "emergency", "blood-bank"}),
)
"""Services that may each be right for the same reason."""


class Notice(BaseModel):
    """Stable `code`; `field` names the part of the request it is about; `detail` is for people."""

    model_config = ConfigDict(frozen=True)

    code: str
    field: str
    detail: str


def expected(service: str, urgency: str) -> tuple[str, ...]:
    """The fields of Findings that a referral of this service and urgency should fill, in the order of the table."""
    fields = (row.field for row in EXPECTED if row.service in (None, service) and row.urgency in (None, urgency))
    return tuple(dict.fromkeys(fields))


def together(before: Findings | None, now: Findings | None) -> Findings | None:
    """What was found before, with what is known better now."""
    if before is None or now is None:
        return now or before
    return before.model_copy(update=now.model_dump(exclude_none=True))


def completeness(service: str, urgency: str, findings: Findings | None) -> int:
    """How much of what is expected was given, in percent, rounded down."""
    wanted = expected(service, urgency)
    given = [field for field in wanted if _given(findings, field)]
    return 100 * len(given) // len(wanted)


def missing(service: str, urgency: str, findings: Findings | None) -> Iterator[Notice]:
    for field in expected(service, urgency):
        if not _given(findings, field):
            yield Notice(code="missing", field=f"findings.{field}", detail=f"{field.replace('_', ' ')} is expected")


def mismatches(
    service: str,
    reason: str,
    *,
    patient: PatientCard | None,
    origin: FacilityCard | None,
    destination: FacilityCard | None,
    today: dt.date,
    findings: Findings | None = None,
) -> Iterator[Notice]:
    """What of reason, person, service and place does not fit together. What is not known is not held against it."""
    if destination is not None and service not in destination.services:
        yield Notice(code="not-listed", field="to", detail=f"{destination.code} does not list {service}")
    if origin is not None and service in origin.services:
        yield Notice(code="listed-at-origin", field="service", detail=f"{origin.code} lists {service} itself")
    yield from _other_service(service, reason)
    if patient is not None:
        yield from _person(service, patient, today)
        pregnant = findings is not None and findings.gestation_weeks is not None
        if pregnant and any(_person("obstetrics", patient, today)):
            yield Notice(code="person", field="findings.gestation_weeks", detail="does not fit with sex or age")


def _other_service(service: str, reason: str) -> Iterator[Notice]:
    text = reason.lower()
    spoken_for = [other for other, words in WORDS.items() if any(re.search(rf"\b{word}", text) for word in words)]
    if not spoken_for or service in spoken_for:
        return
    for other in spoken_for:
        if not any({service, other} <= together for together in SIBLINGS):
            yield Notice(code="other-service", field="service", detail=f"the reason speaks for {other}")


def _person(service: str, patient: PatientCard, today: dt.date) -> Iterator[Notice]:
    meant = PERSONS.get(service, For())
    years = age(patient, today)
    if patient.sex in meant.not_sex:
        yield Notice(code="person", field="service", detail=f"{service} for a {_SEXES.get(patient.sex, patient.sex)}")
    if years is not None and not meant.from_years <= years <= meant.to_years:
        yield Notice(code="person", field="service", detail=f"{service} at an age of {years}")


_SEXES = {"male": "man", "female": "woman"}


def age(patient: PatientCard, today: dt.date) -> int | None:
    """Completed years; by the year alone where no date of birth is known."""
    if patient.birth_date is not None:
        born = patient.birth_date
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return today.year - patient.birth_year if patient.birth_year is not None else None


def _given(findings: Findings | None, field: str) -> bool:
    value = getattr(findings, field, None)
    return value is not None and str(value).strip() != ""
