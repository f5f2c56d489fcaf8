"""Referrals as FHIR R4: ServiceRequest (what is to be done), Task (the work of doing it, BSeR's ReferralTask), and a
document Bundle of the outcome; and the other way round, what somebody outside asks for or tells in them.

Profiles: NRCeS ServiceRequest, Task and DocumentBundle (https://nrces.in/ndhm/fhir/r4); HL7 FHIR US BSeR 1.0 for the
shape and the business status of the Task. SNOMED CT 3457005 is |Patient referral (procedure)|.
"""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from libs.common.refusal import Refused
from libs.contracts.event import Code
from libs.contracts.referral import FacilityCard
from libs.contracts.registration import PatientCard
from services.referral.domain import codes, commands, moves
from services.referral.domain.commands import Step
from services.referral.domain.referral import Referral
from services.referral.patients import Patient

NRCES = "https://nrces.in/ndhm/fhir/r4/StructureDefinition"
BSER = "http://hl7.org/fhir/us/bser/StructureDefinition"
BUSINESS_STATUS = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
SNOMED = "http://snomed.info/sct"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
FACILITY_ID = "https://facility.abdm.gov.in"
OURS = "urn:hillhealth"
REFERRAL_CODE = {"system": SNOMED, "code": "3457005", "display": "Patient referral (procedure)"}
REPORT = {"system": SNOMED, "code": "371531000", "display": "Report of clinical encounter"}

PRIORITY = {"routine": "routine", "urgent": "urgent", "emergency": "stat"}
URGENCY = {"routine": "routine", "urgent": "urgent", "asap": "urgent", "stat": "emergency"}
REQUEST_STATUS: Mapping[str, str] = {
    "declined": "revoked",
    "cancelled": "revoked",
    "redirected": "revoked",
    "travel-refused": "on-hold",
    "deceased": "revoked",
    "withdrawn": "revoked",
    "entered-in-error": "entered-in-error",
    "treated": "completed",
    "back-referred": "completed",
    "closed": "completed",
    "treated-at-origin": "completed",
    "advice-asked": "draft",
    "advice-lapsed": "draft",
    "advice-given": "draft",
}
"""Any other status is active."""

TASK_STATUS: Mapping[str, str] = {
    "requested": "requested",
    "lapsed": "requested",
    "accepted": "accepted",
    "declined": "rejected",
    "redirected": "rejected",
    "scheduled": "in-progress",
    "arrived": "in-progress",
    "seen": "in-progress",
    "cancel-requested": "in-progress",
    "no-show": "on-hold",
    "appointment-cancelled": "on-hold",
    "travel-refused": "on-hold",
    "cancelled": "cancelled",
    "withdrawn": "cancelled",
    "deceased": "failed",
    "entered-in-error": "entered-in-error",
    "treated": "completed",
    "back-referred": "completed",
    "closed": "completed",
    "treated-at-origin": "completed",
    "advice-asked": "draft",
    "advice-lapsed": "draft",
    "advice-given": "draft",
}
HAS_OUTCOME = frozenset({"treated", "back-referred", "closed"})

Cards = Mapping[str, FacilityCard]
Resource = dict[str, Any]

_PATIENT: TypeAdapter[str] = TypeAdapter(codes.PatientId)
_CODE: TypeAdapter[str] = TypeAdapter(Code)


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place(code: str, cards: Cards) -> Resource:
    """A facility is referred to by our code, and named by the Health Facility Registry's number."""
    card = cards.get(code)
    found: Resource = {"reference": f"Organization/{code}", "type": "Organization"}
    if card is not None:
        found["display"] = card.name
        if card.hip_id:
            found["identifier"] = {"system": FACILITY_ID, "value": card.hip_id}
    return found


def service_request(id: str, state: Referral, cards: Cards, *, clinical: bool) -> Resource:
    """The reason is shown to whom `clinical` says."""
    found: Resource = {
        "resourceType": "ServiceRequest",
        "id": id,
        "meta": {"lastUpdated": _text(state.changed_at), "profile": [f"{NRCES}/ServiceRequest"]},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{id}"}],
        "status": REQUEST_STATUS.get(state.status, "active"),
        "intent": "order",
        "category": [{"coding": [REFERRAL_CODE]}],
        "priority": PRIORITY[state.urgency],
        "code": {"coding": [REFERRAL_CODE], "text": state.service},
        "subject": {"reference": f"Patient/{state.patient}"},
        "authoredOn": _text(state.requested_at),
        "requester": _place(state.origin, cards),
        "performerType": {"coding": [{"system": f"{OURS}:service", "code": state.service}], "text": state.service},
        "performer": [_place(state.destination, cards)],
    }
    if clinical and state.reason:
        found["reasonCode"] = [{"text": state.reason}]
    if state.previous:
        found["basedOn"] = [{"reference": f"ServiceRequest/{state.previous}"}]
    if state.replaces:
        found["replaces"] = [{"reference": f"ServiceRequest/{state.replaces}"}]
    return found


def task(id: str, state: Referral, cards: Cards) -> Resource:
    """`businessStatus` is where BSeR's machine stands; `output` the outcome, once there is one."""
    bser = moves.STANDINGS[state.status].bser

    def numbered(kind: str, meaning: str, place: str) -> Resource:
        return {
            "type": {"coding": [{"system": V2_0203, "code": kind, "display": meaning}]},
            "system": f"{OURS}:{place}",
            "value": id,
        }

    found: Resource = {
        "resourceType": "Task",
        "id": id,
        "meta": {"lastUpdated": _text(state.changed_at), "profile": [f"{BSER}/BSeR-ReferralTask", f"{NRCES}/Task"]},
        "identifier": [
            numbered("PLAC", "Placer Identifier", state.origin),
            numbered("FILL", "Filler Identifier", state.destination),
        ],
        "status": TASK_STATUS[state.status],
        "businessStatus": {"coding": _coding(bser, state.status), "text": state.status},
        "intent": "order",
        "priority": PRIORITY[state.urgency],
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": f"ServiceRequest/{id}"},
        "for": {"reference": f"Patient/{state.patient}"},
        "authoredOn": _text(state.requested_at),
        "lastModified": _text(state.changed_at),
        "requester": _place(state.origin, cards),
        "owner": _place(state.destination, cards),
    }
    if why := state.declined_for or state.cancelled_for or state.redirected_for or state.void_for:
        found["statusReason"] = {"coding": [{"system": f"{OURS}:reason", "code": why}], "text": why.replace("-", " ")}
    if state.status in HAS_OUTCOME:
        found["output"] = [
            {
                "type": {"coding": [REPORT]},
                "valueReference": {"reference": f"Bundle/{id}"},
            }
        ]
    return found


def _coding(bser: str | None, status: str) -> list[Resource]:
    own = {"system": f"{OURS}:status", "code": status}
    return [{"system": BUSINESS_STATUS, "code": bser}, own] if bser else [own]


def outcome_bundle(id: str, state: Referral, patient: Patient, cards: Cards) -> Resource:
    """What became of the patient, as a document: outcome, summary, advice, medicines to be taken on. For doctors."""
    written = state.milestones.get("PatientBackReferred") or state.changed_at
    composed: Resource = {
        "resourceType": "Composition",
        "id": f"{id}-composition",
        "status": "final" if state.status != "treated" else "preliminary",
        "type": {"coding": [REPORT]},
        "subject": {"reference": f"Patient/{state.patient}"},
        "date": _text(written),
        "author": [_place(state.destination, cards)],
        "title": "Outcome of a referral",
        "relatesTo": [{"code": "appends", "targetIdentifier": {"system": f"{OURS}:{state.origin}", "value": id}}],
        "section": [
            _section("Outcome", (state.outcome or "").replace("-", " ")),
            *([_section("Summary", state.summary)] if state.summary else []),
            *([_section("Advice", state.advice)] if state.advice else []),
        ],
    }
    medicines = [
        {
            "resourceType": "MedicationRequest",
            "id": f"{id}-medicine-{number}",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": {"text": medicine.name},
            "subject": {"reference": f"Patient/{state.patient}"},
            "dosageInstruction": [{"text": ", ".join(part for part in (medicine.dose, medicine.timing) if part)}]
            if medicine.days is None
            else [
                {
                    "text": ", ".join(part for part in (medicine.dose, medicine.timing) if part),
                    "timing": {"repeat": {"boundsDuration": _days(medicine.days)}},
                }
            ],
        }
        for number, medicine in enumerate(state.medicines, 1)
    ]
    if medicines:
        composed["section"].append(
            _section("Medicines to be taken on", "; ".join(each.name for each in state.medicines))
            | {"entry": [{"reference": f"MedicationRequest/{each['id']}"} for each in medicines]}
        )
    parts = [
        composed,
        _person(state.patient, patient),
        *(_organisation(code, cards) for code in dict.fromkeys((state.destination, state.origin))),
        service_request(id, state, cards, clinical=True),
        *medicines,
    ]
    return {
        "resourceType": "Bundle",
        "id": id,
        "meta": {"lastUpdated": _text(state.changed_at), "profile": [f"{NRCES}/DocumentBundle"]},
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{id}"},
        "type": "document",
        "timestamp": _text(state.changed_at),
        "entry": [{"fullUrl": f"{OURS}:{part['resourceType']}/{part['id']}", "resource": part} for part in parts],
    }


def _days(days: int) -> Resource:
    return {"value": days, "unit": "day", "system": "http://unitsofmeasure.org", "code": "d"}


def _section(title: str, text: str) -> Resource:
    shown = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{html.escape(text)}</p></div>'
    return {"title": title, "text": {"status": "generated", "div": shown}}


def _person(id: str, patient: Patient) -> Resource:
    found: Resource = {"resourceType": "Patient", "id": id, "meta": {"profile": [f"{NRCES}/Patient"]}}
    found["identifier"] = [
        {"type": {"coding": [{"system": V2_0203, "code": "MR"}]}, "system": f"{OURS}:patient", "value": id}
    ]
    if isinstance(patient, PatientCard):
        found["name"] = [{"text": patient.name}]
        if patient.sex in ("male", "female", "other", "unknown"):
            found["gender"] = patient.sex
        if patient.birth_date is not None:
            found["birthDate"] = patient.birth_date.isoformat()
        elif patient.birth_year is not None:
            found["birthDate"] = str(patient.birth_year)
    return found


def _organisation(code: str, cards: Cards) -> Resource:
    card = cards.get(code)
    found: Resource = {"resourceType": "Organization", "id": code, "name": card.name if card else code}
    if card is not None and card.hip_id:
        found["identifier"] = [
            {"type": {"coding": [{"system": V2_0203, "code": "PRN"}]}, "system": FACILITY_ID, "value": card.hip_id}
        ]
    return found


def search_set(resources: Sequence[Resource], self_url: str, following: str | None) -> Resource:
    links = [{"relation": "self", "url": self_url}]
    if following:
        links.append({"relation": "next", "url": following})
    entries = [
        {"fullUrl": f"{OURS}:{each['resourceType']}/{each['id']}", "resource": each, "search": {"mode": "match"}}
        for each in resources
    ]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


def requested(resource: Mapping[str, Any], cards: Cards, here: str | None = None) -> commands.Request:
    """What a ServiceRequest from outside asks for. `here` is the facility of whoever sends it.

    Raises Refused naming the element, also for what would turn its meaning round.
    """
    if resource.get("resourceType") != "ServiceRequest":
        raise Refused("not-a-request", "a ServiceRequest is taken here", field="resourceType")
    if resource.get("intent") != "order" or resource.get("status") != "active":
        raise Refused("not-an-order", "must be an active order", field="status")
    if resource.get("doNotPerform") not in (None, False):
        raise Refused("not-to-be-done", "asks that it is not done", field="doNotPerform")
    _check_understood(resource)
    contained = {f"#{each['id']}": each for each in many(resource.get("contained")) if each.get("id")}
    patient = reference(_inside(resource.get("subject"), contained), "Patient")
    if patient is None:
        raise Refused("missing", "must refer to a Patient by the id that registration gave", field="subject")
    origin = facility(_inside(of(resource, "requester"), contained), cards)
    if here is not None and origin not in (None, here):
        raise Refused("another-facility", "must be your own facility", field="requester")
    performers = [_inside(each, contained) for each in many(resource.get("performer"))]
    to = next((code for each in performers if (code := facility(each, cards)) is not None), None)
    if to is None:
        raise Refused("unknown-facility", "must name a facility of the directory", field="performer")
    urgency = URGENCY.get(str(resource.get("priority", "routine")))
    if urgency is None:
        raise Refused("unknown-code", f"must be one of {', '.join(URGENCY)}", field="priority")
    service = _service(resource)
    if service is None:
        raise Refused("missing", "must say which department", field="performerType")
    reason = " ".join(str(each.get("text", "")) for each in many(resource.get("reasonCode"))).strip()
    if not reason:
        raise Refused("missing", "must say why", field="reasonCode")
    for value, kind, element in ((patient, _PATIENT, "subject"), (service, _CODE, "performerType")):
        try:
            kind.validate_python(value)
        except ValidationError:
            raise Refused("malformed", "is no id or code of ours", field=element) from None
    return commands.Request(patient, to, service, urgency, reason)  # type: ignore[arg-type]


def _check_understood(resource: Mapping[str, Any]) -> None:
    """What must not be passed over by whoever does not know it (FHIR R4, 2.1.7)."""
    for element in ("modifierExtension", "implicitRules"):
        if resource.get(element):
            raise Refused("not-understood", "changes the meaning in a way that is not known here", field=element)


def _inside(said: Any, contained: Mapping[str, Resource | Mapping[str, Any]]) -> Mapping[str, Any]:
    """A reference to what stands within the same resource, as one to what we know."""
    if not isinstance(said, Mapping):
        return {}
    meant = contained.get(str(said.get("reference", "")))
    return said if meant is None else known_as({name: each for name, each in meant.items() if name != "id"})


def known_as(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reference to who or what this Patient or Organization is: by the id that registration gave, by our code or the
    registry's number."""
    numbers = {str(each.get("system")): each.get("value") for each in many(resource.get("identifier"))}
    match resource.get("resourceType"):
        case "Patient":
            id = numbers.get(f"{OURS}:patient") or resource.get("id")
            return {"reference": f"Patient/{id}"} if id else {}
        case "Organization":
            found = {"reference": f"Organization/{resource.get('id', '')}"}
            return found | {"identifier": {"value": numbers.get(FACILITY_ID)}}
        case _:
            return {}


def placer_of(resource: Mapping[str, Any]) -> str | None:
    """By what the sender knows its request: the placer's number, or any it gave."""
    said = resource.get("identifier")
    # A Bundle has one, and not several.
    identifiers = [each for each in ([said] if isinstance(said, Mapping) else many(said)) if each.get("value")]
    placed = [each for each in identifiers if "PLAC" in [c.get("code") for c in many(of(each, "type").get("coding"))]]
    first = next(iter((*placed, *identifiers)), None)
    return f"{first.get('system', '')}|{first['value']}" if first else None


def told(resource: Mapping[str, Any], state: Referral, at_origin: bool) -> Step | None:
    """The move that a Task from outside tells; None where it tells what is so already. Raises Refused."""
    if resource.get("resourceType") != "Task":
        raise Refused("not-a-task", "a Task is taken here", field="resourceType")
    _check_understood(resource)
    status = str(resource.get("status", ""))
    if status == TASK_STATUS[state.status] and status != "in-progress":
        return None
    reasons = [str(each["code"]) for each in many(of(resource, "statusReason").get("coding")) if each.get("code")]
    why = reasons[0] if reasons else "other"
    match status:
        case "received":
            return None
        case "accepted":
            return commands.Accept()
        case "rejected":
            return commands.Decline(why if why in codes.DECLINE_REASONS else "other")
        case "cancelled" if at_origin:
            return commands.Cancel(why if why in codes.CANCEL_REASONS else "other")
        case "cancelled":
            return commands.ConfirmCancel()
        case "in-progress":
            return None if state.status in ("arrived", "seen") else commands.Arrive()
        case "completed":
            return commands.RecordOutcome(*_outcome(resource))
        case _:
            raise Refused("unknown-code", "no move of a referral is told by this", field="status")


def check_about(
    task: Mapping[str, Any], id: str, state: Referral, persons: Sequence[str], cards: Cards, *, own_id: bool
) -> None:
    """A Task that says what it is about must mean this referral, its patient (any record of them) and its facility.
    `own_id`: its id is ours. Raises Refused naming the element."""
    if own_id and task.get("id") not in (None, id):
        raise Refused("another-task", "must be the id in the address", field="id")
    if reference(of(task, "focus"), "ServiceRequest") not in (None, id):
        raise Refused("another-referral", "must be the ServiceRequest of this Task", field="focus")
    if reference(of(task, "for"), "Patient") not in (None, *persons):
        raise Refused("another-patient", "must be the subject of the ServiceRequest", field="for")
    if facility(of(task, "owner"), cards) not in (None, state.destination):
        raise Refused("another-facility", "must be the performer of the ServiceRequest", field="owner")


def _outcome(resource: Mapping[str, Any]) -> tuple[str, str]:
    """Outcome and summary of a Task's outputs."""
    for output in many(resource.get("output")):
        value = of(output, "valueCodeableConcept")
        for coding in many(value.get("coding")):
            if coding.get("code") in codes.OUTCOMES:
                return str(coding["code"]), str(value.get("text", ""))[: codes.LONGEST_TEXT]
    raise Refused("missing", f"must have a code of {OURS}:outcome: {', '.join(codes.OUTCOMES)}", field="output")


def _service(resource: Mapping[str, Any]) -> str | None:
    for name in ("performerType", "code"):
        concept = of(resource, name)
        for coding in many(concept.get("coding")):
            if coding.get("system") == f"{OURS}:service" and coding.get("code"):
                return str(coding["code"])
        if concept.get("text"):
            return "-".join(str(concept["text"]).lower().split())
    return None


def facility(said: Mapping[str, Any], cards: Cards) -> str | None:
    """The facility that a reference means, by our code or the registry's number."""
    code = reference(said, "Organization")
    if code in cards:
        return code
    number = of(said, "identifier").get("value")
    return next((card.code for card in cards.values() if number and card.hip_id == number), None)


def reference(value: Any, kind: str) -> str | None:
    """The id in a reference to a resource of this kind."""
    text = str(value.get("reference", "")) if isinstance(value, Mapping) else ""
    head, _, id = text.rpartition("/")
    return id if id and (head == kind or head.endswith(f"/{kind}")) else None


def many(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def of(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
