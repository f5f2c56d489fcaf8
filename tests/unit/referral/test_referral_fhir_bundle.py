"""A Bundle from outside: what it asks and tells, and every entry and element that is wrong."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from hypothesis import given
from hypothesis import strategies as st

from services.referral import directory, fhir_bundle
from services.referral.fhir_bundle import NotTaken, Taken, read

CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}
HERE, THERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO"
PATIENT = "7d6c9a1e-4f0b-5c7e-9a57-0a4a6f1a2b3c"
OURS = "9d6c9a1e-4f0b-5c7e-9a57-0a4a6f1a2b3c"


def bundle() -> dict[str, Any]:
    """A transaction as another system would send it: everything refers to entries by their own numbers."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "identifier": {"system": "https://other.example", "value": "b-1"},
        "entry": [
            {
                "fullUrl": "urn:uuid:0f0c4a53-0000-4000-8000-000000000001",
                "resource": {
                    "resourceType": "Patient",
                    "identifier": [{"system": "urn:hillhealth:patient", "value": PATIENT}],
                },
                "request": {"method": "PUT", "url": f"Patient/{PATIENT}"},
            },
            {
                "fullUrl": "urn:uuid:0f0c4a53-0000-4000-8000-000000000002",
                "resource": {
                    "resourceType": "Organization",
                    "name": "Regional Hospital",
                    "identifier": [{"system": "https://facility.abdm.gov.in", "value": CARDS[THERE].hip_id}],
                },
                "request": {"method": "GET", "url": "Organization?identifier=1"},
            },
            {
                "fullUrl": "urn:uuid:0f0c4a53-0000-4000-8000-000000000003",
                "resource": {
                    "resourceType": "ServiceRequest",
                    "status": "active",
                    "intent": "order",
                    "priority": "stat",
                    "performerType": {"text": "surgery"},
                    "subject": {"reference": "urn:uuid:0f0c4a53-0000-4000-8000-000000000001"},
                    "performer": [{"reference": "urn:uuid:0f0c4a53-0000-4000-8000-000000000002"}],
                    "reasonCode": [{"text": "acute abdomen"}],
                },
                "request": {"method": "POST", "url": "ServiceRequest"},
            },
            {
                "fullUrl": "urn:uuid:0f0c4a53-0000-4000-8000-000000000004",
                "resource": {
                    "resourceType": "Task",
                    "status": "requested",
                    "intent": "order",
                    "focus": {"reference": "urn:uuid:0f0c4a53-0000-4000-8000-000000000003"},
                    "for": {"reference": f"Patient/{PATIENT}"},
                    "owner": {"reference": f"Organization/{THERE}"},
                },
                "request": {"method": "POST", "url": "Task"},
            },
        ],
    }


def wrong(body: Any) -> set[tuple[str, str]]:
    with pytest.raises(NotTaken) as refused:
        read(body, CARDS)
    found, status = fhir_bundle.outcome(refused.value.faults)
    assert status == 422
    OperationOutcome.model_validate(found)
    return {(issue["expression"][0], issue["details"]["coding"][0]["code"]) for issue in found["issue"]}


def test_a_whole_bundle_is_read_by_what_its_entries_mean() -> None:
    body = bundle()
    Bundle.model_validate(body)
    taken = read(body, CARDS)
    (asked,) = taken.asked
    request = asked.request
    assert (asked.entry, request.patient, request.to, request.urgency) == (2, PATIENT, THERE, "emergency")
    assert (taken.told, dict(taken.with_request), taken.aside) == (None, {3: 2}, (0, 1))
    answer = fhir_bundle.response(taken, {2: OURS}, 4)
    Bundle.model_validate(answer)
    assert [each["response"].get("location") for each in answer["entry"]] == [
        None,
        None,
        f"ServiceRequest/{OURS}",
        f"Task/{OURS}",
    ]


def test_a_collection_needs_no_requests_and_may_tell_of_a_referral_that_is_there() -> None:
    body = bundle() | {"type": "collection"}
    for entry in body["entry"]:
        del entry["request"]
    told = {"resourceType": "Task", "status": "cancelled", "focus": {"reference": f"ServiceRequest/{OURS}"}}
    body["entry"].append({"resource": told})
    taken = read(body, CARDS)
    assert taken.told is not None
    assert (taken.told.entry, taken.told.id, len(taken.asked)) == (4, OURS, 1)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ((), {"type": "batch"}, ("Bundle.type", "unknown-code")),
        ((), {"entry": []}, ("Bundle.entry", "out-of-range")),
        ((), {"entry": "all"}, ("Bundle.entry", "out-of-range")),
        ((), {"resourceType": "Patient"}, ("Bundle.resourceType", "not-a-bundle")),
        (
            (2, "resource"),
            {"subject": {"reference": "urn:uuid:nobody"}},
            ("Bundle.entry[2].resource.subject", "missing"),
        ),
        ((2, "resource"), {"subject": None}, ("Bundle.entry[2].resource.subject", "missing")),
        (
            (2, "resource"),
            {"subject": {"reference": f"Patient/{'x' * 65}"}},
            ("Bundle.entry[2].resource.subject", "malformed"),
        ),
        (
            (2, "resource"),
            {"performerType": {"coding": [{"system": "urn:hillhealth:service", "code": "Heart & Lung"}]}},
            ("Bundle.entry[2].resource.performerType", "malformed"),
        ),
        ((2, "resource"), {"performer": []}, ("Bundle.entry[2].resource.performer", "unknown-facility")),
        ((2, "resource"), {"priority": "soon"}, ("Bundle.entry[2].resource.priority", "unknown-code")),
        ((2, "resource"), {"reasonCode": "x"}, ("Bundle.entry[2].resource.reasonCode", "missing")),
        ((2, "resource"), {"status": "completed"}, ("Bundle.entry[2].resource.status", "not-an-order")),
        ((3, "resource"), {"status": "accepted"}, ("Bundle.entry[3].resource.status", "not-yet")),
        ((3, "resource"), {"for": {"reference": "Patient/other"}}, ("Bundle.entry[3].resource.for", "another-patient")),
        (
            (3, "resource"),
            {"owner": {"reference": f"Organization/{HERE}"}},
            ("Bundle.entry[3].resource.owner", "another-facility"),
        ),
        ((3, "resource"), {"focus": {}}, ("Bundle.entry[3].resource.focus", "missing")),
        ((3, "resource"), {"resourceType": "Observation"}, ("Bundle.entry[3].resource.resourceType", "not-taken")),
        ((3,), {"resource": None}, ("Bundle.entry[3].resource.resourceType", "not-taken")),
        ((2, "request"), {"method": "DELETE"}, ("Bundle.entry[2].request.method", "unknown-code")),
        ((2, "request"), {"url": "Patient"}, ("Bundle.entry[2].request.url", "not-of-this-kind")),
        (
            (3,),
            {"fullUrl": "urn:uuid:0f0c4a53-0000-4000-8000-000000000003"},
            ("Bundle.entry[3].fullUrl", "twice"),
        ),
    ],
)
def test_what_is_wrong_is_named_by_entry_and_element(
    path: tuple[Any, ...], value: dict[str, Any], expected: tuple[str, str]
) -> None:
    body = bundle()
    place: Any = body
    for step in ("entry", *path) if path else ():
        place = place[step]
    place.update(value)
    assert expected in wrong(body)


def test_all_that_is_wrong_is_said_at_once_and_only_one_referral_of_ours_is_told_of() -> None:
    body = bundle()
    body["entry"][2]["resource"] |= {"priority": "soon"}
    body["entry"][3]["resource"] |= {"status": "completed"}
    for id in (OURS, PATIENT):
        told = {"resourceType": "Task", "status": "accepted", "focus": {"reference": f"ServiceRequest/{id}"}}
        body["entry"].append({"resource": told, "request": {"method": "PUT", "url": f"Task/{id}"}})
    assert wrong(body) == {
        ("Bundle.entry[2].resource.priority", "unknown-code"),
        ("Bundle.entry[3].resource.status", "not-yet"),
        ("Bundle.entry[5].resource.focus", "one-at-a-time"),
    }


nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)


@given(
    st.integers(0, 3), st.sampled_from(["resource", "request", "fullUrl"]), st.sampled_from(["", "a", "b"]), nonsense
)
def test_nonsense_is_refused_or_read_and_never_more(number: int, part: str, deeper: str, value: Any) -> None:
    body = copy.deepcopy(bundle())
    entry = body["entry"][number]
    if deeper and isinstance(entry[part], dict):
        names = sorted(entry[part])
        entry[part][names[0 if deeper == "a" else -1]] = value
    else:
        entry[part] = value
    with contextlib.suppress(NotTaken):
        assert isinstance(read(body, CARDS), Taken)
