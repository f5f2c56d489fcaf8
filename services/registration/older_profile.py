"""NHA's Scan & Share of 2023, brought to today's shape: other names, an intent object, the counter elsewhere.

Sources: ABDM specification v3 of 2023 (`/v3/hip/patient/profile/share`) and v1 before it (`hipCode`, `healthId`).
What is here is only moved about; `read_profile` judges it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PATIENT = {
    "healthId": "abhaAddress",
    "healthIdNumber": "abhaNumber",
    "mobile": "phoneNumber",
    "mobileNumber": "phoneNumber",
    "pinCode": "pincode",
}
_IDENTIFIERS = {
    "MOBILE": "phoneNumber",
    "NDHM_HEALTH_NUMBER": "abhaNumber",
    "HEALTH_NUMBER": "abhaNumber",
    "ABHA_NUMBER": "abhaNumber",
    "HEALTH_ID": "abhaAddress",
    "ABHA_ADDRESS": "abhaAddress",
}
_INTENTS = frozenset({"PROFILE_SHARE", "REGISTRATION", "PATIENT_SHARE"})


def todays_shape(body: Any, hip_id: str) -> Any:
    """The same share as v3 has it. `hip_id` is the header's, for bodies that name no facility."""
    if not isinstance(body, Mapping):
        return body
    profile = body.get("profile")
    said = profile if isinstance(profile, Mapping) else {}
    meta = body.get("metaData")
    found = dict(meta) if isinstance(meta, Mapping) else {}
    found.setdefault("hipId", hip_id)
    found.setdefault("context", said.get("hipCode") or found.get("code") or body.get("code"))
    location = body.get("location")
    if isinstance(location, Mapping):
        found |= {name: location.get(name) for name in ("latitude", "longitude")}
    patient = said.get("patient")
    moved = {"patient": _patient(patient) if isinstance(patient, Mapping) else patient} if said else profile
    return {"intent": _intent(body.get("intent")), "metaData": found, "profile": moved}


def _intent(intent: Any) -> Any:
    named = intent.get("type") if isinstance(intent, Mapping) else intent
    return "PROFILE_SHARE" if isinstance(named, str) and named in _INTENTS else named


def _patient(patient: Mapping[str, Any]) -> dict[str, Any]:
    said = {_PATIENT.get(name, name): value for name, value in patient.items() if name != "identifiers"}
    identifiers = patient.get("identifiers")
    for identifier in identifiers if isinstance(identifiers, list) else []:
        if isinstance(identifier, Mapping):
            name = _IDENTIFIERS.get(str(identifier.get("type")).upper())
            if name and said.get(name) is None:
                said[name] = identifier.get("value")
    return said
