"""FHIR over HTTP: asked from outside under our own rules, read, searched, told by Task, and the outcome's document."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task
from referral_desk import ELSEWHERE, HERE, THERE, Desk, card, open_desk, person, publish, until

from deploy.local.testing import TestStack
from libs.contracts.registration import PatientMerged


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


def asking(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": "https://other.example", "value": secrets.token_hex(6)}],
        "status": "active",
        "intent": "order",
        "priority": "urgent",
        "performerType": {"text": "surgery"},
        "subject": {"reference": f"Patient/{person('from outside')}"},
        "requester": {"reference": f"Organization/{HERE}"},
        "performer": [{"reference": f"Organization/{THERE}"}],
        "reasonCode": [{"text": "acute abdomen"}],
    } | more


async def test_a_referral_comes_is_told_of_and_goes_home_in_fhir(desk: Desk) -> None:
    def bearer(role: str, facility: str) -> dict[str, str]:
        return {"Authorization": desk.headers(role, facility)["Authorization"]}

    client, body = desk.served.client, asking()
    created = await client.post("/fhir/ServiceRequest", json=body, headers=bearer("doctor", HERE))
    assert created.status_code == 201, created.text
    request = ServiceRequest.model_validate(created.json())
    assert created.headers["location"].endswith(f"ServiceRequest/{request.id}")
    again = await client.post("/fhir/ServiceRequest", json=body, headers=bearer("doctor", HERE))
    assert again.json() == created.json()
    state = (await desk.document(request.id))["state"]
    assert (state["origin"], state["destination"], state["urgency"]) == (HERE, THERE, "urgent")
    assert state["warnings"][0]["code"] == "missing"

    nowhere = asking(performer=[{"reference": "Organization/NO"}])
    refused = await client.post("/fhir/ServiceRequest", json=nowhere, headers=bearer("doctor", HERE))
    assert refused.status_code == 422
    assert OperationOutcome.model_validate(refused.json()).issue[0].expression == ["performer"]
    other = await client.post("/fhir/ServiceRequest", json=asking(), headers=bearer("desk", HERE))
    assert (other.status_code, OperationOutcome.model_validate(other.json()).issue[0].code) == (403, "forbidden")
    lone = asking(identifier=[{"system": "https://other.example", "value": "\ud800"}])
    broken = await client.post("/fhir/ServiceRequest", content=json.dumps(lone), headers=bearer("doctor", HERE))
    assert (broken.status_code, broken.json()["issue"][0]["expression"]) == (422, ["body"])
    named = asking(subject={"reference": "Patient/Tsering Dolma"})
    name = await client.post("/fhir/ServiceRequest", json=named, headers=bearer("doctor", HERE))
    assert OperationOutcome.model_validate(name.json()).issue[0].expression == ["subject"]
    nameless = await client.post("/fhir/ServiceRequest", json=asking(identifier=[]), headers=bearer("doctor", HERE))
    assert OperationOutcome.model_validate(nameless.json()).issue[0].expression == ["identifier"]
    reused = await client.post("/fhir/ServiceRequest", json=body | {"priority": "stat"}, headers=bearer("doctor", HERE))
    assert reused.status_code == 422
    assert OperationOutcome.model_validate(reused.json()).issue[0].severity == "error"
    counted = await client.get("/fhir/Task", params={"_count": 0}, headers=bearer("doctor", HERE))
    assert (counted.status_code, counted.json()["issue"][0]["expression"]) == (422, ["_count"])
    for facility, found in (HERE, [request.id]), (THERE, [request.id]), (ELSEWHERE, []):
        query = {"_id": request.id, "status": "requested"}
        searched = await client.get("/fhir/Task", params=query, headers=bearer("doctor", facility))
        assert [each["resource"]["id"] for each in searched.json()["entry"]] == found

    async def tell(role: str, facility: str, status: str, **more: Any) -> Any:
        current = (await client.get(f"/fhir/Task/{request.id}", headers=bearer(role, facility))).json()
        task = current | {"status": status} | more
        return await client.put(f"/fhir/Task/{request.id}", json=task, headers=bearer(role, facility))

    assert (await tell("desk", THERE, "accepted")).status_code == 409
    accepted = await tell("doctor", THERE, "accepted")
    assert Task.model_validate(accepted.json()).businessStatus.text == "accepted"
    early = await client.get(f"/fhir/Bundle/{request.id}", headers=bearer("doctor", HERE))
    assert (early.status_code, OperationOutcome.model_validate(early.json()).issue[0].code) == (404, "not-found")
    assert (await client.get(f"/fhir/Task/{request.id}")).json()["resourceType"] == "OperationOutcome"
    assert (await tell("desk", THERE, "in-progress")).json()["businessStatus"]["text"] == "arrived"
    coded = {"type": {"text": "outcome"}, "valueCodeableConcept": {"coding": [{"code": "admitted"}]}}
    done = await tell("doctor", THERE, "completed", output=[coded])
    assert done.json()["output"][0]["valueReference"]["reference"] == f"Bundle/{request.id}"

    document = await client.get(f"/fhir/Bundle/{request.id}", headers=bearer("doctor", HERE))
    assert document.headers["content-type"].startswith("application/fhir+json")
    assert Bundle.model_validate(document.json()).type == "document"
    assert (await client.get(f"/fhir/Bundle/{request.id}", headers=bearer("doctor", ELSEWHERE))).status_code == 403
    shown = await client.get(f"/fhir/ServiceRequest/{request.id}", headers=bearer("doctor", THERE))
    assert shown.json()["reasonCode"] == [{"text": "acute abdomen"}]

    async def search(path: str, facility: str) -> list[str]:
        found = await client.get(path, headers=bearer("doctor", facility))
        assert found.status_code == 200, found.text
        return [entry.resource.id for entry in Bundle.model_validate(found.json()).entry or []]

    assert await search("/fhir/Task?status=completed", THERE) == [request.id]
    whose = f"/fhir/Bundle?patient=Patient/{person('from outside')}"
    assert await search(whose, HERE) == await search(f"/fhir/Bundle?_id={request.id}", THERE) == [request.id]
    assert await search(whose, ELSEWHERE) == []
    assert (await client.get(whose, headers=bearer("desk", HERE))).status_code == 403
    assert (await client.get("/fhir/Bundle", headers=bearer("doctor", HERE))).status_code == 422
    assert await search(f"/fhir/ServiceRequest?requester=Organization/{HERE}", HERE) == [request.id]
    assert await search(f"/fhir/Task?patient=Patient/{person('from outside')}", HERE) == [request.id]
    assert await search(f"/fhir/Task?patient=Patient/{person('from outside')}", ELSEWHERE) == []
    both = f"requester=Organization/{HERE}&performer=Organization/{THERE}"
    assert await search(f"/fhir/ServiceRequest?{both}", HERE) == [request.id]
    assert await search(f"/fhir/ServiceRequest?requester=Organization/{HERE}", THERE) == [request.id]
    assert await search("/fhir/Task?status=http://hl7.org/fhir/task-status|completed", THERE) == [request.id]
    later = card(person("who lives on"))
    merged = card(person("from outside"), merged_into=later.id)
    await publish(desk.stack.kafka_bootstrap, PatientMerged(card=merged, merged_into=later.id), merged.id, 1)
    await until(lambda: search(f"/fhir/Task?patient={later.id}", HERE))
    CapabilityStatement.model_validate((await client.get("/fhir/metadata")).json())

    other_task = {"resourceType": "Task", "status": "completed", "for": {"reference": f"Patient/{person('else')}"}}
    wrong = await client.put(f"/fhir/Task/{request.id}", json=other_task, headers=bearer("doctor", THERE))
    assert (wrong.status_code, OperationOutcome.model_validate(wrong.json()).issue[0].expression) == (422, ["for"])
    for method, path, status, code in (
        ("GET", "/fhir/Observation/1", 404, "not-found"),
        ("DELETE", f"/fhir/Task/{request.id}", 405, "not-supported"),
    ):
        nothing = await client.request(method, path, headers=bearer("doctor", HERE))
        assert nothing.headers["content-type"].startswith("application/fhir+json")
        assert (nothing.status_code, OperationOutcome.model_validate(nothing.json()).issue[0].code) == (status, code)
    assert (await client.get("/nowhere")).headers["content-type"].startswith("application/problem+json")


def whole(*asked: dict[str, Any]) -> dict[str, Any]:
    """A transaction with a Task for each ServiceRequest."""
    entries: list[dict[str, Any]] = []
    for number, resource in enumerate(asked):
        url = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
        entries.append({"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": "ServiceRequest"}})
        task = {"resourceType": "Task", "status": "requested", "intent": "order", "focus": {"reference": url}}
        entries.append({"resource": task, "request": {"method": "POST", "url": "Task"}})
    numbered = {"system": "https://other.example", "value": secrets.token_hex(6)}
    return {"resourceType": "Bundle", "type": "transaction", "identifier": numbered, "entry": entries}


async def test_a_whole_bundle_is_taken_once_or_not_at_all(desk: Desk) -> None:
    referrals = desk.served.service.database["referrals"]

    async def send(body: dict[str, Any], role: str = "doctor", facility: str = HERE, path: str = "/fhir") -> Any:
        headers = {"Authorization": desk.headers(role, facility)["Authorization"]}
        return await desk.served.client.post(path, json=body, headers=headers)

    before = await referrals.count_documents({})
    half = whole(asking(), asking(performerType={"text": "astrology"}), asking(reasonCode=[]))
    refused = await send(half)
    assert refused.status_code == 422
    issues = OperationOutcome.model_validate(refused.json()).issue
    assert [issue.expression for issue in issues] == [["Bundle.entry[4].resource.reasonCode"]]
    refused = await send(whole(asking(), asking(performerType={"text": "astrology"})))
    issues = OperationOutcome.model_validate(refused.json()).issue
    assert [issue.expression for issue in issues] == [["Bundle.entry[2].resource.performerType"]]
    assert (await send(whole(asking()), role="desk")).status_code == 403
    assert await referrals.count_documents({}) == before

    body = whole(asking(), asking())
    taken = await send(body)
    assert taken.status_code == 200, taken.text
    places = [entry.response.location for entry in Bundle.model_validate(taken.json()).entry]
    assert (await send(body)).json() == taken.json()
    assert await referrals.count_documents({}) == before + 2
    first = places[0].partition("/")[2]
    assert places[:2] == [f"ServiceRequest/{first}", f"Task/{first}"]
    assert (await desk.document(first))["state"]["status"] == "requested"

    # One that is there is told of in the same Bundle as a new one: for whom it is theirs to tell, and all or nothing.
    onward = {"requester": {"type": "Organization"}, "performer": [{"reference": f"Organization/{ELSEWHERE}"}]}
    told = whole(asking(**onward)) | {"type": "collection"}
    task = {"resourceType": "Task", "status": "accepted", "focus": {"reference": f"ServiceRequest/{first}"}}
    told["entry"].append({"resource": task})
    forbidden = await send(told, facility="LA-KGL-DH-KARGIL", path="/fhir/Bundle")
    assert (forbidden.status_code, forbidden.json()["issue"][-1]["expression"]) == (403, ["Bundle.entry[2]"])
    twice = await send(told)
    assert (twice.status_code, twice.json()["issue"][0]["expression"]) == (409, ["Bundle.entry[2]"])
    assert await referrals.count_documents({}) == before + 2
    done = await send(told, facility=THERE, path="/fhir/Bundle")
    assert done.status_code == 200, done.text
    assert (await send(told, facility=THERE, path="/fhir/Bundle")).json() == done.json()
    assert (await desk.document(first))["state"]["status"] == "accepted"
    assert await referrals.count_documents({}) == before + 3
