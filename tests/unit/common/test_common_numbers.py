"""A flag is no number, nor is a text, wherever a number is asked for in JSON."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from libs.common.numbers import Real, Whole
from services.referral.api_moves import OutsideBody
from services.referral.beds_api import SlotsBody
from services.referral.country_api import CardBody, CloseBody
from services.referral.domain.dataset import Findings
from services.referral.domain.medicines import Medicine
from services.referral.way_api import PositionBody
from services.registration.api import SearchPatients


@pytest.mark.parametrize("kind", [Whole, Real])
def test_only_a_number_is_one(kind: Any) -> None:
    number: TypeAdapter[Any] = TypeAdapter(kind)
    assert number.validate_python(5) == number.validate_json("5") == 5
    for other in ("true", "false", '"5"', "null", "[5]"):
        with pytest.raises(ValidationError):
            number.validate_json(other)


def test_a_whole_number_may_be_written_with_a_point_and_nothing_behind_it() -> None:
    number: TypeAdapter[int] = TypeAdapter(Whole)
    found = number.validate_json("5.0")
    assert (found, type(found)) == (5, int)
    assert number.validate_python(-5.0) == -5
    assert number.json_schema() == {"type": "integer"}
    for other in (5.5, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            number.validate_python(other)
    assert Findings.model_validate_json('{"pulse_per_minute": 80.0}').pulse_per_minute == 80
    with pytest.raises(ValidationError):
        Findings.model_validate_json('{"pulse_per_minute": 1e30}')


@pytest.mark.parametrize(
    ("body", "said", "where"),
    [
        (Findings, '{"pulse_per_minute": true}', ("pulse_per_minute",)),
        (Findings, '{"weight_kg": true}', ("weight_kg",)),
        (Findings, '{"weight_kg": "61.5"}', ("weight_kg",)),
        (SearchPatients, '{"phone": "5550123456", "limit": "20"}', ("limit",)),
        (Medicine, '{"name": "iron", "dose": "1", "days": true}', ("days",)),
        (PositionBody, '{"latitude": true, "longitude": 77.5}', ("latitude",)),
        (CardBody, '{"beds_by_kind": {"icu": true}}', ("beds_by_kind", "icu")),
        (CloseBody, '{"reason": "snow", "slower": true}', ("slower",)),
        (SlotsBody, '{"clinic": "surgery", "at": "2026-11-20T04:00:00Z", "places": true}', ("places",)),
        (OutsideBody, '{"state_lgd": true, "kind": "other", "name": "PGI"}', ("state_lgd",)),
    ],
)
def test_what_is_no_number_is_refused_by_its_field(body: Any, said: str, where: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        body.model_validate_json(said)
    assert refused.value.errors()[0]["loc"] == where
