"""At home: codes to a phone, provisional cards for a family, a day chosen, arrival, and the first desk's look.

Nothing here ever looks whether somebody is registered: every answer before a code is the same for everybody.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from libs.common.access import SYSTEM, Access, Caller
from libs.common.cause import Cause
from libs.common.clock import machine_now
from libs.common.ids import derive
from libs.common.journal import NotFound, Outcome
from libs.common.mongo import Database, DuplicateKey
from libs.common.refusal import Refused
from libs.contracts.registration import CallerCard
from services.registration import usecases
from services.registration.aggregates import CALLER, HOME_CARD
from services.registration.domain import caller as callers
from services.registration.domain import home_card as cards
from services.registration.domain.caller import CodeAccepted
from services.registration.domain.home_card import HomeCard, Relation, card_number
from services.registration.domain.patient import Details, Language
from services.registration.domain.queue import desk_day
from services.registration.domain.visit import Visit
from services.registration.usecases import House, own_facility

SESSION_VALID = dt.timedelta(hours=24)
PEPPER = "caller-pepper"


@dataclass(frozen=True)
class Session:
    """A phone that gave its code."""

    caller: str
    until: dt.datetime


@dataclass(frozen=True)
class Keeper:
    """The key from which ids of phones, codes and sessions are derived: made once, kept in our own store beside the
    phones that it covers, so that no id that leaves the service can be turned back into a phone by trying them all."""

    key: bytes

    def caller_id(self, phone: str) -> str:
        return derive("caller", self._mac("phone", phone).hex())

    def code(self, caller: str, cause: str) -> str:
        """Six digits, derived from the request, so that a retry sends the same (RFC 4226, 5.3, truncates likewise)."""
        mac = self._mac("code", caller, cause)
        at = mac[-1] & 15
        return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"

    def card_number(self, id: str) -> str:
        return card_number(self._mac("card", id))

    def device_key(self, device: str, key: int) -> str:
        """Of the device's id and which of its keys it is."""
        return base64.urlsafe_b64encode(self._mac("device", device, str(key))).decode().rstrip("=")

    def session(self, caller: str, until: dt.datetime) -> str:
        said = f"{caller}.{int(until.timestamp())}"
        return f"{said}.{base64.urlsafe_b64encode(self._mac('session', said)).decode().rstrip('=')}"

    def read(self, token: str, now: dt.datetime) -> Session | None:
        """Whose session this is; None if it is nobody's or over."""
        caller, _, rest = token.partition(".")
        stated, _, _ = rest.partition(".")
        if not (stated.isascii() and stated.isdigit() and len(stated) < 12):
            return None
        until = dt.datetime.fromtimestamp(int(stated), dt.UTC)
        if not hmac.compare_digest(self.session(caller, until).encode(), token.encode("utf-8", "replace")):
            return None
        return Session(caller, until) if now < until else None

    def _mac(self, *parts: str) -> bytes:
        return hmac.new(self.key, "\x1f".join(parts).encode(), hashlib.sha256).digest()


class HomeStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._keeper: Keeper | None = None

    async def keeper(self) -> Keeper:
        """Made by whoever is first; everybody else reads that one."""
        if self._keeper is None:
            keys = self._database["keys"]
            found = await keys.find_one({"_id": PEPPER})
            if found is None:
                with contextlib.suppress(DuplicateKey):
                    await keys.insert_one({"_id": PEPPER, "key": secrets.token_hex(32), "made_at": machine_now()})
                found = await keys.find_one({"_id": PEPPER})
            assert found is not None
            self._keeper = Keeper(bytes.fromhex(found["key"]))
        return self._keeper

    async def cards_of(self, caller: str) -> list[dict[str, Any]]:
        found = self._database["home_cards"].find({"state.caller": caller}, {"state": 1})
        return sorted([document async for document in found], key=lambda document: document["_id"])

    async def id_of(self, number: str) -> str:
        """Raises NotFound."""
        found = await self._database["home_cards"].find_one({"claims": f"card:{number}"}, {"_id": 1})
        if found is None:
            raise NotFound
        return str(found["_id"])


@dataclass(frozen=True)
class Home:
    house: House
    store: HomeStore


async def request_code(home: Home, phone: str, language: Language, cause: Cause) -> dt.datetime:
    """Sends a code to the phone, through notifications; until when it is good. Raises Refused `too-many-codes`."""
    keeper = await home.store.keeper()
    id = keeper.caller_id(phone)
    own = cause.derive("caller", id)
    card = CallerCard(id=id, phone=phone, language=language)
    command = callers.RequestCode(card, keeper.code(id, own.id), machine_now())
    outcome = await home.house.journal.append(CALLER, id, lambda state: callers.decide(state, command), own, SYSTEM)
    assert outcome.state.code is not None
    return outcome.state.code.expires_at


async def open_session(home: Home, phone: str, code: str, cause: Cause) -> tuple[str, dt.datetime]:
    """A session for the phone that got this code. Raises Refused naming `code`, the same whatever was wrong."""
    keeper = await home.store.keeper()
    id = keeper.caller_id(phone)
    command = callers.TryCode(code, machine_now())
    wrong = Refused("code-wrong", "is wrong, or no longer good: ask for a new one", field="code")
    try:
        outcome = await home.house.journal.append(
            CALLER, id, lambda state: callers.decide(state, command), cause.derive("caller", id), SYSTEM
        )
    except NotFound:
        raise wrong from None
    accepted = [event for event in outcome.events if isinstance(event, CodeAccepted)]
    if not accepted:
        raise wrong
    until = accepted[0].at + SESSION_VALID
    return keeper.session(id, until), until


async def issue(home: Home, session: Session, relation: Relation, details: Details, cause: Cause) -> Outcome[HomeCard]:
    """A provisional card for one of the family. Raises Refused for a birth that cannot be, or too many cards."""
    own = cause.derive("home", session.caller)
    id = own.new_id("home-card")
    # As a desk would judge it, so that arrival cannot fail on what was typed at home.
    usecases.judge(home.house, details, desk_day(cause.occurred_at))
    there = await home.store.cards_of(session.caller)
    if len(there) >= cards.MOST_OF_A_PHONE and id not in {document["_id"] for document in there}:
        raise Refused("too-many-cards", f"a phone can hold {cards.MOST_OF_A_PHONE} cards", field="relation")
    number = (await home.store.keeper()).card_number(id)
    command = cards.Issue(number, session.caller, relation, details)
    return await home.house.journal.create(HOME_CARD, id, lambda state: cards.decide(state, command), own, SYSTEM)


async def _own(home: Home, session: Session, number: str) -> str:
    """The id of a card of this phone. Raises NotFound, also for somebody else's."""
    id = await home.store.id_of(number)
    document = await home.house.journal.load(HOME_CARD, id)
    if document is None or document["state"]["caller"] != session.caller:
        raise NotFound
    return id


async def read(home: Home, session: Session, number: str) -> HomeCard:
    document = await home.house.journal.load(HOME_CARD, await _own(home, session, number))
    assert document is not None
    return HomeCard.model_validate(document["state"])


async def choose(
    home: Home, session: Session, number: str, facility: str, date: dt.date, cause: Cause
) -> Outcome[HomeCard]:
    """Where and when she means to come. Raises Refused naming `facility` or `date`."""
    id = await _own(home, session, number)
    if await home.house.opds.facility(facility) is None:
        raise Refused("unknown-facility", "is no facility of ours", field="facility")
    command = cards.Choose(facility, date, desk_day(cause.occurred_at))
    return await _append(home, id, command, cause.derive("home", session.caller))


async def withdraw(home: Home, session: Session, number: str, cause: Cause) -> Outcome[HomeCard]:
    """Takes back what was typed: its details are forgotten. Raises Refused once she has arrived."""
    id = await _own(home, session, number)
    own = cause.derive("home", session.caller)
    await _append(home, id, cards.Withdraw(), own)
    return await home.house.journal.erase(HOME_CARD, id, cards.CardErased(), own.derive("erased"), SYSTEM)


async def arrive_alone(
    home: Home, session: Session, number: str, counter: str, cause: Cause
) -> tuple[Outcome[HomeCard], Outcome[Visit]]:
    """A token from the phone, at the facility and on the day that were chosen. Raises Refused."""
    id = await _own(home, session, number)
    document = await home.house.journal.load(HOME_CARD, id)
    assert document is not None
    facility = document["state"].get("facility")
    if facility is None:
        raise Refused("not-this-day", "choose a facility and today first", allowed=("choose-day",))
    own = cause.derive("home", session.caller)
    return await _arrive(home, id, facility, counter, own, _at(facility), booked_only=True)


async def arrive_at_desk(
    home: Home, number: str, counter: str, cause: Cause, access: Access
) -> tuple[Outcome[HomeCard], Outcome[Visit]]:
    """A token from the desk, that reads the card's code. Raises NotFound, Refused."""
    id = await home.store.id_of(number)
    return await _arrive(home, id, own_facility(access), counter, cause, access, booked_only=False)


async def _arrive(
    home: Home, id: str, facility: str, counter: str, cause: Cause, access: Access, *, booked_only: bool
) -> tuple[Outcome[HomeCard], Outcome[Visit]]:
    """The record, then the token, then the card says so: a retry completes what a crash cut in half."""
    today = desk_day(cause.occurred_at)
    token = cause.derive("token")
    state = await _state(home, id)
    arrive = cards.Arrive(facility, today, state.patient or id, token.new_id("visit"), booked_only)
    if state.visit != arrive.visit:
        cards.decide(state, arrive)
    patient = await _patient(home, id, state, facility)
    visit = await usecases.take_token(home.house, patient, counter, token, access)
    card = await _append(home, id, dataclasses.replace(arrive, patient=patient), cause)
    return card, visit


async def verify(home: Home, number: str, patient: str | None, cause: Cause, access: Access) -> Outcome[HomeCard]:
    """The first desk has seen her. `patient` is the record she had already, if the desk found one.

    Raises NotFound, and Refused naming `patient`.
    """
    id = await home.store.id_of(number)
    facility = own_facility(access)
    state = await _state(home, id)
    if patient is not None and state.patient not in (None, patient):
        raise Refused("has-a-record", "this card has a record already: merge the two", field="patient")
    if patient is not None:
        patient = await usecases.seen_at(home.house, patient, facility, cause)
    else:
        patient = await _patient(home, id, state, facility)
    return await _append(home, id, cards.Verify(facility, patient), cause)


async def _patient(home: Home, id: str, state: HomeCard, facility: str) -> str:
    """The card's record; made now if there is none. One card makes one record, whoever asks, and how often."""
    if state.patient is not None:
        return state.patient
    if state.details is None:
        raise Refused("card-empty", f"this card is {state.status}", allowed=())
    document = await home.house.journal.load(HOME_CARD, id)
    assert document is not None
    issued = document["journal"][0]
    cause = Cause(derive("home-card-record", id), "citizen", issued["occurred_at"])
    outcome = await usecases.register(home.house, state.details, cause, _at(facility))
    return outcome.id


async def _state(home: Home, id: str) -> HomeCard:
    document = await home.house.journal.load(HOME_CARD, id)
    if document is None:
        raise NotFound
    return HomeCard.model_validate(document["state"])


async def _append(home: Home, id: str, command: cards.Command, cause: Cause) -> Outcome[HomeCard]:
    return await home.house.journal.append(HOME_CARD, id, lambda state: cards.decide(state, command), cause, SYSTEM)


def _at(facility: str) -> Access:
    """A citizen at a facility: the house's own doors ask where."""
    return Access(Caller("home", "citizen", facility))
