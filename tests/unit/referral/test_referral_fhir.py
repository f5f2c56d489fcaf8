"""Referrals as FHIR R4: what is written is valid by fhir.resources, what is read obeys the same rules."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fastapi import APIRouter, Request
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task

from libs.common.access import Access, Caller
from libs.common.fhir import operation_outcome
from libs.common.refusal import Refused
from libs.contracts.registration import PatientCard
from services.referral import directory, fhir, fhir_api, store
from services.referral.domain import commands, moves
from services.referral.domain.medicines import Medicine
from services.referral.domain.referral import Referral
from services.referral.patients import NotYetKnown

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
ID = "5f5f1c54-0f0c-5c6e-8f43-6d6f4e1a7c11"
HERE, THERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO"
PATIENT = "0b0e7a4e-5d0c-5f0e-9d43-6d6f4e1a7c11"
CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}
DOLMA = PatientCard(id=PATIENT, name="Tsering Dolma", sex="female", birth_year=1980, registered_at=HERE)


def referral(status: moves.Status = "accepted", **more: object) -> Referral:
    known: dict[str, object] = {
        "patient": PATIENT,
        "origin": HERE,
        "destination": THERE,
        "service": "surgery",
        "urgency": "emergency",
        "reason": "acute abdomen",
        "requested_at": NOW,
        "changed_at": NOW,
        "status": status,
    }
    return Referral.model_validate(known | more)


@pytest.mark.parametrize("status", sorted(moves.STANDINGS))
def test_every_status_is_a_valid_request_and_task(status: moves.Status) -> None:
    state = referral(status, declined_for="no-bed", previous=ID, outcome="admitted")
    request = ServiceRequest.model_validate(fhir.service_request(ID, state, CARDS, clinical=True))
    assert request.subject.reference == f"Patient/{PATIENT}"
    assert request.requester.identifier.value == CARDS[HERE].hip_id
    assert request.code.coding[0].system == "http://snomed.info/sct"
    task = Task.model_validate(fhir.task(ID, state, CARDS))
    assert task.status in {
        *("draft", "requested", "accepted", "rejected", "in-progress", "on-hold"),
        *("cancelled", "failed", "completed", "entered-in-error"),
    }
    assert (task.intent, task.focus.reference) == ("order", f"ServiceRequest/{ID}")
    assert {each.type.coding[0].code for each in task.identifier} == {"PLAC", "FILL"}
    bser = moves.STANDINGS[status].bser
    assert [each.code for each in task.businessStatus.coding] == [*([bser] if bser else []), status]
    assert bool(task.output) is (status in fhir.HAS_OUTCOME)


def test_the_reason_is_for_doctors() -> None:
    assert "reasonCode" not in fhir.service_request(ID, referral(), CARDS, clinical=False)
    assert fhir.service_request(ID, referral(), CARDS, clinical=True)["reasonCode"] == [{"text": "acute abdomen"}]


@pytest.mark.parametrize("patient", [DOLMA, NotYetKnown()])
def test_the_outcome_is_a_valid_document(patient: Any) -> None:
    state = referral(
        "back-referred",
        outcome="treated-and-discharged",
        summary="appendix <out>",
        advice="stitches & rest",
        medicines=(Medicine(name="Paracetamol 500 mg", dose="1 tablet", days=5), Medicine(name="Iron", dose="1 daily")),
        milestones={"PatientBackReferred": NOW},
    )
    bundle = Bundle.model_validate(fhir.outcome_bundle(ID, state, patient, CARDS))
    assert (bundle.type, bundle.entry[0].resource.get_resource_type()) == ("document", "Composition")
    composition = bundle.entry[0].resource
    assert [section.title for section in composition.section] == [
        "Outcome",
        "Summary",
        "Advice",
        "Medicines to be taken on",
    ]
    kinds = [entry.resource.get_resource_type() for entry in bundle.entry]
    assert kinds.count("MedicationRequest") == 2
    assert {"Patient", "Organization", "ServiceRequest"} <= set(kinds)
    assert "&lt;out&gt;" in composition.section[1].text.div


def test_a_search_set_and_a_refusal_are_valid() -> None:
    found = [fhir.task(ID, referral(), CARDS)]
    bundle = Bundle.model_validate(fhir.search_set(found, "fhir/Task?_count=1", "fhir/Task?_cursor=x"))
    assert [link.relation for link in bundle.link] == ["self", "next"]
    outcome = OperationOutcome.model_validate(operation_outcome("illegal-move", "no", None, ("accept",)))
    assert "accept" in outcome.issue[0].diagnostics
    OperationOutcome.model_validate(operation_outcome("missing", "must say why", "reasonCode"))


def from_outside(**more: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": "https://other.example", "value": "42"}],
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "code": {"coding": [fhir.REFERRAL_CODE]},
        "performerType": {"text": "General medicine"},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "requester": {"reference": "Organization/x"},
        "performer": [{"identifier": {"value": CARDS[THERE].hip_id}}],
        "reasonCode": [{"text": "acute abdomen"}],
    } | more
    ServiceRequest.model_validate({name: value for name, value in resource.items() if value is not None})
    return resource


def test_a_request_from_outside_is_one_of_ours() -> None:
    asked = fhir.requested(from_outside(), CARDS)
    assert asked == commands.Request(PATIENT, THERE, "general-medicine", "emergency", "acute abdomen")
    ours = fhir.service_request(ID, referral(), CARDS, clinical=True)
    again = fhir.requested(ours, CARDS)
    assert again == commands.Request(PATIENT, THERE, "surgery", "emergency", "acute abdomen")
    assert fhir.placer_of(from_outside()) == "https://other.example|42"
    assert fhir.placer_of(fhir.task(ID, referral(), CARDS)) == f"urn:hillhealth:{HERE}|{ID}"


@pytest.mark.parametrize(
    ("more", "element"),
    [
        ({"intent": "plan"}, "status"),
        ({"status": "revoked"}, "status"),
        ({"status": "draft"}, "status"),
        ({"doNotPerform": True}, "doNotPerform"),
        ({"implicitRules": "https://other.example/rules"}, "implicitRules"),
        ({"modifierExtension": [{"url": "https://other.example/x", "valueBoolean": True}]}, "modifierExtension"),
        ({"requester": {"reference": f"Organization/{THERE}"}}, "requester"),
        ({"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]}, "subject"),
        ({"subject": {"reference": "Group/1"}}, "subject"),
        ({"performer": [{"reference": "Organization/NOBODY"}]}, "performer"),
        ({"performer": None}, "performer"),
        ({"performerType": None}, "performerType"),
        ({"reasonCode": None}, "reasonCode"),
    ],
)
def test_a_request_that_lacks_something_is_refused_with_the_element(more: dict[str, Any], element: str) -> None:
    with pytest.raises(Refused) as refused:
        fhir.requested(from_outside(**more), CARDS, HERE)
    assert refused.value.field == element


def test_who_and_where_may_stand_within_the_request() -> None:
    known = [{"system": "urn:hillhealth:patient", "value": PATIENT}]
    there = [{"system": fhir.FACILITY_ID, "value": CARDS[THERE].hip_id}]
    contained = [
        {"resourceType": "Patient", "id": "p", "identifier": known},
        {"resourceType": "Organization", "id": "o", "identifier": there, "name": "a hospital"},
    ]
    asked = from_outside(contained=contained, subject={"reference": "#p"}, performer=[{"reference": "#o"}])
    assert fhir.requested(asked, CARDS, HERE).patient == PATIENT
    assert fhir.requested(asked, CARDS, HERE).to == THERE


@pytest.mark.parametrize(
    ("more", "element"),
    [
        ({"id": "another"}, "id"),
        ({"focus": {"reference": "ServiceRequest/another"}}, "focus"),
        ({"for": {"reference": "Patient/another"}}, "for"),
        ({"owner": {"reference": f"Organization/{HERE}"}}, "owner"),
    ],
)
def test_a_task_about_another_referral_patient_or_facility_is_refused(more: dict[str, Any], element: str) -> None:
    task, before = fhir.task(ID, referral(), CARDS), "11111111-0f0c-5c6e-8f43-6d6f4e1a7c11"
    with pytest.raises(Refused) as refused:
        fhir.check_about(task | more, ID, referral(), (PATIENT,), CARDS, own_id=True)
    assert refused.value.field == element
    merged = task | {"for": {"reference": f"Patient/{before}"}}
    fhir.check_about(merged, ID, referral(), (PATIENT, before), CARDS, own_id=True)
    fhir.check_about({"resourceType": "Task", "id": "42"}, ID, referral(), (PATIENT,), CARDS, own_id=False)


def task_of(status: str, **more: Any) -> dict[str, Any]:
    resource = fhir.task(ID, referral(), CARDS) | {"status": status} | more
    Task.model_validate(resource)
    return resource


def test_a_task_from_outside_tells_a_move() -> None:
    asked, here = referral("requested"), referral("accepted")
    assert fhir.told(task_of("accepted"), asked, False) == commands.Accept()
    why = {"coding": [{"code": "no-bed"}], "text": "full"}
    assert fhir.told(task_of("rejected", statusReason=why), asked, False) == commands.Decline("no-bed")
    assert fhir.told(task_of("rejected"), asked, False) == commands.Decline("other")
    assert fhir.told(task_of("cancelled"), here, True) == commands.Cancel("other")
    assert fhir.told(task_of("cancelled"), referral("cancel-requested"), False) == commands.ConfirmCancel()
    assert fhir.told(task_of("in-progress"), here, False) == commands.Arrive()
    assert fhir.told(task_of("in-progress"), referral("arrived"), False) is None
    assert fhir.told(task_of("accepted"), here, False) is None
    coded = {"type": {"text": "outcome"}, "valueCodeableConcept": {"coding": [{"code": "admitted"}], "text": "ward 3"}}
    done = fhir.told(task_of("completed", output=[coded]), referral("arrived"), False)
    assert done == commands.RecordOutcome("admitted", "ward 3")
    with pytest.raises(Refused) as no_output:
        fhir.told(task_of("completed"), referral("arrived"), False)
    assert no_output.value.field == "output"
    with pytest.raises(Refused):
        fhir.told(task_of("ready"), here, False)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=requested&_count=5&_format=json&owner=x", None),
        ("status:not=requested", "status:not"),
        ("stauts=requested", "stauts"),
        ("performer=x", "performer"),
        ("status=requested&status=accepted", "status"),
        ("_format=xml", "_format"),
        ("555%200123=x", "query"),
    ],
)
def test_a_search_by_what_is_not_understood_is_refused_and_not_passed_over(query: str, named: str | None) -> None:
    asked: Any = Request({"type": "http", "query_string": query.encode()})
    understood: Any = fhir_api.understood("Task")
    if named is None:
        asyncio.run(understood(asked))
        return
    with pytest.raises(Refused) as refused:
        asyncio.run(understood(asked))
    assert refused.value.field == named


class Shelf:
    """Two referrals of one person, and whose were written down as read."""

    database = None

    def __init__(self, *statuses: moves.Status) -> None:
        self.read: list[str] = []
        self.there = [{"_id": ID, "state": referral(status).model_dump(mode="json")} for status in statuses]
        self.read_log = self.country = self.patients = self

    async def record(self, access: Any, patient: str) -> None:
        self.read.append(patient)

    async def cards(self) -> Any:
        return CARDS

    async def get(self, patient: str) -> PatientCard:
        return DOLMA

    async def same_person(self, patient: str) -> tuple[str, ...]:
        return (patient,)

    async def of_patient_at(self, *_: Any) -> Any:
        return self.there

    async def worklist(self, *_: Any) -> Any:
        return self.there, "further"


def search_of(shelf: Any, kind: str) -> Any:
    routes = APIRouter()
    fhir_api._searches(routes, shelf, shelf)
    [found] = [route.endpoint for route in routes.routes if route.path == f"/{kind}"]  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(("statuses", "shown"), [(("accepted", "declined"), 0), (("accepted", "treated"), 1)])
def test_a_referral_without_an_outcome_is_not_written_down_as_read(
    statuses: tuple[moves.Status, ...], shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf: Any = Shelf(*statuses)
    monkeypatch.setattr(store, "of_patient_at", shelf.of_patient_at)
    bundles = search_of(shelf, "Bundle")
    answer = json.loads(asyncio.run(bundles(Access(Caller("d1", "doctor", HERE)), None, PATIENT)).body)
    assert (len(answer.get("entry", [])), shelf.read) == (shown, [PATIENT] * shown)


@pytest.mark.parametrize(("kind", "status", "shown"), [("Task", "rejected", 1), ("ServiceRequest", "on-hold", 0)])
def test_who_is_filtered_out_of_a_search_is_not_written_down_as_read(
    kind: str, status: str, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf: Any = Shelf("accepted", "declined")
    monkeypatch.setattr(store, "of_patient_at", shelf.of_patient_at)
    search = search_of(shelf, kind)
    access = Access(Caller("d1", "doctor", HERE))
    answer = json.loads(asyncio.run(search(access, patient=PATIENT, status=status, cursor=None, count=50)).body)
    assert (len(answer["entry"]), shelf.read) == (shown, [PATIENT] * shown)


@pytest.mark.parametrize(("kind", "whom"), [("Task", "owner"), ("ServiceRequest", "performer")])
def test_the_next_page_is_asked_for_by_the_same_parameters(
    kind: str, whom: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf: Any = Shelf("accepted")
    monkeypatch.setattr(store, "worklist", shelf.worklist)
    search = search_of(shelf, kind)
    asked = {whom: THERE, "status": "accepted,active"}
    found = asyncio.run(search(Access(Caller("d1", "doctor", THERE)), cursor=None, count=1, **asked))
    for link in json.loads(found.body)["link"]:
        query = link["url"].partition("?")[2]
        said = dict(parse_qsl(query))
        assert {name: said[name] for name in asked} == asked
        asyncio.run(fhir_api.understood(kind)(Request({"type": "http", "query_string": query.encode()})))  # type: ignore[arg-type]
