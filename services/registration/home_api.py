"""The door for people at home: a phone, a code, provisional cards; and what a desk does with such a card."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import Field, field_validator

from libs.common.clock import machine_now
from libs.common.journal import Outcome
from libs.common.problem import problem
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Id
from services.registration import home, papers
from services.registration.aggregates import HOME_CARD
from services.registration.domain.caller import A_WHILE, TOO_MANY_CODES
from services.registration.domain.home_card import HomeCard, Relation
from services.registration.domain.identifiers import Counter, FacilityCode, IsoDate, Phone
from services.registration.domain.papers_of_identity import PersonalIdentifier
from services.registration.domain.patient import Details, Language
from services.registration.domain.visit import Visit
from services.registration.home import Home, Session
from services.registration.settings import Settings

WRONG_TAKES = 0.15
"""Seconds after which a wrong code is refused, whatever was found."""

Number = Annotated[str, Path(pattern=r"^H[0-9A-HJKMNP-TV-Z]{9}$", description="As on the card: H and nine signs")]


class AskForCode(Body):
    phone: Phone
    language: Language = "en"


class GiveCode(Body):
    phone: Phone
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class RegisterAtHome(Details, Body):
    """Somebody of the family. What only one person can hold is looked at by a desk, and not taken from home: whether it
    is taken would tell who is registered."""

    relation: Relation
    abha_number: None = None
    abha_address: None = None

    @field_validator("identifiers")
    @classmethod
    def _shared_or_own_papers(cls, value: tuple[PersonalIdentifier, ...]) -> tuple[PersonalIdentifier, ...]:
        if any(one.type == "mrn" for one in value):
            raise ValueError("a hospital's own number is for its desk to enter")
        return value


class ChooseDay(Body):
    facility: FacilityCode
    date: Annotated[dt.date, IsoDate]


class Arrive(Body):
    counter: Counter


class Verify(Body):
    patient: Id | None = Field(None, description="The record that the person had already")


class Nothing(Body):
    pass


@dataclass
class Doorkeeper:
    """How often one address may knock, whoever it asks for. Per process; the phone's own limit is in the store."""

    per_minute: int
    _limiter: FixedWindowRateLimiter = field(default_factory=lambda: FixedWindowRateLimiter(MemoryStorage()))

    async def full(self, request: Request) -> bool:
        address = request.client.host if request.client else ""
        return not await self._limiter.hit(RateLimitItemPerMinute(self.per_minute), "home", address)


@dataclass(frozen=True)
class HomeDoor:
    home: Home
    settings: Settings
    read_log: ReadLog
    keeper: Doorkeeper


def card_shown(outcome: Outcome[HomeCard]) -> dict[str, Any]:
    return shown(outcome.state)


def shown(state: HomeCard) -> dict[str, Any]:
    hidden = {"caller"}
    return {name: value for name, value in state.model_dump(mode="json").items() if name not in hidden}


def _token(outcome: Outcome[Visit]) -> dict[str, Any]:
    return {"id": outcome.id, **outcome.state.model_dump(mode="json")}


def _wait(seconds: int) -> JSONResponse:
    return problem(429, "too-many-requests", "Wait before asking again.", headers={"Retry-After": str(seconds)})


def router(door: HomeDoor) -> APIRouter:
    routes = APIRouter(tags=["at home"])

    async def session(
        said: Annotated[str, Header(alias="X-Self-Session", max_length=200, description="From POST /self/sessions")],
    ) -> Session:
        keeper = await door.home.store.keeper()
        found = keeper.read(said, machine_now())
        if found is None:
            raise Unauthenticated("the session is over: ask for a new code")
        return found

    _sessions(routes, door)
    _own_cards(routes, door, Depends(session))
    _papers(routes, door, Depends(session))
    _desk(routes, door)
    return routes


def _sessions(routes: APIRouter, door: HomeDoor) -> None:
    @routes.post("/self/codes", status_code=202, summary="Send a one-time code to a phone", responses={429: {}})
    async def ask(body: AskForCode, request: Requested, http: Request) -> Any:
        if await door.keeper.full(http):
            return _wait(60)
        try:
            until = await home.request_code(door.home, body.phone, body.language, request.cause)
        except Refused as refused:
            if refused.code != TOO_MANY_CODES:
                raise
            return _wait(int(A_WHILE.total_seconds()))
        return {"expires_at": until}

    @routes.post(
        "/self/sessions", status_code=201, summary="A session for the phone that got the code", responses={429: {}}
    )
    async def give(body: GiveCode, request: Requested, http: Request) -> Any:
        if await door.keeper.full(http):
            return _wait(60)
        asked = time.monotonic()
        try:
            token, until = await home.open_session(door.home, body.phone, body.code, request.cause)
        except Refused:
            # A wrong code is counted where a code was sent, which takes a while: the time would tell whom we know.
            await asyncio.sleep(asked + WRONG_TAKES - time.monotonic())
            raise
        return {"session": token, "expires_at": until}


def _own_cards(routes: APIRouter, door: HomeDoor, session: Any) -> None:
    @routes.post("/self/cards", status_code=201, summary="Register oneself or one of the family, provisionally")
    async def register(body: RegisterAtHome, request: Requested, own: Session = session) -> dict[str, Any]:
        details = Details.model_validate(body.model_dump(include=set(Details.model_fields)))
        return card_shown(await home.issue(door.home, own, body.relation, details, request.cause))

    @routes.get("/self/cards", summary="The cards of this phone")
    async def listed(own: Session = session) -> dict[str, Any]:
        found = await door.home.store.cards_of(own.caller)
        return {"cards": [shown(HomeCard.model_validate(document["state"])) for document in found], "cursor": None}

    @routes.get("/self/cards/{number}", summary="One of them")
    async def read(number: Number, own: Session = session) -> dict[str, Any]:
        return shown(await home.read(door.home, own, number))

    @routes.post("/self/cards/{number}/choose-day", summary="Where and when she means to come")
    async def choose(number: Number, body: ChooseDay, request: Requested, own: Session = session) -> dict[str, Any]:
        return card_shown(await home.choose(door.home, own, number, body.facility, body.date, request.cause))

    @routes.post("/self/cards/{number}/arrive", summary="A token from the phone, on the day and at the place chosen")
    async def arrive(number: Number, body: Arrive, request: Requested, own: Session = session) -> dict[str, Any]:
        card, visit = await home.arrive_alone(door.home, own, number, body.counter, request.cause)
        return {"card": card_shown(card), "visit": _token(visit)}

    @routes.post("/self/cards/{number}/withdraw", summary="Take back what was typed; its details are forgotten")
    async def withdraw(number: Number, body: Nothing, request: Requested, own: Session = session) -> dict[str, Any]:
        return card_shown(await home.withdraw(door.home, own, number, request.cause))


def _papers(routes: APIRouter, door: HomeDoor, session: Any) -> None:
    @routes.get("/self/cards/{number}/card.pdf", summary="The card to print; no name stands on it")
    async def printed(number: Number, own: Session = session) -> Response:
        state = await home.read(door.home, own, number)
        language = state.details.language if state.details else "en"
        languages = list(dict.fromkeys([language if language in papers.words() else "en", "en"]))
        made = await asyncio.to_thread(papers.card, number, number, languages, door.settings.fonts)
        return Response(made, media_type="application/pdf")

    @routes.get("/self/cards/{number}/qr.svg", summary="The card's code, to show at the first desk")
    async def code(number: Number, own: Session = session) -> Response:
        await home.read(door.home, own, number)
        return Response(papers.qr_svg(number), media_type="image/svg+xml")


def _desk(routes: APIRouter, door: HomeDoor) -> None:
    @routes.get("/provisional-cards/{number}", summary="What a provisional card says; the reading is logged")
    async def read(number: Number, access: Reading) -> dict[str, Any]:
        id = await door.home.store.id_of(number)
        document = await door.home.house.journal.load(HOME_CARD, id)
        assert document is not None
        state = HomeCard.model_validate(document["state"])
        await door.read_log.record(access, patient=state.patient or id)
        return shown(state)

    @routes.post("/provisional-cards/{number}/arrive", summary="A token for who shows a provisional card")
    async def arrive(number: Number, body: Arrive, request: Requested) -> dict[str, Any]:
        card, visit = await home.arrive_at_desk(door.home, number, body.counter, request.cause, request.access)
        return {"card": card_shown(card), "visit": _token(visit)}

    @routes.post("/provisional-cards/{number}/verify", summary="The first desk has seen the person")
    async def verify(number: Number, body: Verify, request: Requested) -> dict[str, Any]:
        return card_shown(await home.verify(door.home, number, body.patient, request.cause, request.access))
