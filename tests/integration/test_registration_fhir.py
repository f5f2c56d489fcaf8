"""FHIR R4 over HTTP, every answer validated by a FHIR library of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.patient import Patient
from registration_desk import ELSEWHERE, Desk, serving_desk

from deploy.local.testing import TestStack

TYPES = "https://nrces.in/ndhm/fhir/r4/CodeSystem/ndhm-identifier-type-code"


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


def luhn(number: str) -> str:
    doubled = (int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(number)))
    return number + str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


async def call(desk: Desk, path: str, how: str = "doctor", facility: str | None = None, **sent: Any) -> httpx.Response:
    from registration_desk import HERE

    token = desk.stack.issuer.token(role=how, facility=facility or HERE)
    return await desk.served.client.post(path, headers={"Authorization": f"Bearer {token}"}, **sent)


async def somebody(desk: Desk) -> dict[str, Any]:
    return await desk.register(
        name="Padma Yangdol",
        phone=f"+915550{secrets.randbelow(10**6):06d}",
        village="".join(secrets.choice("bdgklmnprst") + secrets.choice("aiou") for _ in range(4)).title(),
        guardian="Tashi Namgyal",
        abha_number=luhn(f"00{secrets.randbelow(10**11):011d}"),
        abha_address=f"padma{secrets.token_hex(5)}@sbx",
        identifiers=[{"type": "border-id-card", "value": f"BIC{secrets.randbelow(10**6):06d}"}],
    )


async def test_a_patient_is_read_as_the_profile_has_it(desk: Desk) -> None:
    known = await somebody(desk)
    answer = await desk.get(f"/fhir/Patient/{known['id']}", role="doctor")
    assert answer.headers["content-type"] == "application/fhir+json"
    patient = Patient.model_validate(answer.json())
    assert patient.name[0].text == "Padma Yangdol"
    coded = {one.type.coding[0].code: one.value for one in patient.identifier if one.type.coding[0].system == TYPES}
    assert coded["HIN"] == known["abha_number"]
    assert coded["ABHA"] == known["abha_address"]
    assert coded["BIC"] == known["identifiers"][0]["value"]
    assert (await desk.get(f"/fhir/Patient/{known['id']}", role="doctor", facility=ELSEWHERE)).status_code == 403


async def test_a_search_finds_by_what_is_posted(desk: Desk) -> None:
    known = await somebody(desk)
    for said in (
        {"phone": known["phone"], "gender": "female"},
        {"identifier": f"{TYPES}|{known['abha_address']}"},
        {"identifier": known["abha_number"], "birthdate": str(known["birth_year"])},
        {"identifier": f"{TYPES}|{known['identifiers'][0]['value'].lower()}"},
        {"name": "YANG", "phone": known["phone"]},
        {"given": "pad", "family": "Yangdol", "phone": known["phone"]},
    ):
        answer = await call(desk, "/fhir/Patient/_search", data=said)
        bundle = Bundle.model_validate(answer.json())
        assert [entry.resource.id for entry in bundle.entry] == [known["id"]], said
    nobody = await call(desk, "/fhir/Patient/_search", data={"phone": known["phone"], "gender": "male"})
    assert Bundle.model_validate(nobody.json()).total == 0
    for other in ({"name": "angdol", "phone": known["phone"]}, {"identifier": "BIC0000"}):
        assert Bundle.model_validate((await call(desk, "/fhir/Patient/_search", data=other)).json()).total == 0, other
    by_id = await desk.get(f"/fhir/Patient?_id={known['id']}")
    assert [entry.resource.id for entry in Bundle.model_validate(by_id.json()).entry] == [known["id"]]
    personal = await desk.get("/fhir/Patient?name=Padma")
    assert (personal.status_code, OperationOutcome.model_validate(personal.json()).issue[0].code) == (
        400,
        "not-supported",
    )
    refused = await call(desk, "/fhir/Patient/_search", data={"address": "Turtuk"})
    assert refused.status_code == 400
    assert "Turtuk" not in str(OperationOutcome.model_validate(refused.json()).issue[0].diagnostics)


async def test_a_search_that_finds_more_says_so_and_carries_nothing_in_an_address(desk: Desk) -> None:
    name = "".join(secrets.choice("bdgklmnprst") + secrets.choice("aiou") for _ in range(5)).title()
    for _ in range(3):
        await desk.register(name=f"{name} Angmo", phone=None)
    part = Bundle.model_validate((await call(desk, "/fhir/Patient/_search", data={"name": name, "_count": "2"})).json())
    assert (part.total, part.link) == (None, None)
    assert [entry.search.mode for entry in part.entry] == ["match", "match", "outcome"]
    whole = Bundle.model_validate(
        (await call(desk, "/fhir/Patient/_search", data={"name": name, "_count": "3"})).json()
    )
    assert whole.total == 3


async def test_who_is_not_let_in_and_what_is_not_there_is_said_in_fhir(desk: Desk) -> None:
    known = await somebody(desk)
    path = f"/fhir/Patient/{known['id']}"
    for answer, status, code in (
        (await desk.get("/fhir/Patient/nobody"), 404, "not-found"),
        (await desk.get("/fhir/Observation/1"), 404, "not-found"),
        (await desk.post(path, {}), 405, "not-supported"),
        (await desk.get(path, facility=ELSEWHERE), 403, "forbidden"),
        (await desk.get(path, role="citizen"), 403, "forbidden"),
        (await desk.served.client.get(path), 401, "login"),
        (await desk.get(f"/fhir/Patient/{'x' * 65}"), 422, "invalid"),
        (await desk.served.client.get("/fhir/metadata", headers={"X-Purpose": "FOO"}), 422, "invalid"),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/fhir+json")
        assert OperationOutcome.model_validate(answer.json()).issue[0].code == code
    assert (await desk.post(f"/patients/{known['id']}/erase", {}, role="privacy-officer")).status_code == 200
    gone = await desk.get(path)
    assert (gone.status_code, OperationOutcome.model_validate(gone.json()).issue[0].code) == (410, "deleted")


async def test_a_match_is_graded_and_shows_little_of_elsewhere(desk: Desk) -> None:
    known = await somebody(desk)
    resource = {
        "resourceType": "Patient", "name": [{"given": ["Padma"], "family": "Yangdol"}], "gender": "female",
        "birthDate": str(known["birth_year"]), "telecom": [{"system": "phone", "value": known["phone"]}],
        "address": [{"city": known["village"]}],
    }  # fmt: skip
    asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]}
    answer = await call(desk, "/fhir/Patient/$match", json=asked)
    bundle = Bundle.model_validate(answer.json())
    assert bundle.entry[0].resource.id == known["id"]
    assert bundle.entry[0].search.score > 0.9
    assert bundle.entry[0].search.extension[0].valueCode in ("certain", "probable")
    away = await call(desk, "/fhir/Patient/$match", facility=ELSEWHERE, json=asked)
    assert Bundle.model_validate(away.json()).entry[0].resource.name[0].text == "P. Y."
    assert known["phone"] not in away.text
    assert (await call(desk, "/fhir/Patient/$match", json={"resourceType": "Patient"})).status_code == 400


async def test_a_merged_record_links_to_what_replaced_it_and_back(desk: Desk) -> None:
    one, other = await desk.register(name="Meena Kumari"), await desk.register(name="Meena Kumari")
    merged = await desk.post(f"/patients/{other['id']}/merge", {"into": one["id"]}, role="records-officer")
    assert merged.status_code == 200, merged.text
    old = Patient.model_validate((await desk.get(f"/fhir/Patient/{other['id']}", role="doctor")).json())
    new = Patient.model_validate((await desk.get(f"/fhir/Patient/{one['id']}", role="doctor")).json())
    assert (old.active, old.link[0].type, old.link[0].other.reference) == (False, "replaced-by", f"Patient/{one['id']}")
    assert (new.active, new.link[0].type, new.link[0].other.reference) == (True, "replaces", f"Patient/{other['id']}")


async def test_the_capabilities_say_what_is_served(desk: Desk) -> None:
    answer = await desk.served.client.get("/fhir/metadata")
    statement = CapabilityStatement.model_validate(answer.json())
    [resource] = statement.rest[0].resource
    assert resource.type == "Patient"
    assert resource.operation[0].name == "match"
