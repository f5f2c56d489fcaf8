"""A Bundle from outside, read whole: which referrals it asks for, and what it tells of one that is there.

Taken are `transaction` and `collection`, with ServiceRequest and Task; Patient, Organization and Practitioner(Role) are
only what those refer to, and are not kept: who a patient is, registration says. Whatever is wrong is named by entry and
element, all of it at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.fhir import operation_outcome
from libs.common.refusal import Refused
from services.referral import fhir
from services.referral.domain import commands
from services.referral.fhir import Cards, Resource

TYPES = ("transaction", "collection")
REFERRED_TO = frozenset({"Patient", "Organization", "Practitioner", "PractitionerRole"})
MOST = 50
"""Entries of a Bundle."""

STILL_ASKED = frozenset({"draft", "requested", "received", "ready"})
"""What a Task may say of a request that it comes with: it cannot have been answered yet."""

ELEMENTS = {
    "patient": "subject",
    "to": "performer",
    "service": "performerType",
    "reason": "reasonCode",
    "urgency": "priority",
}
"""Which element of a ServiceRequest says what is a field of ours."""
OF_THE_ENTRY = frozenset({"fullUrl", "request.method", "request.url"})
"""Elements beside the resource."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with an entry (None: with the Bundle); `status` as HTTP has it."""

    entry: int | None
    refused: Refused
    status: int

    @property
    def expression(self) -> str:
        """The element in FHIRPath."""
        field = self.refused.field
        if self.entry is None:
            return f"Bundle.{field}" if field else "Bundle"
        where = f"Bundle.entry[{self.entry}]"
        if field in OF_THE_ENTRY:
            return f"{where}.{field}"
        return f"{where}.resource.{ELEMENTS.get(field, field)}" if field else where


class NotTaken(Exception):
    """Nothing of the Bundle is taken."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("bundle-not-taken")
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Asked:
    """A referral that entry number `entry` asks for."""

    entry: int
    request: commands.Request


@dataclass(frozen=True)
class Told:
    """What entry number `entry`, a Task, tells of referral `id`."""

    entry: int
    id: str
    task: Resource


@dataclass(frozen=True)
class Taken:
    """`with_request` are Tasks that come with the ServiceRequest of an entry; `aside` is only referred to."""

    asked: tuple[Asked, ...]
    told: Told | None
    with_request: Mapping[int, int]
    aside: tuple[int, ...]


def fault(entry: int | None, refused: Refused, status: int | None = None) -> Fault:
    return Fault(entry, refused, status or (409 if refused.field is None else 422))


def read(bundle: Mapping[str, Any], cards: Cards, here: str | None = None) -> Taken:
    """`here` is the facility of whoever sends it. Raises NotTaken."""
    _check(bundle)
    reader = _Reader(bundle, cards, here)
    for number in range(len(reader.entries)):
        try:
            reader.take(number)
        except Refused as refused:
            reader.faults.append(fault(number, refused))
    if not reader.faults and not reader.asked and reader.told is None:
        reader.faults.append(fault(None, Refused("nothing-asked", "asks for nothing and tells nothing", field="entry")))
    if reader.faults:
        raise NotTaken(reader.faults)
    return Taken(tuple(reader.asked.values()), reader.told, reader.with_request, tuple(reader.aside))


def _check(bundle: Mapping[str, Any]) -> None:
    if bundle.get("resourceType") != "Bundle":
        refused = Refused("not-a-bundle", "a Bundle is taken here", field="resourceType")
    elif bundle.get("type") not in TYPES:
        refused = Refused("unknown-code", f"must be {' or '.join(TYPES)}: all of it is taken, or nothing", field="type")
    elif not isinstance(bundle.get("entry"), list) or not 0 < len(bundle["entry"]) <= MOST:
        refused = Refused("out-of-range", f"must be 1 to {MOST} entries", field="entry")
    else:
        return
    raise NotTaken([fault(None, refused)])


class _Reader:
    def __init__(self, bundle: Mapping[str, Any], cards: Cards, here: str | None) -> None:
        self.here = here
        self.transaction = bundle["type"] == "transaction"
        self.entries: list[Any] = bundle["entry"]
        self.cards = cards
        self.faults: list[Fault] = []
        self.asked: dict[int, Asked] = {}
        self.told: Told | None = None
        self.with_request: dict[int, int] = {}
        self.aside: list[int] = []
        self.named: dict[str, int] = {}
        for number, entry in enumerate(self.entries):
            for name in _names(entry):
                if self.named.setdefault(name, number) != number:
                    self.faults.append(fault(number, Refused("twice", "names another entry, too", field="fullUrl")))

    def take(self, number: int) -> None:
        resource = _resource(self.entries[number])
        kind = str(resource.get("resourceType"))
        if kind not in ("ServiceRequest", "Task", *REFERRED_TO):
            raise Refused("not-taken", "is no resource that is taken here", field="resourceType")
        if self.transaction:
            self._check_request(number, kind)
        if kind == "ServiceRequest":
            self._asks(number)
        elif kind == "Task":
            self._tells(number, resource)
        else:
            self.aside.append(number)

    def _check_request(self, number: int, kind: str) -> None:
        """A transaction says of each entry what to do with it: a ServiceRequest is created, a Task created or told."""
        said = fhir.of(self.entries[number], "request")
        allowed = {"ServiceRequest": ("POST",), "Task": ("POST", "PUT")}.get(kind, ("POST", "PUT", "GET"))
        if said.get("method") not in allowed:
            raise Refused("unknown-code", f"must be {' or '.join(allowed)}", field="request.method")
        if str(said.get("url", "")).partition("?")[0].partition("/")[0] != kind:
            raise Refused("not-of-this-kind", "must be of the resource's own kind", field="request.url")

    def _asks(self, number: int) -> Asked:
        if number not in self.asked:
            resource = dict(_resource(self.entries[number]))
            if isinstance(resource.get("subject"), Mapping):
                resource["subject"] = self._resolved(resource["subject"])
            resource["performer"] = [self._resolved(each) for each in fhir.many(resource.get("performer"))]
            if isinstance(resource.get("requester"), Mapping):
                resource["requester"] = self._resolved(resource["requester"])
            self.asked[number] = Asked(number, fhir.requested(resource, self.cards, self.here))
        return self.asked[number]

    def _tells(self, number: int, task: Resource) -> None:
        about = str(fhir.of(task, "focus").get("reference", ""))
        among = self.named.get(about)
        if among is None:
            id = fhir.reference({"reference": about}, "ServiceRequest")
            if id is None:
                raise Refused("missing", "must be a ServiceRequest of this Bundle, or one of ours", field="focus")
            if self.told is not None:
                raise Refused("one-at-a-time", "of referrals that are there, one is told of in a Bundle", field="focus")
            self.told = Told(number, id, task)
            return
        if _resource(self.entries[among]).get("resourceType") != "ServiceRequest":
            raise Refused("missing", "must be a ServiceRequest", field="focus")
        if str(task.get("status")) not in STILL_ASKED:
            raise Refused("not-yet", f"must be {', '.join(sorted(STILL_ASKED))}: it is only asked for", field="status")
        try:
            request = self._asks(among).request
        except Refused:
            return  # Named where it stands.
        patient = fhir.reference(self._resolved(fhir.of(task, "for")), "Patient")
        if patient not in (None, request.patient):
            raise Refused("another-patient", "must be the subject of the ServiceRequest", field="for")
        owner = self._resolved(fhir.of(task, "owner"))
        if owner and fhir.facility(owner, self.cards) != request.to:
            raise Refused("another-facility", "must be the performer of the ServiceRequest", field="owner")
        self.with_request[number] = among

    def _resolved(self, reference: Mapping[str, Any]) -> Mapping[str, Any]:
        """A reference to an entry, as one to what we know: a patient by the id that registration gave, a facility by
        our code or the registry's number. Any other as it is."""
        among = self.named.get(str(reference.get("reference", "")))
        if among is None:
            return reference
        return fhir.known_as(_resource(self.entries[among]))


def _resource(entry: Any) -> Resource:
    found = entry.get("resource") if isinstance(entry, Mapping) else None
    return found if isinstance(found, dict) else {}


def _names(entry: Any) -> set[str]:
    """By which other entries may refer to this one."""
    resource = _resource(entry)
    names = {str(entry["fullUrl"])} if isinstance(entry, Mapping) and entry.get("fullUrl") else set()
    if resource.get("id"):
        names.add(f"{resource.get('resourceType')}/{resource['id']}")
    return names


def outcome(faults: Sequence[Fault]) -> tuple[Resource, int]:
    """Every fault as an issue, and the status of the answer."""
    issues = []
    for each in faults:
        found = operation_outcome(each.refused.code, each.refused.detail, each.expression, each.refused.allowed)
        [issue] = found["issue"]
        issues.append(issue | {"code": _ISSUES.get(each.status, "invalid")})
    return {"resourceType": "OperationOutcome", "issue": issues}, max(each.status for each in faults)


_ISSUES = {403: "forbidden", 404: "not-found", 409: "business-rule"}


def response(taken: Taken, ids: Mapping[int, str], count: int) -> Resource:
    """What became of each entry, in their order; `ids` of the referrals by the entry that asked or told."""
    entries = []
    created = {each.entry for each in taken.asked}
    for number in range(count):
        if number in taken.aside:
            aside = operation_outcome("referred-to-only", "is referred to, and not kept here")
            aside["issue"][0] |= {"severity": "information", "code": "informational"}
            entries.append({"response": {"status": "200 OK", "outcome": aside}})
            continue
        id = ids[taken.with_request.get(number, number)]
        kind = "ServiceRequest" if number in created else "Task"
        made = number in created or number in taken.with_request
        entries.append({"response": {"status": "201 Created" if made else "200 OK", "location": f"{kind}/{id}"}})
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
