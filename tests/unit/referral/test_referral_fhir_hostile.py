"""Hostile FHIR: whatever stands where something else was expected is refused with its element, and nothing else
happens; no name goes where only an id may."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.refusal import Refused
from services.referral import directory, fhir, fhir_bundle
from services.referral.domain import commands
from services.referral.domain.referral import Referral

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HERE, THERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO"
PATIENT = "0b0e7a4e-5d0c-5f0e-9d43-6d6f4e1a7c11"
CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}
ARRIVED = Referral(
    patient=PATIENT,
    origin=HERE,
    destination=THERE,
    service="surgery",
    urgency="urgent",
    status="arrived",
    requested_at=NOW,
    changed_at=NOW,
)
REQUEST: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "identifier": [
        {
            "type": {"coding": [{"system": fhir.V2_0203, "code": "PLAC"}]},
            "system": "https://other.example",
            "value": "42",
        }
    ],
    "status": "active",
    "intent": "order",
    "priority": "stat",
    "performerType": {"coding": [{"system": "urn:hillhealth:service", "code": "surgery"}], "text": "surgery"},
    "subject": {"reference": f"Patient/{PATIENT}"},
    "requester": {"reference": f"Organization/{HERE}"},
    "performer": [{"reference": f"Organization/{THERE}", "identifier": {"value": CARDS[THERE].hip_id}}],
    "reasonCode": [{"text": "acute abdomen"}],
}
TASK = fhir.task("r1", ARRIVED, CARDS) | {
    "status": "completed",
    "statusReason": {"coding": [{"code": "no-bed"}], "text": "full"},
    "output": [{"valueCodeableConcept": {"coding": [{"code": "admitted"}], "text": "ward 3"}}],
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "identifier": {"system": "https://other.example", "value": "b-1"},
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": REQUEST, "request": {"method": "POST", "url": "ServiceRequest"}},
        {
            "fullUrl": "urn:uuid:2",
            "resource": TASK | {"status": "requested", "focus": {"reference": "urn:uuid:1"}},
            "request": {"method": "POST", "url": "Task"},
        },
    ],
}
JUNK: tuple[Any, ...] = (None, 5, -1e308, True, "", "x" * 10_000, [], [[]], [5], {}, {"reference": {}}, [{"code": []}])


def spoiled(whole: Any) -> Iterator[Any]:
    """The same with one part of it, at any depth, something else; and without it."""
    for path in _paths(whole):
        for junk in JUNK:
            yield _with(whole, path, junk)


def _paths(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, value in inside:
        yield (*path, name)
        yield from _paths(value, (*path, name))


def _with(whole: Any, path: tuple[Any, ...], junk: Any) -> Any:
    changed = copy.deepcopy(whole)
    part = changed
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = junk
    return changed


def test_a_spoiled_request_is_refused_with_its_element_or_is_one_of_ours() -> None:
    for resource in spoiled(REQUEST):
        fhir.placer_of(resource)
        with contextlib.suppress(Refused):
            asked = fhir.requested(resource, CARDS)
            assert (asked.patient, asked.to) == (PATIENT, THERE)


def test_a_spoiled_task_tells_a_move_of_ours_or_none() -> None:
    for resource in spoiled(TASK):
        for at_origin in (True, False):
            with contextlib.suppress(Refused):
                told = fhir.told(resource, ARRIVED, at_origin)
                assert told is None or isinstance(told, commands.Step)


def test_a_spoiled_bundle_is_taken_whole_or_not_at_all() -> None:
    for resource in spoiled(BUNDLE):
        fhir.placer_of(resource)
        with contextlib.suppress(fhir_bundle.NotTaken):
            taken = fhir_bundle.read(resource, CARDS)
            assert taken.asked


@pytest.mark.parametrize("subject", ["Tsering Dolma", "+915550123456", "9999-4105-7058", "x" * 65, "../admin", "1"])
def test_only_an_id_of_registration_is_a_patient(subject: str) -> None:
    with pytest.raises(Refused) as refused:
        fhir.requested(REQUEST | {"subject": {"reference": f"Patient/{subject}"}}, CARDS)
    assert refused.value.field == "subject"
    assert subject not in refused.value.detail
