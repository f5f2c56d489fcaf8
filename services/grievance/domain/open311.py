"""Open311 GeoReport v2, as far as it is pure: services, statuses, what a request says, and how answers are written.

Source: wiki.open311.org, GeoReport v2. Element names and error bodies are its own.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from libs.contracts.referral import FacilityCard
from services.grievance.domain.category import Category
from services.grievance.domain.state import Grievance

LIST_TAGS: Mapping[str, str] = {
    "services": "service",
    "service_requests": "request",
    "errors": "error",
    "attributes": "attribute",
    "values": "value",
    "endpoints": "endpoint",
    "formats": "format",
}
"""Element of each list's items."""

FURTHEST_KM = 30.0
"""A place further than this from every facility is about none of them."""


class Fault(Exception):
    """What a client is told, in its own format: 400 bad request, 403 key, 404 not found."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


CHANGESET = "2026-11-22T00:00:00+00:00"
"""When what is offered here changed last."""


def discovery(url: str) -> dict[str, Any]:
    """Where the endpoint is, and in which formats it speaks."""
    endpoint = {
        "specification": "http://wiki.open311.org/GeoReport_v2",
        "url": url,
        "changeset": CHANGESET,
        "type": "production",
        "formats": ["text/xml", "application/json"],
    }
    told = "A key is given by the operator; it is asked of who files."
    return {"changeset": CHANGESET, "contact": told, "key_service": told, "endpoints": [endpoint]}


def service(category: Category) -> dict[str, Any]:
    return {
        "service_code": category.code,
        "service_name": category.name,
        "description": category.name,
        "metadata": True,
        "type": "realtime",
        "keywords": "emergency" if category.emergency else "",
        "group": "emergency" if category.emergency else "hospital",
    }


def definition(category: Category, facilities: Iterable[FacilityCard]) -> dict[str, Any]:
    """Which facility it is about may be said as an attribute; `address_id` or a place near it does as well."""
    named = [{"key": card.code, "name": card.name} for card in facilities]
    attributes = [
        {
            "variable": True,
            "code": "facility",
            "datatype": "singlevaluelist",
            "required": False,
            "datatype_description": "The facility it is about, if no place is told",
            "order": 1,
            "description": "Which facility is it about?",
            "values": named,
        },
        {
            "variable": True,
            "code": "referral",
            "datatype": "string",
            "required": False,
            "datatype_description": "The id on the referral slip",
            "order": 2,
            "description": "Which referral is it about?",
            "values": [],
        },
    ]
    return {"service_code": category.code, "attributes": attributes}


def request(id: str, state: Grievance, category: Category | None, about: FacilityCard | None) -> dict[str, Any]:
    """A service request without its text: the words are between the complainant and the office."""
    return {
        "service_request_id": id,
        "status": "open" if state.status in ("filed", "assigned", "resolved") else "closed",
        "status_notes": notes(state),
        "service_name": category.name if category else state.category,
        "service_code": state.category,
        "description": None,
        "agency_responsible": state.handled_by,
        "service_notice": None,
        "requested_datetime": written(state.filed_at),
        "updated_datetime": written(max(at for at in _moments(state) if at is not None)),
        "expected_datetime": written(state.expected_by or state.due_at) if state.due_at else None,
        "address": about.name if about else None,
        "address_id": state.about_facility,
        "zipcode": None,
        "lat": about.latitude if about else None,
        "long": about.longitude if about else None,
        "media_url": None,
    }


def notes(state: Grievance) -> str:
    """What has been done, in a word; resolved is not closed before the one who filed it says so."""
    if state.status == "resolved":
        return f"resolved ({state.outcome}); it is closed when you confirm"
    return f"{state.status} ({state.outcome})" if state.outcome else state.status


def _moments(state: Grievance) -> list[dt.datetime | None]:
    return [state.filed_at, state.acknowledged_at, state.assigned_at, state.resolved_at, state.closed_at]


def written(moment: dt.datetime) -> str:
    """W3C date and time with offset, as the specification asks."""
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds")


def nearest(latitude: float, longitude: float, facilities: Iterable[FacilityCard]) -> str | None:
    """The code of the nearest facility within FURTHEST_KM, by great circle."""
    found = min(
        ((_km(latitude, longitude, card.latitude, card.longitude), card.code) for card in facilities), default=None
    )
    return found[1] if found and found[0] <= FURTHEST_KM else None


def _km(lat1: float, long1: float, lat2: float, long2: float) -> float:
    a, b = math.radians(lat1), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(long2 - long1) / 2) ** 2
    return 12_742 * math.asin(math.sqrt(half))


def xml(name: str, value: Any) -> bytes:
    """A document `name`; lists become their items' elements, None an empty one."""
    root = _element(name, value)
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def _element(name: str, value: Any) -> ElementTree.Element:
    element = ElementTree.Element(name)
    if isinstance(value, Mapping):
        element.extend(_element(key, inner) for key, inner in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        element.extend(_element(LIST_TAGS[name], inner) for inner in value)
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    elif value is not None:
        element.text = _printable(str(value))
    return element


def _printable(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n\r" or (char >= " " and char not in "\ufffe\uffff"))
