"""One call per route of registration whose rule names a facility, made as the right role at the right place.

`prepare` registers a person (and gives a token) as the desk there and returns what `call` gets as `id`. The same call
at another facility must be refused; a search is not refused but finds nobody there, which `refused` says.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

HERE = "LA-LEH-PHC-PANAMIK"
PERSON: dict[str, Any] = {"name": "Rigzin Angmo", "sex": "female", "age_years": 31, "place": "Nubra"}

Headers = Mapping[str, str]
HeadersFor = Callable[[str, str], Headers]
"""Role and facility to the headers of such a caller."""
Call = Callable[[httpx.AsyncClient, Headers, str], Awaitable[httpx.Response]]


def _key(headers: Headers) -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4()), **headers}


async def _patient(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    answer = await client.post("/patients", json=PERSON, headers=_key(headers_for("desk", HERE)))
    answer.raise_for_status()
    return str(answer.json()["id"])


async def _token(client: httpx.AsyncClient, headers_for: HeadersFor) -> dict[str, Any]:
    body = {"patient": await _patient(client, headers_for), "counter": "OPD1"}
    answer = await client.post("/visits", json=body, headers=_key(headers_for("desk", HERE)))
    answer.raise_for_status()
    token: dict[str, Any] = answer.json()
    return token


async def _visit(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    return str((await _token(client, headers_for))["id"])


async def _queue(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    token = await _token(client, headers_for)
    return f"{token['facility']}/{token['counter']}/{token['date']}"


async def _moved(client: httpx.AsyncClient, headers_for: HeadersFor, *moves: str) -> str:
    id = await _visit(client, headers_for)
    for move in moves:
        path = f"/visits/{id}/{move}"
        answer = await client.post(path, json={}, headers=_key(headers_for("desk", HERE)))
        answer.raise_for_status()
    return id


async def _skipped(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    return await _moved(client, headers_for, "skip")


async def _called(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    return await _moved(client, headers_for, "skip", "recall")


async def _counter(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    """An open counter of its own."""
    counter = f"C{uuid.uuid4().hex[:12]}"
    body = {"counter": counter, "label": "Medicine"}
    answer = await client.post("/opd/counters", json=body, headers=_key(headers_for("desk", HERE)))
    answer.raise_for_status()
    return counter


async def _closed(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    counter = await _counter(client, headers_for)
    path = f"/opd/{HERE}/counters/{counter}/close"
    (await client.post(path, json={}, headers=_key(headers_for("desk", HERE)))).raise_for_status()
    return counter


async def _today(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    return str((await _token(client, headers_for))["date"])


async def _made(client: httpx.AsyncClient, headers_for: HeadersFor, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers=_key(headers_for("desk", HERE)))
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return made


async def _household(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    patient = await _patient(client, headers_for)
    made = await _made(client, headers_for, "/households", {"members": [{"patient": patient, "relation": "head"}]})
    return f"{made['id']}/{patient}/{await _patient(client, headers_for)}"


async def _unit(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    patient = await _patient(client, headers_for)
    made = await _made(
        client, headers_for, "/benefit-units", {"kind": "ration-card-family", "members": [{"patient": patient}]}
    )
    return f"{made['units'][0]['id']}/{patient}/{await _patient(client, headers_for)}"


async def _screening(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    measures = {"systolic": 150, "diastolic": 95}
    body = {"patient": await _patient(client, headers_for), "programme": "hypertension", "measures": measures}
    return str((await _made(client, headers_for, "/screenings", body))["id"])


async def _asha(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    body = {"name": "Padma Lhamo", "places": [{"place": "Nubra"}]}
    asha = str((await _made(client, headers_for, "/ashas", body))["id"])
    return f"{asha}/{await _patient(client, headers_for)}/"


def _no_ashas(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["ashas"] == []


def _brought() -> Call:
    return _of_several(lambda id, patient, _: _created(f"/ashas/{id}/brought", {"patient": patient}))


def _created(path: str, body: dict[str, Any]) -> Call:
    """201 is as good as 200 here."""

    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        answer = await _write(path, body)(client, headers, id)
        if answer.status_code == 201:
            answer.status_code = 200
        return answer

    return call


def _of_several(call: Callable[[str, str, str], Call]) -> Call:
    """A call that needs the ids of the thing, of a member, and of somebody who is none yet."""

    async def made(client: httpx.AsyncClient, headers: Headers, ids: str) -> httpx.Response:
        return await call(*ids.split("/"))(client, headers, "")

    return made


def _joins(path: str) -> Call:
    return _of_several(lambda id, member, other: _write(f"{path}/{id}/members", {"patient": other}))


def _leaves(path: str) -> Call:
    return _of_several(lambda id, member, other: _write(f"{path}/{id}/members/leave", {"patient": member}))


def _shows(path: str) -> Call:
    return _of_several(lambda id, member, other: _read(f"{path}/{id}"))


def _writes(path: str, body: dict[str, Any]) -> Call:
    return _of_several(lambda id, member, other: _write(path.format(id=id), body))


async def _device(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    """A device that may take along a district where somebody of the facility lives."""
    headers = headers_for("desk", HERE)
    lives = PERSON | {"district_lgd": 9}
    (await client.post("/patients", json=lives, headers=_key(headers))).raise_for_status()
    name = f"tab-{uuid.uuid4().hex[:8]}"
    body = {"device": name, "quota": 5, "districts": [9]}
    # By an officer, for this facility may be in no directory here, and then has no district that a desk could give.
    officer = _key(headers_for("officer", HERE))
    (await client.post("/camp-devices", json=body, headers=officer)).raise_for_status()
    return name


async def _upload(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    """An upload of ten bytes, of which none has come."""
    name = await _device(client, headers_for)
    said = f"device {base64.b64encode(name.encode()).decode()},format Y3N2"
    headers = {"Upload-Length": "10", "Upload-Metadata": said, **_key(headers_for("desk", HERE))}
    answer = await client.post("/camp-uploads", headers=headers)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def _head(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    return await client.head(f"/camp-uploads/{id}", headers=dict(headers))


async def _patch(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    how = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", **headers}
    return await client.patch(f"/camp-uploads/{id}", content=b"12345", headers=how)


async def _enrolled(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    """The device's name and its key."""
    name = await _device(client, headers_for)
    answer = await client.post(f"/camp-devices/{name}/enrol", json={}, headers=_key(headers_for("desk", HERE)))
    answer.raise_for_status()
    return f"{name} {answer.json()['key']}"


async def _people(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    name, key = id.split()
    return await client.get(f"/camp-devices/{name}/people?district=9", headers={"X-Device-Key": key, **headers})


def _no_devices(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["devices"] == []


def _no_device(answer: httpx.Response) -> bool:
    return answer.status_code == 422 and "Rigzin" not in answer.text


def _write(path: str, body: dict[str, Any]) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.post(path.format(id=id), json=body, headers=_key(headers))

    return call


def _read(path: str) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.get(path.format(id=id), headers=dict(headers))

    return call


async def _reviewed(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    """Somebody who may be known already."""
    phone = f"+915550{uuid.uuid4().int % 10**6:06d}"
    for _ in range(2):
        body = PERSON | {"phone": phone, "village": "Panamik"}
        answer = await client.post("/patients", json=body, headers=_key(headers_for("desk", HERE)))
        answer.raise_for_status()
    return str(answer.json()["id"])


async def _two_ids(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    return f"{await _patient(client, headers_for)} {await _patient(client, headers_for)}"


async def _merged(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    both = await _two_ids(client, headers_for)
    answer = await _write_into("/merge")(client, headers_for("records-officer", HERE), both)
    answer.raise_for_status()
    return both.split()[0]


def _write_into(verb: str) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, both: str) -> httpx.Response:
        id, into = both.split()
        return await client.post(f"/patients/{id}{verb}", json={"into": into}, headers=_key(headers))

    return call


async def _fhir_search(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    return await client.post("/fhir/Patient/_search", data={"_id": id}, headers=dict(headers))


def _empty_bundle(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["total"] == 0


async def _agreed(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    id = await _patient(client, headers_for)
    agree = _write("/patients/{id}/consents", {"purpose": "CAREMGT"})
    (await agree(client, headers_for("desk", HERE), id)).raise_for_status()
    return id


def _no_reviews(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["reviews"] == []


def _no_shares(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["shares"] == []


def _nobody(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["patients"] == []


EXAMPLES: list[dict[str, Any]] = [
    {"route": route, "role": role, "facility": HERE, "prepare": prepare, "call": call} | extra
    for route, role, prepare, call, extra in (
        ("GET /patients/{id}", "doctor", _patient, _read("/patients/{id}"), {}),
        (
            "POST /patients/search",
            "doctor",
            _patient,
            _write("/patients/search", {"name": "Rigzin"}),
            {"refused": _nobody},
        ),
        ("POST /patients/{id}/correct", "desk", _patient, _write("/patients/{id}/correct", {"village": "Diskit"}), {}),
        ("POST /patients/{id}/void", "desk", _patient, _write("/patients/{id}/void", {"reason": "test-entry"}), {}),
        ("GET /fhir/Patient/{id}", "doctor", _patient, _read("/fhir/Patient/{id}"), {}),
        ("GET /fhir/Patient", "doctor", _patient, _read("/fhir/Patient?_id={id}"), {"refused": _empty_bundle}),
        ("POST /fhir/Patient/_search", "doctor", _patient, _fhir_search, {"refused": _empty_bundle}),
        (
            "POST /patients/{id}/consents",
            "desk",
            _patient,
            _write("/patients/{id}/consents", {"purpose": "CAREMGT"}),
            {},
        ),
        (
            "POST /patients/{id}/consents/withdraw",
            "desk",
            _agreed,
            _write("/patients/{id}/consents/withdraw", {"purpose": "CAREMGT"}),
            {},
        ),
        ("GET /reviews", "desk", _patient, _read("/reviews"), {"refused": _no_reviews}),
        (
            "POST /patients/{id}/review",
            "desk",
            _reviewed,
            _write("/patients/{id}/review", {"decision": "different", "reason": "both were seen"}),
            {},
        ),
        (
            "POST /patients/{id}/merge/preview",
            "records-officer",
            _two_ids,
            _write_into("/merge/preview"),
            {},
        ),
        ("POST /patients/{id}/merge", "records-officer", _two_ids, _write_into("/merge"), {}),
        ("POST /patients/{id}/unmerge", "records-officer", _merged, _write("/patients/{id}/unmerge", {}), {}),
        ("GET /patients/{id}/decisions", "records-officer", _merged, _read("/patients/{id}/decisions"), {}),
        ("GET /visits/{id}", "doctor", _visit, _read("/visits/{id}"), {}),
        ("GET /households/{id}", "doctor", _household, _shows("/households"), {}),
        ("POST /households/{id}/members", "desk", _household, _joins("/households"), {}),
        ("POST /households/{id}/members/leave", "desk", _household, _leaves("/households"), {}),
        (
            "POST /households/{id}/describe",
            "desk",
            _household,
            _writes("/households/{id}/describe", {"ration_card": True}),
            {},
        ),
        (
            "POST /households/{id}/refusals",
            "desk",
            _household,
            _writes("/households/{id}/refusals", {"scheme": "himcare", "reason": "papers-missing"}),
            {},
        ),
        ("POST /households/{id}/eligibility", "doctor", _household, _writes("/households/{id}/eligibility", {}), {}),
        ("GET /benefit-units/{id}", "doctor", _unit, _shows("/benefit-units"), {}),
        ("POST /benefit-units/{id}/members", "desk", _unit, _joins("/benefit-units"), {}),
        ("POST /benefit-units/{id}/members/leave", "desk", _unit, _leaves("/benefit-units"), {}),
        ("GET /patients/{id}/units", "doctor", _patient, _read("/patients/{id}/units"), {}),
        ("GET /patients/{id}/where", "doctor", _patient, _read("/patients/{id}/where"), {}),
        (
            "GET /places/{key}/patients",
            "doctor",
            _patient,
            _read("/places/state-37/patients"),
            {"refused": _nobody},
        ),
        ("GET /screenings/{id}", "doctor", _screening, _read("/screenings/{id}"), {}),
        (
            "POST /screenings/{id}/accept",
            "doctor",
            _screening,
            _write("/screenings/{id}/accept", {"suggestion": "amlodipine"}),
            {},
        ),
        (
            "POST /screenings/{id}/decline",
            "nurse",
            _screening,
            _write("/screenings/{id}/decline", {"suggestion": "amlodipine"}),
            {},
        ),
        ("GET /patients/{id}/screenings", "doctor", _patient, _read("/patients/{id}/screenings"), {}),
        ("GET /ashas", "desk", _asha, _read("/ashas"), {"refused": _no_ashas}),
        ("GET /ashas/{id}", "officer", _asha, _of_several(lambda id, _, __: _read(f"/ashas/{id}")), {}),
        (
            "POST /ashas/{id}/change",
            "desk",
            _asha,
            _writes("/ashas/{id}/change", {"places": [{"place": "Nubra"}]}),
            {},
        ),
        ("POST /ashas/{id}/retire", "desk", _asha, _writes("/ashas/{id}/retire", {}), {}),
        ("POST /ashas/{id}/brought", "desk", _asha, _brought(), {}),
        ("GET /ashas/{id}/credits", "desk", _asha, _of_several(lambda id, _, __: _read(f"/ashas/{id}/credits")), {}),
        (
            "GET /ashas/{id}/certificate.pdf",
            "desk",
            _asha,
            _of_several(lambda id, _, __: _read(f"/ashas/{id}/certificate.pdf")),
            {},
        ),
        ("GET /queues/{facility}/{counter}/{date}", "doctor", _queue, _read("/queues/{id}"), {}),
        ("GET /opd/{facility}", "doctor", _counter, _read(f"/opd/{HERE}"), {}),
        (
            "POST /opd/{facility}/counters/{counter}/open",
            "desk",
            _closed,
            _write(f"/opd/{HERE}/counters/{{id}}/open", {}),
            {},
        ),
        (
            "POST /opd/{facility}/counters/{counter}/close",
            "desk",
            _counter,
            _write(f"/opd/{HERE}/counters/{{id}}/close", {}),
            {},
        ),
        (
            "POST /opd/{facility}/counters/{counter}/call-next",
            "doctor",
            _visit,
            _write(f"/opd/{HERE}/counters/OPD1/call-next", {}),
            {},
        ),
        ("POST /visits/{id}/recall", "doctor", _skipped, _write("/visits/{id}/recall", {}), {}),
        ("POST /visits/{id}/serve", "doctor", _called, _write("/visits/{id}/serve", {}), {}),
        ("POST /visits/{id}/skip", "doctor", _visit, _write("/visits/{id}/skip", {}), {}),
        ("POST /visits/{id}/no-show", "desk", _called, _write("/visits/{id}/no-show", {}), {}),
        ("POST /visits/{id}/void", "desk", _visit, _write("/visits/{id}/void", {"reason": "left"}), {}),
        ("POST /visits/{id}/urgent", "doctor", _visit, _write("/visits/{id}/urgent", {}), {}),
        ("POST /visits/{id}/transfer", "desk", _visit, _write("/visits/{id}/transfer", {"counter": "OPD2"}), {}),
        ("GET /visits/{id}/slip.pdf", "desk", _visit, _read("/visits/{id}/slip.pdf"), {}),
        ("GET /opd/{facility}/register/{date}", "desk", _today, _read(f"/opd/{HERE}/register/{{id}}"), {}),
        ("GET /camp-devices", "desk", _device, _read("/camp-devices"), {"refused": _no_devices}),
        (
            "GET /camp-devices/{device}/people",
            "desk",
            _enrolled,
            _people,
            {"refused": _no_device},
        ),
        ("HEAD /camp-uploads/{id}", "desk", _upload, _head, {}),
        ("GET /camp-uploads/{id}", "desk", _upload, _read("/camp-uploads/{id}"), {}),
        ("PATCH /camp-uploads/{id}", "desk", _upload, _patch, {}),
        ("GET /camp-uploads/{id}/answers", "desk", _upload, _read("/camp-uploads/{id}/answers"), {}),
        ("GET /shares", "desk", _visit, _read("/shares"), {"refused": _no_shares}),
    )
]
