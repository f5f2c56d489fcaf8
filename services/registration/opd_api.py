"""The OPD's doors: counters, calling and moving numbers, the board, papers, the register, cards read at the desk."""

from __future__ import annotations

import asyncio
import datetime as dt
import html
from dataclasses import dataclass
from pathlib import Path as File
from string import Template
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CollectorRegistry, Histogram
from pydantic import Field, StrictBool
from sse_starlette.sse import EventSourceResponse

from libs.common.access import Access
from libs.common.clock import Clock
from libs.common.journal import Journal, NotFound, Outcome
from libs.common.pages import SECURE
from libs.common.paging import MOST
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from services.registration import opd, papers
from services.registration.abha_card import LONGEST, read_card
from services.registration.aggregates import OPD, SHARE, VISIT
from services.registration.board import Boards, board
from services.registration.domain import visit as visits
from services.registration.domain.identifiers import Counter, IsoDate, PlaceName
from services.registration.domain.opd import Minutes, Opd, PaperLanguage, opd_id
from services.registration.domain.patient import warnings
from services.registration.domain.queue import Door, desk_day
from services.registration.domain.visit import TokenVoidReason, Visit, allowed
from services.registration.register import register
from services.registration.settings import Settings
from services.registration.usecases import House

HERE = File(__file__).parent
RecordId = Annotated[str, Path(min_length=1, max_length=64)]
Facility = Annotated[str, Path(pattern=r"^[A-Z0-9][A-Z0-9-]{1,39}$")]
Languages = Annotated[tuple[PaperLanguage, ...], Field(max_length=2)]
TWO_LANGUAGES = Query(
    pattern=r"^(en|hi|ur|bo|lbj)(,(en|hi|ur|bo|lbj))?$",
    description="One or two, as in hi,en; without, the facility's own",
)


class SetUpOpd(Body):
    token_minutes: Minutes | None = None
    languages: Languages = Field((), description="Of slips and posters; none: the state's and English")


class SetUpCounter(Body):
    counter: Counter
    label: PlaceName
    token_minutes: Minutes | None = Field(None, description="None: as the facility has it")


class Nothing(Body):
    pass


class TransferToken(Body):
    counter: Counter


class VoidToken(Body):
    reason: TokenVoidReason


class PutFirst(Body):
    urgent: StrictBool = True


class ReadCard(Body):
    qr: str = Field(min_length=2, max_length=LONGEST, description="What the scanner read from the ABHA card")


class PullCard(ReadCard):
    counter: Counter | None = Field(None, description="Gives a token there")


@dataclass(frozen=True)
class Office:
    """What these doors work with."""

    house: House
    journal: Journal
    settings: Settings
    clock: Clock
    boards: Boards
    read_log: ReadLog


def opd_shown(state: Opd) -> dict[str, Any]:
    return state.model_dump(mode="json")


def visit_shown(outcome: Outcome[Visit]) -> dict[str, Any]:
    moves = [move for move in allowed(outcome.state.status) if move != "call-next"]
    return {"id": outcome.id, **outcome.state.model_dump(mode="json"), "allowed": moves}


def at_facility(access: Access, facility: str) -> None:
    """For routes about a whole facility. Raises Forbidden."""
    access.check({"facility": facility})


def router(office: Office, registry: CollectorRegistry) -> APIRouter:
    routes = APIRouter()
    _counters(routes, office)
    _calling(routes, office, registry)
    _boards(routes, office)
    _papers(routes, office)
    _cards(routes, office)
    return routes


def _counters(routes: APIRouter, office: Office) -> None:
    house = office.house

    @routes.post("/opd", tags=["opd"], summary="Set up the OPD of one's own facility")
    async def set_up(body: SetUpOpd, request: Requested) -> dict[str, Any]:
        outcome = await opd.set_up(house, body.token_minutes, body.languages, request.cause, request.access)
        return opd_shown(outcome.state)

    @routes.post("/opd/counters", tags=["opd"], summary="Set up a counter, or change its label and validity")
    async def set_up_counter(body: SetUpCounter, request: Requested) -> dict[str, Any]:
        outcome = await opd.set_up_counter(
            house, body.counter, body.label, body.token_minutes, request.cause, request.access
        )
        return opd_shown(outcome.state)

    @routes.get("/opd/{facility}", tags=["opd"], summary="A facility's counters")
    async def read(facility: Facility, access: Reading) -> dict[str, Any]:
        return opd_shown(await office.journal.read(OPD, opd_id(facility), access))

    @routes.post("/opd/{facility}/counters/{counter}/open", tags=["opd"], summary="Open a counter")
    async def open_counter(facility: Facility, counter: Counter, body: Nothing, request: Requested) -> dict[str, Any]:
        outcome = await opd.open_counter(house, facility, counter, request.cause, request.access)
        return opd_shown(outcome.state)

    @routes.post("/opd/{facility}/counters/{counter}/close", tags=["opd"], summary="Close a counter to new tokens")
    async def close_counter(facility: Facility, counter: Counter, body: Nothing, request: Requested) -> dict[str, Any]:
        outcome = await opd.close_counter(house, facility, counter, request.cause, request.access)
        return opd_shown(outcome.state)


def _calling(routes: APIRouter, office: Office, registry: CollectorRegistry) -> None:
    house = office.house
    waiting = Histogram(
        "hillhealth_registration_wait_seconds",
        "From token to first call, at the desk's own times",
        ["door"],
        buckets=(60, 120, 240, 480, 900, 1800, 2700, 3600, 5400, 7200, 14400),
        registry=registry,
    )
    for door in get_args(Door):
        waiting.labels(door)

    @routes.post(
        "/opd/{facility}/counters/{counter}/call-next", tags=["queues"], summary="Call who is next: urgent first"
    )
    async def call_next(facility: Facility, counter: Counter, body: Nothing, request: Requested) -> dict[str, Any]:
        at_facility(request.access, facility)
        outcome = await opd.call_next(house, facility, counter, request.cause, request.access)
        if (waited := opd.waited(outcome)) is not None:
            waiting.labels(outcome.state.door).observe(waited)
        return visit_shown(outcome)

    @routes.post("/visits/{id}/recall", tags=["queues"], summary="Call somebody once more")
    async def recall(id: RecordId, body: Nothing, request: Requested) -> dict[str, Any]:
        move = visits.Recall(request.cause.occurred_at)
        return visit_shown(await opd.move(house, id, move, request.cause, request.access))

    @routes.post("/visits/{id}/serve", tags=["queues"], summary="The person was seen")
    async def serve(id: RecordId, body: Nothing, request: Requested) -> dict[str, Any]:
        return visit_shown(await opd.move(house, id, visits.Serve(), request.cause, request.access))

    @routes.post("/visits/{id}/skip", tags=["queues"], summary="Let somebody go after others, to be recalled")
    async def skip(id: RecordId, body: Nothing, request: Requested) -> dict[str, Any]:
        return visit_shown(await opd.move(house, id, visits.Skip(), request.cause, request.access))

    @routes.post("/visits/{id}/no-show", tags=["queues"], summary="The person did not come when called")
    async def no_show(id: RecordId, body: Nothing, request: Requested) -> dict[str, Any]:
        return visit_shown(await opd.move(house, id, visits.NoShow(), request.cause, request.access))

    @routes.post("/visits/{id}/void", tags=["queues"], summary="The token is of no use any more")
    async def void(id: RecordId, body: VoidToken, request: Requested) -> dict[str, Any]:
        return visit_shown(await opd.void(house, id, body.reason, request.cause, request.access))

    @routes.post("/visits/{id}/urgent", tags=["queues"], summary="To be called before all who are not urgent")
    async def urgent(id: RecordId, body: PutFirst, request: Requested) -> dict[str, Any]:
        return visit_shown(await opd.move(house, id, visits.PutFirst(body.urgent), request.cause, request.access))

    @routes.post("/visits/{id}/transfer", tags=["queues"], summary="Send to another counter, with a number there")
    async def transfer(id: RecordId, body: TransferToken, request: Requested) -> dict[str, Any]:
        outcome = await opd.transfer(house, id, body.counter, request.cause, request.access)
        assert outcome.state.to_visit is not None
        there = await office.journal.read(VISIT, outcome.state.to_visit, request.access)
        return visit_shown(outcome) | {"to": {"id": outcome.state.to_visit, **there.model_dump(mode="json")}}


def _boards(routes: APIRouter, office: Office) -> None:
    @routes.get("/boards/{facility}", include_in_schema=False)
    async def page(facility: Facility) -> HTMLResponse:
        card = await _known(office, facility)
        text = Template((HERE / "board.html").read_text()).substitute(
            facility=html.escape(facility), name=html.escape(str(card["name"]))
        )
        return HTMLResponse(text, headers=SECURE)

    @routes.get("/boards/files/{name}", include_in_schema=False)
    async def file(name: Literal["board.css", "board.js"]) -> Response:
        kind = "text/css" if name.endswith("css") else "text/javascript"
        return Response((HERE / name).read_bytes(), media_type=kind, headers=SECURE)

    @routes.get("/boards/{facility}/now", tags=["queues"], summary="What the board shows: numbers, never names")
    async def now(facility: Facility) -> dict[str, Any]:
        await _known(office, facility)
        return await board(office.house.opds, office.clock, facility)

    @routes.get("/boards/{facility}/events", include_in_schema=False)
    async def events(facility: Facility) -> EventSourceResponse:
        await _known(office, facility)
        if office.boards.full(facility):
            raise Refused("too-many-screens", "as many screens as a facility may have are open")
        return EventSourceResponse(office.boards.stream(facility))


async def _known(office: Office, facility: str) -> dict[str, Any]:
    """The facility's card. Raises NotFound."""
    card = await office.house.opds.facility(facility)
    if card is None:
        raise NotFound
    return card


async def _languages(office: Office, facility: str, asked: str | None) -> list[str]:
    """As asked for, else as the facility has it, else its state's language and English."""
    if asked:
        return list(dict.fromkeys(asked.split(",")))
    state = await office.house.opds.opd(facility)
    if state and state.languages:
        return list(state.languages)
    card = await office.house.opds.facility(facility)
    own = office.house.places.language(card.get("state_lgd") if card else None)
    return list(dict.fromkeys([own if own in papers.words() else "en", "en"]))


async def _name(office: Office, facility: str) -> str:
    card = await office.house.opds.facility(facility)
    return str(card["name"]) if card else facility


def _papers(routes: APIRouter, office: Office) -> None:
    async def address(facility: str, counter: str) -> str:
        card = await _known(office, facility)
        return papers.share_address(
            office.settings.abdm_cm_id, office.settings.abdm_share_page, str(card["hip_id"]), counter
        )

    @routes.get("/opd/{facility}/counters/{counter}/qr.svg", tags=["opd"], summary="A counter's Scan & Share code")
    async def svg(facility: Facility, counter: Counter) -> Response:
        return Response(papers.qr_svg(await address(facility, counter)), media_type="image/svg+xml")

    @routes.get("/opd/{facility}/counters/{counter}/qr.png", tags=["opd"], summary="A counter's Scan & Share code")
    async def png(facility: Facility, counter: Counter) -> Response:
        return Response(papers.qr_png(await address(facility, counter)), media_type="image/png")

    @routes.get("/opd/{facility}/counters/{counter}/poster.pdf", tags=["opd"], summary="The code, to hang up (A4)")
    async def poster(
        facility: Facility, counter: Counter, languages: Annotated[str | None, TWO_LANGUAGES] = None
    ) -> Response:
        text = await address(facility, counter)
        chosen = await _languages(office, facility, languages)
        state = await office.house.opds.opd(facility)
        label = state.counters[counter].label if state and counter in state.counters else counter
        made = await asyncio.to_thread(
            papers.poster, await _name(office, facility), label, text, chosen, office.settings.fonts
        )
        return Response(made, media_type="application/pdf")

    @routes.get("/visits/{id}/slip.pdf", tags=["queues"], summary="A token to hold in the hand, 80 mm wide")
    async def slip(id: RecordId, access: Reading, languages: Annotated[str | None, TWO_LANGUAGES] = None) -> Response:
        state = await office.journal.read(VISIT, id, access)
        said = papers.Slip(
            await _name(office, state.facility), state.counter, state.number, state.date, state.expires_at,
            state.urgent, id,
        )  # fmt: skip
        chosen = await _languages(office, state.facility, languages)
        return Response(
            await asyncio.to_thread(papers.slip, said, chosen, office.settings.fonts), media_type="application/pdf"
        )

    @routes.get("/opd/{facility}/register/{date}", tags=["queues"], summary="The day's OPD register as CSV; logged")
    async def day(facility: Facility, date: Annotated[dt.date, IsoDate], access: Reading) -> Response:
        at_facility(access, facility)
        found = await office.house.opds.of_day(facility, date)
        people = list(dict.fromkeys(visit["patient"] for visit in found))
        cards = await office.house.opds.cards(people)
        await office.read_log.record(access, patient=people)
        name = f"opd-{facility}-{date}.csv"
        return Response(
            "\ufeff" + register(found, cards),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    @routes.get("/shares", tags=["ABDM"], summary="Acknowledgements owed to the gateway, and what became of them")
    async def shares(
        access: Reading,
        status: Literal["waiting", "acknowledged", "given-up"] | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> dict[str, Any]:
        found, following = await office.house.opds.shares(access, status, limit, cursor)
        hidden = {"abha_address"}
        rows = [
            {"id": document["_id"]} | {k: v for k, v in SHARE.shown(document["state"]).items() if k not in hidden}
            for document in found
        ]
        return {"shares": rows, "cursor": following}


def _cards(routes: APIRouter, office: Office) -> None:
    house = office.house

    @routes.post("/abha-cards/read", tags=["patients"], summary="What an ABHA card's code says, and whose record it is")
    async def read(body: ReadCard, access: Reading) -> dict[str, Any]:
        details = read_card(body.qr, desk_day(office.clock.now()), house.places)
        holder = await opd.holder_of(house, details)
        told = {"warnings": found} if (found := warnings(details)) else {}
        return {"details": details.model_dump(mode="json"), "verified": False, "known": holder is not None} | told

    @routes.post("/abha-cards", status_code=201, tags=["patients"], summary="Scan and Pull: for who has no phone")
    async def pull(body: PullCard, request: Requested) -> dict[str, Any]:
        details = read_card(body.qr, desk_day(request.cause.occurred_at), house.places)
        pulled = await opd.pull(house, details, body.counter, request.cause, request.access)
        visit = visit_shown(pulled.visit) if pulled.visit else None
        return {"patient": pulled.patient, "known": pulled.known, "verified": False, "visit": visit}
