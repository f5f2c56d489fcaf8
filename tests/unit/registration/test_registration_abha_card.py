"""What an ABHA card's code says, read leniently, and never more than a claim."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from libs.common.refusal import Refused
from services.registration.abha_card import read_card
from services.registration.domain.patient import Details
from services.registration.places import read_places

ON = dt.date(2026, 11, 20)
PLACES = read_places()
CARD = {
    "hidn": "00-2073-0231-9521", "hid": "dolma@abdm", "name": "Tsering Dolma", "gender": "F", "statelgd": "37",
    "distlgd": "9", "dob": "3/4/1986", "state name": "LADAKH", "district_name": "LEH", "mobile": "5550123456",
    "address": "Hunder, Nubra",
}  # fmt: skip


def read(**changes: Any) -> Details:
    said = {name: value for name, value in (CARD | changes).items() if value is not ...}
    return read_card(json.dumps(said), ON, PLACES)


def test_a_card_is_read_whole() -> None:
    assert read().model_dump(mode="json", exclude_none=True) == {
        "name": "Tsering Dolma", "sex": "female", "birth_date": "1986-04-03", "phone": "+915550123456",
        "village": "Hunder, Nubra", "district_lgd": 9, "state_lgd": 37, "language": "bo",
        "abha_number": "00207302319521", "abha_address": "dolma@abdm", "identifiers": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"hid": ..., "phr": "Dolma@SBX"}, "abha_address", "dolma@sbx"),
        ({"hidn": ""}, "abha_number", None),
        ({"dob": "3-4-1986"}, "birth_date", dt.date(1986, 4, 3)),
        ({"dob": "1986"}, "age_years", 40),
        ({"dob": "4/1986"}, "age_years", 40),
        ({"dob": "31/2/1986"}, "age_years", 40),
        ({"dob": None}, "birth_date", None),
        ({"distlgd": "-"}, "district_lgd", None),
        ({"statelgd": "-", "distlgd": "-"}, "state_lgd", 37),
        ({"statelgd": "28", "state name": "ANDHRA PRADESH"}, "state_lgd", None),
        ({"gender": "Male"}, "sex", "male"),
        ({"gender": "D"}, "sex", "unknown"),
        ({"gender": ...}, "sex", "unknown"),
        ({"mobile": "-"}, "phone", None),
        # Its twelve digits pass Verhoeff; with +91 before ten it is a phone all the same.
        ({"mobile": "+915550123409"}, "phone", "+915550123409"),
        ({"address": "12"}, "village", None),
        ({"address": "x" * 300}, "village", "x" * 120),
    ],
)
def test_cards_and_apps_differ(changes: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(read(**changes), field) == value


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("not json", "qr"),
        ("[]", "qr"),
        ("[" * 3000, "qr"),
        (json.dumps({"name": "Somebody"}), "qr.hidn"),
        (json.dumps(CARD | {"hidn": "123"}), "qr.hidn"),
        (json.dumps(CARD | {"hid": "no address"}), "qr.hid"),
        (json.dumps(CARD | {"dob": "yesterday"}), "qr.dob"),
        (json.dumps(CARD | {"dob": "1/1/1700"}), "qr.dob"),
        (json.dumps(CARD | {"name": None}), "qr.name"),
        (json.dumps(CARD | {"name": "Tashi 999941057058"}), "qr.name"),
        (json.dumps(CARD | {"address": "near 9999 4105 7058"}), "qr.address"),
        (json.dumps(CARD | {"address": "9999-4105-7058"}), "qr.address"),
        (json.dumps(CARD | {"uid": 999941057058}), "qr.uid"),
        (json.dumps(CARD | {"a999941057058": ""}), "qr"),
        (json.dumps(CARD | {"mobile": "999941057058"}), "qr.mobile"),
        (json.dumps(CARD | {"hidn": "999941057058"}), "qr.hidn"),
    ],
)
def test_what_cannot_be_read_is_named_and_never_repeated(text: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        read_card(text, ON, PLACES)
    assert refused.value.field == field
    assert "999941057058" not in refused.value.detail
