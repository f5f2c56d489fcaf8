"""Reads the QR code of an ABHA card or app, for somebody without a phone ("Scan and Pull").

It is JSON and not signed: what it says is a claim that the desk looks at, never a proof. Keys as on the card (`hid`,
`d/m/yyyy`) and in the app (`phr`, `d-m-yyyy`); source: ABDM's documentation of both codes.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

from pydantic import ValidationError

from libs.common.refusal import Refused
from services.registration.domain.identifiers import COULD_BE, NO_PHONE, PLACE_AT_MOST, contains_aadhaar, phone
from services.registration.domain.patient import OLDEST, Details
from services.registration.domain.places import Places
from services.registration.profile import GENDERS

LONGEST = 4000
_FIELDS = {"abha_number": "hidn", "abha_address": "hid", "birth_date": "dob", "age_years": "dob", "village": "address"}
_JUDGED = frozenset({"hidn", "hid", "phr", "mobile"})
"""What has a rule of its own; of all else, kept or not, nothing may be an Aadhaar number."""
_DATE = re.compile(r"(?:(\d{1,2})[/\-.])?(?:(\d{1,2})[/\-.])?(\d{4})", re.ASCII)


def read_card(text: str, on: dt.date, places: Places) -> Details:
    """What the card says of its holder; `on` is the day at the desk. Raises Refused naming `qr` and what in it."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused("is not the code of an ABHA card: it must be JSON") from None
    if not isinstance(said, dict):
        raise _refused("is not the code of an ABHA card: it must be an object")
    for key, value in said.items():
        if key not in _JUDGED and contains_aadhaar(json.dumps({key: value}, ensure_ascii=False)):
            raise _refused(COULD_BE, key if key.isidentifier() and not contains_aadhaar(key) else None)
    birth_date, age = _born(said.get("dob"), on)
    state_lgd, district_lgd = _place(said, places)
    gender = str(said.get("gender") or "U").strip().upper()
    details = {
        "name": said.get("name"),
        "sex": GENDERS.get(gender[:1], "unknown"),
        "birth_date": birth_date,
        "age_years": age,
        "phone": _phone(said.get("mobile")),
        "village": _line(said.get("address")),
        "state_lgd": state_lgd,
        "district_lgd": district_lgd,
        "language": places.language(state_lgd),
        "abha_number": said.get("hidn") or None,
        "abha_address": said.get("hid") or said.get("phr") or None,
    }
    if details["abha_number"] is None and details["abha_address"] is None:
        raise _refused("names neither an ABHA number (hidn) nor an address (hid, phr)", "hidn")
    try:
        return Details.model_validate(details)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        name = str(first["loc"][0])
        raise _refused(str(first["msg"]).removeprefix("Value error, "), _FIELDS.get(name, name)) from None


def _refused(detail: str, key: str | None = None) -> Refused:
    return Refused("card-unreadable", detail, field=f"qr.{key}" if key else "qr")


def _born(text: Any, on: dt.date) -> tuple[dt.date | None, int | None]:
    """The date, or the age that a year alone gives. A card without one leaves it to the desk."""
    if text in (None, "", "-"):
        return None, None
    found = _DATE.fullmatch(str(text).strip())
    if not found or not on.year - OLDEST <= int(found[3]) <= on.year:
        raise _refused(f"must be a date or a year of the last {OLDEST} years", "dob")
    year = int(found[3])
    try:
        date = dt.date(year, int(found[2] or 0), int(found[1] or 0))
    except ValueError:
        return None, on.year - year
    return (date, None) if date <= on else (None, on.year - year)


def _place(said: dict[str, Any], places: Places) -> tuple[int | None, int | None]:
    """Codes that we know, else nothing: `-` and strangers' states are common."""
    state = _code(said.get("statelgd"))
    if state not in places.states:
        named = said.get("state name") or said.get("state_name")
        state = places.state_named(named if isinstance(named, str) else None)
    district = _code(said.get("distlgd"))
    if district is None or places.districts.get(district) != state:
        district = None
    return state, district


def _code(value: Any) -> int | None:
    text = str(value).strip()
    return int(text) if re.fullmatch(r"\d{1,6}", text, re.ASCII) else None


def _phone(value: Any) -> str | None:
    try:
        return phone(str(value)) if value else None
    except ValueError as error:
        if str(error) == NO_PHONE:
            raise _refused(NO_PHONE, "mobile") from None
        return None


def _line(value: Any) -> str | None:
    """As far as it fits; what has no letter says nothing."""
    if not isinstance(value, str) or not any(char.isalpha() for char in value):
        return None
    return " ".join(value.split())[:PLACE_AT_MOST]
