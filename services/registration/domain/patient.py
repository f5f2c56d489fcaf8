"""One person: registered, corrected, voided, erased; where known, and by which identifiers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode, personal
from libs.contracts.registration import (
    PatientCard,
    PatientCorrected,
    PatientErased,
    PatientMerged,
    PatientRegistered,
    PatientUnmerged,
    PatientVoided,
    RecordOpened,
    SecondPlace,
    Sex,
)
from services.registration.domain.care import Consent, ConsentGiven, ConsentWithdrawn, OpenedForCare, Purpose, given
from services.registration.domain.identifiers import (
    AbhaAddress,
    AbhaNumber,
    Age,
    IsoDate,
    LgdCode,
    PersonName,
    Phone,
    PlaceName,
    luhn_holds,
)
from services.registration.domain.joining import Merge as Merge
from services.registration.domain.joining import Resolve as Resolve
from services.registration.domain.joining import Unmerge as Unmerge
from services.registration.domain.papers_of_identity import PersonalIdentifier
from services.registration.domain.places import FIELDS, Kind, Lived, Places, lived_in
from services.registration.domain.review import MatchesNoted, RecordExplained, Review, ReviewResolved
from services.registration.domain.search_keys import SearchKeys

Language = Literal["en", "hi", "ur", "bo", "lbj", "doi", "ks"]
VoidReason = Literal["duplicate", "wrong-person", "test-entry", "not-a-person"]
OLDEST = 130
"""Years that somebody may be old."""


def each_once(months: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(months)) != len(months):
        raise ValueError("must name each month once")
    return tuple(sorted(months))


class SecondHome(BaseModel):
    """Where somebody lives in some months of every year: with the herds, on the road works, at the winter school."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    months: Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=12)], ...], AfterValidator(each_once)] = Field(
        min_length=1, max_length=11, description="1 to 12; in the others they are at home"
    )
    village: PlaceName | None = None
    place: PlaceName | None = Field(None, description="As for the home")
    block_lgd: LgdCode | None = None
    sub_district_lgd: LgdCode | None = None
    district_lgd: LgdCode | None = None
    state_lgd: LgdCode | None = None


class Details(BaseModel):
    """What is said of a person at registration."""

    model_config = ConfigDict(frozen=True)

    name: PersonName
    sex: Sex
    birth_date: Annotated[dt.date | None, IsoDate] = None
    age_years: Age | None = Field(None, description="Where the date is not known; an estimate will do")
    phone: Phone | None = Field(None, description="E.164, or ten digits")
    guardian: PersonName | None = Field(None, description="Father, husband, mother or guardian")
    village: PlaceName | None = None
    district_lgd: LgdCode | None = None
    state_lgd: LgdCode | None = None
    language: Language = "en"
    abha_number: AbhaNumber | None = None
    abha_address: AbhaAddress | None = None
    place: PlaceName | None = Field(None, description="A block, sub-district or district by name, however it is spelt")
    block_lgd: LgdCode | None = None
    sub_district_lgd: LgdCode | None = None
    second_place: SecondHome | None = None
    identifiers: tuple[PersonalIdentifier, ...] = Field((), max_length=12)


class Changes(BaseModel):
    """What is to be put right; a field left out stays as it is, null clears it."""

    model_config = ConfigDict(frozen=True)

    name: PersonName | None = None
    sex: Sex | None = None
    birth_date: Annotated[dt.date | None, IsoDate] = None
    age_years: Age | None = None
    phone: Phone | None = None
    guardian: PersonName | None = None
    village: PlaceName | None = None
    district_lgd: LgdCode | None = None
    state_lgd: LgdCode | None = None
    language: Language | None = None
    abha_number: AbhaNumber | None = None
    abha_address: AbhaAddress | None = None
    place: PlaceName | None = None
    block_lgd: LgdCode | None = None
    sub_district_lgd: LgdCode | None = None
    second_place: SecondHome | None = None
    identifiers: tuple[PersonalIdentifier, ...] | None = Field(None, max_length=12)

    def given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set if name in Changes.model_fields}


class Patient(BaseModel):
    """`facilities` are where the person was registered or got a token; their staff may read. `addresses` are further
    ABHA addresses, proven by the gateway."""

    model_config = ConfigDict(frozen=True)

    card: PatientCard
    status: Literal["active", "entered-in-error", "merged", "erased"] = "active"
    facilities: tuple[FacilityCode, ...] = ()
    addresses: tuple[str, ...] = ()
    search: SearchKeys = SearchKeys()
    review: Review | None = None
    consents: tuple[Consent, ...] = ()


class SeenAtFacility(Event):
    """The person came to a facility that did not know them."""

    facility: FacilityCode


class AbhaAddressAdded(Event):
    """The gateway vouched for one more ABHA address of the same person."""

    address: str = personal("")


@dataclass(frozen=True)
class Register:
    """`noted` is who among those known may be the same person."""

    card: PatientCard
    noted: MatchesNoted | None = None


@dataclass(frozen=True)
class Correct:
    changes: Changes
    on: dt.date


@dataclass(frozen=True)
class Void:
    reason: VoidReason
    by: str = "system"


@dataclass(frozen=True)
class SeeAt:
    facility: str


@dataclass(frozen=True)
class Prove:
    """The gateway vouches for these identifiers of the person."""

    abha_address: str
    abha_number: str | None


@dataclass(frozen=True)
class Open:
    """A facility that does not know the person opens the record, for a reason. `glass` is broken against a consent that
    was withdrawn."""

    facility: str
    reason: str
    by: str
    glass: bool = False


@dataclass(frozen=True)
class Agree:
    purpose: Purpose
    at: dt.datetime
    how: str


@dataclass(frozen=True)
class Withdraw:
    purpose: Purpose
    at: dt.datetime


Command = Open | Agree | Withdraw | Merge | Unmerge | Resolve | Register | Correct | Void | SeeAt | Prove


def decide(state: Patient | None, command: Command, places: Places) -> Sequence[Event]:
    """Raises Refused: the field at fault, or the moves that are left."""
    if isinstance(command, Register):
        if state is not None:
            raise Refused("already-registered", "this record exists", allowed=_moves(state))
        registered = PatientRegistered(card=command.card)
        return [registered, command.noted] if command.noted else [registered]
    if state is None:
        return []
    if isinstance(command, Unmerge):
        return _unmerge(state, command)
    if isinstance(command, Resolve):
        return _resolve(state, command)
    if state.status != "active":
        raise Refused("not-active", f"this record is {state.status}", allowed=_moves(state))
    match command:
        case Correct():
            return _correct(state, command, places)
        case Void():
            voided = PatientVoided(card=state.card.model_copy(update={"status": "entered-in-error"}))
            return [voided, RecordExplained(what="voided", reason=command.reason, by=command.by)]
        case SeeAt():
            return [] if command.facility in state.facilities else [SeenAtFacility(facility=command.facility)]
        case Prove():
            return _prove(state, command)
        case Open():
            return _open(state, command)
        case Agree():
            if given(state.consents, command.purpose):
                raise Refused("consent-given", "the person agreed to this already", field="purpose")
            return [ConsentGiven(purpose=command.purpose, at=command.at, how=command.how)]
        case Withdraw():
            if not given(state.consents, command.purpose):
                raise Refused("no-consent", "there is no consent to withdraw", field="purpose")
            return [ConsentWithdrawn(purpose=command.purpose, at=command.at)]
        case Merge():
            if command.into == state.card.id:
                raise Refused("same-record", "is this very record", field="into")
            card = state.card.model_copy(update={"merged_into": command.into})
            explained = RecordExplained(what="merged", other=command.into, reason=command.reason, by=command.by)
            return [PatientMerged(card=card, merged_into=command.into), explained]


def _open(state: Patient, command: Open) -> Sequence[Event]:
    if given(state.consents, "CAREMGT") is False and not command.glass:
        raise Refused("consent-withdrawn", "the person withdrew consent: break the glass only in an emergency")
    opened = OpenedForCare(facility=command.facility, reason=command.reason, by=command.by, glass=command.glass)
    told = RecordOpened(card=state.card, facility=command.facility, break_glass=command.glass)
    known = command.facility in state.facilities
    return [opened, told] if known else [opened, told, SeenAtFacility(facility=command.facility)]


def _unmerge(state: Patient, command: Unmerge) -> Sequence[Event]:
    into = state.card.merged_into
    if state.status != "merged" or into is None:
        raise Refused("not-merged", f"this record is {state.status}", allowed=_moves(state))
    unmerged = PatientUnmerged(card=state.card.model_copy(update={"merged_into": None}), merged_into=into)
    return [unmerged, RecordExplained(what="unmerged", other=into, reason=command.reason, by=command.by)]


def _resolve(state: Patient, command: Resolve) -> Sequence[Event]:
    if state.review is None:
        raise Refused("no-review", "no match of this record waits for a person")
    if state.review.status != "open":
        raise Refused("review-resolved", "somebody has decided already")
    if command.decision == "same":
        if command.candidate not in {one.patient for one in state.review.candidates}:
            raise Refused("no-candidate", "is not one of those whom this review names", field="candidate")
        if state.status != "active":
            raise Refused("not-active", f"this record is {state.status}", allowed=_moves(state))
    best = state.review.candidates[0].band if state.review.candidates else "ask"
    against = command.decision == "different" and best == "same"
    candidate = command.candidate if command.decision == "same" else None
    return [
        ReviewResolved(
            decision=command.decision, reason=command.reason, overridden=against, by=command.by, candidate=candidate
        )
    ]


def _moves(state: Patient) -> tuple[str, ...]:
    return {
        "active": ("correct", "void", "merge", "erase"),
        "entered-in-error": ("erase",),
        "merged": ("unmerge", "erase"),
        "erased": (),
    }[state.status]


def new_card(
    id: str, said: Details, facility: str, on: dt.date, places: Places, *, ageless: bool = False
) -> PatientCard:
    """`on` is the day at the desk, Asia/Kolkata: ages and birth dates are counted from it. A desk must ask the age; a
    profile shared by phone may lack it (`ageless`). Raises Refused naming the field."""
    if said.birth_date is None and said.age_years is None and not ageless:
        raise Refused("age-needed", "give a birth date or an age; an estimate will do", field="age_years")
    lived = where(places, said, said.place, on)
    birth_date, birth_year = born(said.birth_date, said.age_years, on)
    return PatientCard(
        id=id,
        **said.model_dump(exclude={"age_years", "birth_date", "place", "second_place", *FIELDS.values()}),
        birth_date=birth_date,
        birth_year=birth_year,
        **codes_of(lived),
        place_on=lived.on,
        second_place=second(places, said.second_place, on),
        registered_at=facility,
    )


def where(places: Places, said: Any, place: str | None, on: dt.date) -> Lived:
    """The codes of where somebody lives; `on` stays None where nothing is said. Raises Refused naming the field."""
    codes = Lived(**{field: getattr(said, field) for field in FIELDS.values()})
    if place is None and codes == Lived():
        return codes
    return places.lived(place, codes, on) if place else places.settled(codes, on)


def codes_of(lived: Lived) -> dict[str, int | None]:
    return {field: getattr(lived, field) for field in FIELDS.values()}


def second(places: Places, said: SecondHome | None, on: dt.date) -> SecondPlace | None:
    """Raises Refused naming the field."""
    if said is None:
        return None
    try:
        lived = where(places, said, said.place, on)
    except Refused as refused:
        raise Refused(refused.code, refused.detail, field=f"second_place.{refused.field}") from None
    if said.village is None and lived == Lived():
        raise Refused("place-needed", "name the village, the place or its code", field="second_place")
    return SecondPlace(months=said.months, village=said.village, **codes_of(lived))


def born(birth_date: dt.date | None, age_years: int | None, on: dt.date) -> tuple[dt.date | None, int | None]:
    """Birth date and year, of which an age gives only the year. Raises Refused naming the field."""
    if birth_date is not None and age_years is not None:
        raise Refused("age-twice", "give the birth date or the age, not both", field="age_years")
    if birth_date is not None:
        if birth_date > on:
            raise Refused("born-later", "must not be after the day of the entry", field="birth_date")
        if birth_date.year < on.year - OLDEST:
            raise Refused("too-old", f"must be within {OLDEST} years", field="birth_date")
        return birth_date, birth_date.year
    return None, None if age_years is None else on.year - age_years


def _correct(state: Patient, command: Correct, places: Places) -> Sequence[Event]:
    given = command.changes.given()
    if not given:
        raise Refused("nothing-to-correct", "name at least one field", field="changes")
    for needed in ("name", "sex", "language"):
        if needed in given and given[needed] is None:
            raise Refused("needed", "must not be empty", field=needed)
    if "identifiers" in given:
        given["identifiers"] = given["identifiers"] or ()
    new: dict[str, Any] = {k: v for k, v in given.items() if k not in ("birth_date", "age_years", "place")}
    if given.get("birth_date") or given.get("age_years") is not None:
        new["birth_date"], new["birth_year"] = born(given.get("birth_date"), given.get("age_years"), command.on)
    elif "birth_date" in given or "age_years" in given:
        raise Refused("age-needed", "must not be empty", field="birth_date" if "birth_date" in given else "age_years")
    if any(field in given for field in ("place", *FIELDS.values())):
        lived = _moved(state.card, given, places, command.on)
        new |= codes_of(lived)
        if any(getattr(state.card, field) != code for field, code in codes_of(lived).items()):
            new["place_on"] = lived.on
    if "second_place" in given:
        new["second_place"] = second(places, given["second_place"], command.on)
    changed = tuple(sorted(name for name, value in new.items() if getattr(state.card, name) != value))
    if not changed:
        raise Refused("nothing-changed", "the record says so already", allowed=_moves(state))
    return [PatientCorrected(card=state.card.model_copy(update=new), changed=changed)]


def _moved(card: PatientCard, given: Mapping[str, Any], places: Places, on: dt.date) -> Lived:
    """A new district brings its state along, and a new state keeps no district of the old one; so on each level."""
    codes: dict[Kind, int | None] = {}
    fields = list(FIELDS.values())
    for index, (kind, field) in enumerate(FIELDS.items()):
        larger = any(each in given for each in fields[:index])
        smaller = any(given.get(each) for each in fields[index + 1 :])
        kept = None if larger or smaller or given.get("place") else getattr(card, field)
        codes[kind] = given.get(field, kept)
    lived = lived_in(codes)
    if given.get("place"):
        return places.lived(given["place"], lived, on)
    return places.settled(lived, on)


def _prove(state: Patient, command: Prove) -> Sequence[Event]:
    new: dict[str, Any] = {}
    if command.abha_number and state.card.abha_number is None:
        new["abha_number"] = command.abha_number
    if state.card.abha_address is None:
        new["abha_address"] = command.abha_address
    events: list[Event] = []
    if new:
        events.append(PatientCorrected(card=state.card.model_copy(update=new), changed=tuple(sorted(new))))
    if command.abha_address not in (new.get("abha_address", state.card.abha_address), *state.addresses):
        events.append(AbhaAddressAdded(address=command.abha_address))
    return events


def evolve(state: Patient | None, event: Event) -> Patient:
    match event:
        case PatientRegistered():
            return Patient(card=event.card, facilities=(event.card.registered_at,), search=SearchKeys.of(event.card))
        case PatientCorrected() if state:
            return state.model_copy(update={"card": event.card, "search": SearchKeys.of(event.card)})
        case PatientVoided() if state:
            return state.model_copy(update={"card": event.card, "status": "entered-in-error"})
        case SeenAtFacility() if state:
            return state.model_copy(update={"facilities": (*state.facilities, event.facility)})
        case AbhaAddressAdded() if state:
            return state.model_copy(update={"addresses": (*state.addresses, event.address)})
        case PatientMerged() if state:
            return state.model_copy(update={"card": event.card, "status": "merged"})
        case PatientUnmerged() if state:
            return state.model_copy(update={"card": event.card, "status": "active"})
        case MatchesNoted() if state:
            return state.model_copy(update={"review": Review(candidates=event.candidates)})
        case OpenedForCare() | RecordOpened() | RecordExplained() if state:
            return state
        case ConsentGiven() if state:
            consent = Consent(purpose=event.purpose, at=event.at)
            return state.model_copy(update={"consents": (*state.consents, consent)})
        case ConsentWithdrawn() if state:
            return state.model_copy(update={"consents": _withdrawn(state.consents, event)})
        case ReviewResolved() if state and state.review:
            return state.model_copy(update={"review": state.review.resolved(event)})
        case PatientErased() if state:
            return Patient(
                card=PatientCard(id=state.card.id, registered_at=state.card.registered_at),
                status="erased",
                facilities=state.facilities,
            )
    raise ValueError(f"no patient can have {event.TYPE}")


def _withdrawn(consents: tuple[Consent, ...], event: ConsentWithdrawn) -> tuple[Consent, ...]:
    return tuple(
        one.model_copy(update={"withdrawn_at": event.at})
        if one.purpose == event.purpose and one.withdrawn_at is None
        else one
        for one in consents
    )


def searchable(state: Patient) -> Patient:
    """With today's keys of search and matching; of somebody who was erased there are none."""
    return state if state.status == "erased" else state.model_copy(update={"search": SearchKeys.of(state.card)})


def claims(state: Patient) -> list[str]:
    """Identifiers nobody else may hold; a record entered in error gives them up, a merged one keeps them for both.
    Of two records only one can be part of the other, also when both are merged at one instant."""
    if state.status not in ("active", "merged"):
        return []
    addresses = {state.card.abha_address, *state.addresses} - {None, ""}
    numbers = [f"abha-number:{state.card.abha_number}"] if state.card.abha_number else []
    records = [f"mrn:{one.facility}:{one.value}" for one in state.card.identifiers if one.type == "mrn"]
    pair = sorted((state.card.id, state.card.merged_into)) if state.card.merged_into else []
    merged = ["merge:" + "+".join(pair)] if pair else []
    return numbers + [f"abha-address:{address}" for address in sorted(filter(None, addresses))] + records + merged


def warnings(said: PatientCard | Details) -> list[Mapping[str, str]]:
    """What the desk should look at again; never a reason to refuse."""
    if said.abha_number and not luhn_holds(said.abha_number):
        return [{"field": "abha_number", "detail": "the check digit does not fit: please read it again"}]
    return []
