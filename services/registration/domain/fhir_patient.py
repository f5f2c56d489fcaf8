"""A patient's card as a FHIR R4 Patient of NRCeS's profile, and back.

In NRCeS's identifier types `HIN` is the ABHA number and `ABHA` the ABHA address; the names mislead. NRCeS publishes no
identifier systems, so none is written (NRCeS FHIR IG 6.5.0).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from libs.contracts.registration import PatientCard
from services.registration.domain.matching.births import read_birth
from services.registration.domain.review import Candidate

PROFILE = "https://nrces.in/ndhm/fhir/r4/StructureDefinition/Patient"
TYPES = "https://nrces.in/ndhm/fhir/r4/CodeSystem/ndhm-identifier-type-code"
MEDICAL_RECORD = "http://terminology.hl7.org/CodeSystem/v2-0203"
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
CODES = {"ration-card": "RCN", "tibetan-refugee-card": "TRC", "border-id-card": "BIC", "domicile": "DCF"}
TYPED = {code: type for type, code in CODES.items()}
LANGUAGES = {"lbj": "lbj", "bo": "bo", "hi": "hi", "ur": "ur", "en": "en", "doi": "doi", "ks": "ks"}


def to_fhir(id: str, card: PatientCard, replaces: Sequence[str] = ()) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": id,
        "meta": {"profile": [PROFILE]},
        "identifier": _identifiers(id, card),
        "active": card.merged_into is None and card.status == "active" and bool(card.name),
        **({"name": [{"text": card.name}]} if card.name else {}),
        "gender": card.sex,
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": LANGUAGES.get(card.language, "en")}]}}
        ],
    }
    if card.phone:
        resource["telecom"] = [{"system": "phone", "value": card.phone}]
    if card.birth_date or card.birth_year:
        resource["birthDate"] = card.birth_date.isoformat() if card.birth_date else f"{card.birth_year:04d}"
    if card.village or card.district_lgd:
        resource["address"] = [_address(card)]
    if card.guardian:
        resource["contact"] = [{"name": {"text": card.guardian}}]
    links = [("replaced-by", card.merged_into)] if card.merged_into else [("replaces", old) for old in replaces]
    if links:
        resource["link"] = [{"other": {"reference": f"Patient/{other}"}, "type": kind} for kind, other in links]
    return resource


def _identifiers(id: str, card: PatientCard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if card.abha_number:
        found.append(_identifier("HIN", card.abha_number, "ABHA number"))
    if card.abha_address:
        found.append(_identifier("ABHA", card.abha_address, "ABHA address"))
    for one in card.identifiers:
        if code := CODES.get(one.type):
            found.append(_identifier(code, one.value, one.type))
        elif one.type == "mrn":
            found.append(_record(one.value, one.facility))
        else:
            found.append({"type": {"text": one.type}, "value": one.value})
    return found or [_record(id, None)]


def _identifier(code: str, value: str, text: str) -> dict[str, Any]:
    return {"type": {"coding": [{"system": TYPES, "code": code}], "text": text}, "value": value}


def _record(value: str, facility: str | None) -> dict[str, Any]:
    kind = {"coding": [{"system": MEDICAL_RECORD, "code": "MR"}], "text": "medical record number"}
    return {"type": kind, "value": value, **({"assigner": {"display": facility}} if facility else {})}


def _address(card: PatientCard) -> dict[str, Any]:
    address: dict[str, Any] = {"country": "IN"}
    if card.village:
        address["city"] = card.village
    if card.district_lgd:
        address["district"] = f"LGD {card.district_lgd}"
    return address


def from_fhir(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What a Patient to be matched says, as the matcher reads a card. What it leaves out says nothing."""
    names = _first(resource.get("name"))
    given = [part for part in _listed(names.get("given")) if isinstance(part, str)]
    family = names.get("family")
    parts = [*given, family if isinstance(family, str) else ""]
    name = names.get("text") if isinstance(names.get("text"), str) else " ".join(parts).strip()
    telecom = [one for one in _listed(resource.get("telecom")) if isinstance(one, Mapping)]
    phones = [one.get("value") for one in telecom if one.get("system") == "phone"]
    birth = read_birth(str(resource.get("birthDate") or ""))
    card: dict[str, Any] = {
        "name": str(name)[:120],
        "sex": resource.get("gender") if resource.get("gender") in ("male", "female", "other") else "unknown",
        "phone": str(phones[0])[:20] if phones else None,
        "village": str(_first(resource.get("address")).get("city") or "")[:120] or None,
        "guardian": str(_object(_first(resource.get("contact")).get("name")).get("text") or "")[:120] or None,
    }
    if birth and birth.year:
        card["birth_year"] = birth.year
        card["birth_date"] = f"{birth.year:04d}-{birth.month:02d}-{birth.day:02d}" if birth.whole else None
    for one in _listed(resource.get("identifier")):
        if isinstance(one, Mapping) and isinstance(one.get("value"), str):
            code = _first(_object(one.get("type")).get("coding")).get("code")
            if code == "HIN":
                card["abha_number"] = one["value"][:40]
            elif code == "ABHA":
                card["abha_address"] = one["value"][:120]
            elif isinstance(code, str) and code in TYPED:
                paper = {"type": TYPED[code], "value": one["value"][:60], "facility": None}
                card.setdefault("identifiers", []).append(paper)
    return card


def check_asked(resource: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    """Of a Patient to be matched: what has a fixed form has it, and something is said by which a person can be found.
    Raises ValueError naming the place, never what stands there."""
    if resource.get("gender") not in (None, *GENDERS):
        raise ValueError(f"Patient.gender must be one of {', '.join(GENDERS)}")
    birth = resource.get("birthDate")
    if birth is not None and not (isinstance(birth, str) and real_date(birth)):
        raise ValueError("Patient.birthDate must be like 1987, 1987-04 or 1987-04-30")
    if not any(card.get(field) for field in ("name", "phone", "abha_number", "abha_address", "identifiers")):
        raise ValueError("Patient must have a name, an identifier or a phone to be found by")


def real_date(text: str) -> bool:
    """A day, month or year that there is, as FHIR writes them."""
    if not _PARTIAL.fullmatch(text):
        return False
    try:
        dt.date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError:
        return False
    return True


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _first(value: Any) -> Mapping[str, Any]:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], Mapping) else {}


GENDERS = ("male", "female", "other", "unknown")
_PARTIAL = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
_DATE = re.compile(r"(eq|ne|ge|le|gt|lt|sa|eb)?(\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?)", re.ASCII)


def fits_birth(born: str, asked: str) -> bool:
    """A search by `birthdate`: a date, a month or a year, with FHIR's prefixes. Raises ValueError naming the parameter.

    Days are compared as the texts they are: of a month or a year the first and the last day count.
    """
    found = _DATE.fullmatch(asked.strip())
    if not found or not real_date(found.group(2)):
        raise ValueError("birthdate must be like 1987, 1987-04 or 1987-04-30, with eq, ne, ge, le, gt or lt before it")
    how, date = found.group(1) or "eq", found.group(2)
    first, last = (born + "-01-01"[len(born) - 4 :]), (born + "-12-31"[len(born) - 4 :])
    low, high = (date + "-01-01"[len(date) - 4 :]), (date + "-12-31"[len(date) - 4 :])
    within = low <= first and last <= high
    return {
        "eq": within,
        "ne": not within,
        "gt": last > high,
        "sa": first > high,
        "ge": last > high or within,
        "lt": first < low,
        "eb": last < low,
        "le": first < low or within,
    }[how]


def bundle(entries: Sequence[Mapping[str, Any]], *, whole: bool = True, counted: int | None = None) -> dict[str, Any]:
    """A searchset. Where it is not `whole`, it says so instead of a total: a next page would carry what was asked for
    in its address. `counted`: how many there are, where only that was asked for."""
    more = outcome("too-costly", "there are more: ask for something narrower", "information")
    listed = [*entries] if whole else [*entries, {"resource": more, "search": {"mode": "outcome"}}]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        **({"total": len(entries) if counted is None else counted} if whole else {}),
        **({"entry": listed} if listed else {}),
    }


def graded(resource: Mapping[str, Any], match: Candidate) -> dict[str, Any]:
    """An entry of $match: a score, and a grade in FHIR's words."""
    grade = "certain" if match.band == "same" and match.probability >= 0.99 else "probable"
    grade = "possible" if match.band == "ask" else grade
    search = {"mode": "match", "score": round(match.probability, 4), "extension": [{"url": GRADE, "valueCode": grade}]}
    return {"resource": dict(resource), "search": search}


def outcome(code: str, says: str, severity: str = "error") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code, "diagnostics": says}]}


def capabilities(date: str) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "implementation": {"description": "Hillhealth registration: who a patient is"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Searches by personal data are POST _search, so that no name stands in a URL.",
                "resource": [
                    {
                        "type": "Patient",
                        "profile": PROFILE,
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "searchParam": [
                            {"name": "_id", "type": "token"},
                            {"name": "identifier", "type": "token"},
                            {"name": "name", "type": "string"},
                            {"name": "given", "type": "string"},
                            {"name": "family", "type": "string"},
                            {"name": "phone", "type": "token"},
                            {"name": "birthdate", "type": "date"},
                            {"name": "gender", "type": "token"},
                            {"name": "telecom", "type": "token", "documentation": "Of phones"},
                        ],
                        "operation": [
                            {
                                "name": "match",
                                "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match",
                            }
                        ],
                    }
                ],
            }
        ],
    }
