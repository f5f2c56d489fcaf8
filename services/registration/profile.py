"""Reads what the ABDM gateway sends for Scan & Share v3, tolerant of every null and spelling seen in it.

Shapes: NHA sandbox, observed 2026-09-16. Codes: NHA's table of ABDM error codes.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.registration.domain import identifiers
from services.registration.domain.identifiers import Counter
from services.registration.domain.patient import OLDEST, Details
from services.registration.domain.places import Places

GENDERS = {"M": "male", "F": "female", "O": "other", "T": "other", "U": "unknown", "D": "unknown"}
"""D is "declined to say"."""
_IN_WORDS = {"MALE": "M", "FEMALE": "F", "OTHER": "O", "TRANSGENDER": "T", "UNKNOWN": "U", "UNDISCLOSED": "U"}

_HIP_ID = re.compile(r"IN\d{10}", re.ASCII)
_COUNTER: TypeAdapter[str] = TypeAdapter(Counter)
_FIELDS = {
    "name": ("profile.patient.name", "ABDM-1006"),
    "abha_number": ("profile.patient.abhaNumber", "ABDM-1013"),
    "abha_address": ("profile.patient.abhaAddress", "ABDM-1170"),
    "phone": ("profile.patient.phoneNumber", "ABDM-1006"),
    "village": ("profile.patient.address.line", "ABDM-1006"),
    "birth_date": ("profile.patient.yearOfBirth", "ABDM-1006"),
    "age_years": ("profile.patient.yearOfBirth", "ABDM-1006"),
}


_JUDGED = re.compile("abha|health|phone|mobile", re.IGNORECASE)


class ShareRefused(Exception):
    """`code` is ABDM's, `field` a path into the body or a header's name; `detail` repeats nothing of the input."""

    def __init__(self, code: str, field: str, detail: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.detail = detail
        self.status = status


@dataclass(frozen=True)
class SharedProfile:
    """`state_lgd` is None where the gateway named no state that we know."""

    hip_id: str
    counter: str
    details: Details
    state_lgd: int | None


def read_profile(body: Any, on: dt.date, places: Places) -> SharedProfile:
    """`on` is the day at the desk. Raises ShareRefused."""
    share = _object(body, "body", "ABDM-1006")
    if share.get("intent") != "PROFILE_SHARE":
        raise ShareRefused("ABDM-1149", "intent", "must be PROFILE_SHARE: no other intent is supported")
    meta = _object(share.get("metaData"), "metaData", "ABDM-1006")
    hip_id = meta.get("hipId")
    if not isinstance(hip_id, str) or not _HIP_ID.fullmatch(hip_id):
        raise ShareRefused("ABDM-1035", "metaData.hipId", "must be IN and ten digits")
    try:
        counter = _COUNTER.validate_python(meta.get("context"))
    except ValidationError:
        raise ShareRefused("ABDM-1006", "metaData.context", "must be 1 to 20 letters and digits") from None
    profile = _object(share.get("profile"), "profile", "ABDM-1102")
    patient = _object(profile.get("patient"), "profile.patient", "ABDM-1102")
    for field, value in (("metaData.hprId", meta.get("hprId")), *_texts(patient)):
        if identifiers.contains_aadhaar(str(value)):
            raise ShareRefused("ABDM-1006", field, identifiers.COULD_BE)
    state_lgd = _state(patient, places)
    details = _details(patient, on, state_lgd)
    lived = _district(patient, details, places, on)
    return SharedProfile(hip_id, counter, lived, state_lgd)


def _object(value: Any, field: str, code: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ShareRefused(code, field, "must be an object")
    return value


def _texts(patient: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is said, kept or not, each with its field, save what `Details` judges by rules of its own."""
    address = patient.get("address")
    for path, said in (("profile.patient", patient), ("profile.patient.address", address)):
        for name, value in said.items() if isinstance(said, Mapping) else ():
            if not _JUDGED.search(name) and value is not address:
                named = name.isidentifier() and not identifiers.contains_aadhaar(name)
                yield f"{path}.{name}" if named else path, json.dumps({name: value}, ensure_ascii=False)


def _state(patient: Mapping[str, Any], places: Places) -> int | None:
    address = patient.get("address")
    name = address.get("state") if isinstance(address, Mapping) else None
    return places.state_named(name) if isinstance(name, str) else None


def _district(patient: Mapping[str, Any], details: Details, places: Places, on: dt.date) -> Details:
    """The district by any of its names; one that nobody knows, or that lies elsewhere, is left out."""
    address = patient.get("address")
    name = address.get("district") if isinstance(address, Mapping) else None
    state = places.get("state", details.state_lgd)
    if not isinstance(name, str) or state is None:
        return details
    named = places.named(name[: identifiers.PLACE_AT_MOST], kind="district", within=state.key, on=on)
    codes = {place.code for place in named} - {None}
    return details.model_copy(update={"district_lgd": codes.pop()}) if len(codes) == 1 else details


def _details(patient: Mapping[str, Any], on: dt.date, state_lgd: int | None) -> Details:
    birth_date, age = _born(patient, on)
    said = {
        "name": patient.get("name"),
        "sex": _sex(patient.get("gender")),
        "birth_date": birth_date,
        "age_years": age,
        "phone": _phone(patient.get("phoneNumber")),
        "village": _line(patient.get("address")),
        "state_lgd": state_lgd,
        "abha_number": patient.get("abhaNumber") or None,
        "abha_address": patient.get("abhaAddress"),
    }
    if not isinstance(said["abha_address"], str):
        raise ShareRefused("ABDM-1170", "profile.patient.abhaAddress", "must be an ABHA address")
    try:
        return Details.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        field, code = _FIELDS.get(str(first["loc"][0]), ("profile.patient", "ABDM-1006"))
        raise ShareRefused(code, field, str(first["msg"]).removeprefix("Value error, ")) from None


def _sex(gender: Any) -> str:
    if gender is None or gender == "":
        return "unknown"
    if isinstance(gender, str):
        said = gender.strip().upper()
        if (letter := _IN_WORDS.get(said, said)) in GENDERS:
            return GENDERS[letter]
    raise ShareRefused("ABDM-1006", "profile.patient.gender", f"must be one of {', '.join(GENDERS)} or null")


def _born(patient: Mapping[str, Any], on: dt.date) -> tuple[dt.date | None, int | None]:
    """The date if it is whole, else the age that the year gives. Day and month that make no date are left out."""
    year = _number(patient.get("yearOfBirth"))
    if year is None:
        if patient.get("yearOfBirth") not in (None, ""):
            raise ShareRefused("ABDM-1006", "profile.patient.yearOfBirth", "must be a year or null")
        return None, None
    if not on.year - OLDEST <= year <= on.year:
        raise ShareRefused("ABDM-1006", "profile.patient.yearOfBirth", f"must be within the last {OLDEST} years")
    month, day = _number(patient.get("monthOfBirth")), _number(patient.get("dayOfBirth"))
    try:
        date = dt.date(year, month or 0, day or 0)
    except ValueError:
        return None, on.year - year
    return (date, None) if date <= on else (None, on.year - year)


def _number(value: Any) -> int | None:
    """A small whole number, written as a number or as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value <= 9999 else None
    if isinstance(value, str) and re.fullmatch(r"\d{1,4}", value.strip(), re.ASCII):
        return int(value)
    return None


def _phone(value: Any) -> str | None:
    """As at the desk, or with India's code without its +. Another number is no reason to send somebody away: it is left
    out."""
    if value is None:
        return None
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    try:
        return identifiers.phone(text)
    except ValueError as error:
        if "Aadhaar" in str(error):
            raise ShareRefused("ABDM-1006", "profile.patient.phoneNumber", str(error)) from None
    digits = re.sub(r"\D", "", text, flags=re.ASCII)
    return f"+{digits}" if len(digits) == 12 and digits.startswith("91") else None


def _line(address: Any) -> str | None:
    """The address line as far as it fits; one without a letter says nothing."""
    line = address.get("line") if isinstance(address, Mapping) else None
    if not isinstance(line, str) or not any(char.isalpha() for char in line):
        return None
    if identifiers.contains_aadhaar(line):
        raise ShareRefused("ABDM-1006", "profile.patient.address.line", identifiers.COULD_BE)
    return " ".join(line.split())[: identifiers.PLACE_AT_MOST]
