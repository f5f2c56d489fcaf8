"""Open311 GeoReport v2 at /open311/v2: clients that exist can file and follow complaints as they are.

`api_key` is one of the secret `open311_keys`; it is asked of who files, and lists that client's own requests. The
id of one is its ticket and its secret together, so that nobody can follow what they did not file. A client's repeated
POST (same fields, same day) is the same complaint.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from libs.common.access import Access, Caller
from libs.common.cause import request_cause
from libs.common.mongo import Document
from libs.common.refusal import Refused
from libs.common.web import Reading, fingerprint_of, time_of_sending
from services.grievance import bodies, store, usecases
from services.grievance.domain import open311
from services.grievance.domain import ticket as tickets
from services.grievance.domain.calendar import IST
from services.grievance.domain.category import Category
from services.grievance.domain.open311 import Fault
from services.grievance.domain.state import Grievance
from services.grievance.settings import Settings
from services.grievance.tracking import TrackingKey
from services.grievance.usecases import Complaint, ContactDetails, Office

Format = Literal["json", "xml"]
MOST = 1000
OLDEST = dt.timedelta(days=90)
"""How far back a list goes where no dates are told (GeoReport v2)."""

ROLE = "open311"
NAMES = {"text": "description", "about_facility": "attribute[facility]", "about_referral": "attribute[referral]"}
"""What a client calls our fields."""

VERB = "POST /open311/v2/requests"
"""In whatever format the answer is asked for."""


def router(office: Office, categories: Mapping[str, Category], tracking: TrackingKey, settings: Settings) -> APIRouter:
    routes = APIRouter(prefix="/open311/v2", tags=["open311"])
    desk = _Desk(office, categories, tracking, settings.open311_keys(), settings.open311_jurisdiction)

    async def answered(format: str, name: str, asked: Awaitable[Any], status: int = 200) -> Response:
        try:
            return _answer(format, name, await asked, status)
        except Fault as fault:
            return _answer(format, "errors", [{"code": fault.code, "description": fault.description}], fault.code)

    @routes.get("/discovery.{format}")
    async def discovery(format: Format, access: Reading) -> Response:
        """Where this is, and in which formats."""

        async def told() -> Any:
            return open311.discovery("/open311/v2")

        return await answered(format, "discovery", told())

    @routes.get("/services.{format}")
    async def services(format: Format, access: Reading, jurisdiction_id: str | None = None) -> Response:
        """What may be complained about."""
        return await answered(format, "services", desk.services(jurisdiction_id))

    @routes.get("/services/{service_code}.{format}")
    async def definition(
        service_code: str, format: Format, access: Reading, jurisdiction_id: str | None = None
    ) -> Response:
        """What to tell with it."""
        return await answered(format, "service_definition", desk.definition(service_code, jurisdiction_id))

    @routes.post("/requests.{format}", status_code=201)
    async def file(format: Format, access: Reading, request: Request) -> Response:
        """Files a complaint: form fields as GeoReport v2 has them, with `api_key`."""
        return await answered(format, "service_requests", desk.file(request, access), 201)

    @routes.get("/requests.{format}")
    async def requests(
        format: Format,
        access: Reading,
        jurisdiction_id: str | None = None,
        api_key: str | None = None,
        service_request_id: str | None = None,
        service_code: str | None = None,
        status: str | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
    ) -> Response:
        """The requests with these ids, or those that this key filed; nobody else's."""
        found = desk.requests(
            jurisdiction_id, api_key, service_request_id, service_code, status, (start_date, end_date)
        )
        return await answered(format, "service_requests", found)

    @routes.get("/requests/{service_request_id}.{format}")
    async def show(
        service_request_id: str, format: Format, access: Reading, jurisdiction_id: str | None = None
    ) -> Response:
        """One request; its id is all that it takes."""
        return await answered(format, "service_requests", desk.request(service_request_id, jurisdiction_id))

    @routes.get("/tokens/{token}.{format}")
    async def token(token: str, format: Format, access: Reading, jurisdiction_id: str | None = None) -> Response:
        """The request's id for a token. Ours are given at once, so a token is the id itself."""
        return await answered(format, "service_requests", desk.token(token, jurisdiction_id))

    return routes


def _answer(format: str, name: str, value: Any, status: int) -> Response:
    if format == "xml":
        return Response(open311.xml(name, value), status, media_type="text/xml; charset=utf-8")
    return Response(json.dumps(value, ensure_ascii=False), status, media_type="application/json; charset=utf-8")


class _Desk:
    def __init__(
        self,
        office: Office,
        categories: Mapping[str, Category],
        tracking: TrackingKey,
        keys: Mapping[str, str],
        jurisdiction: str,
    ) -> None:
        self._office = office
        self._categories = {code: category for code, category in categories.items() if not category.retired}
        self._tracking = tracking
        self._keys = keys
        self.jurisdiction = jurisdiction

    def _check(self, jurisdiction_id: str | None) -> None:
        """There is one, so it need not be named; another one is not here."""
        if jurisdiction_id is not None and jurisdiction_id != self.jurisdiction:
            raise Fault(404, "jurisdiction_id was not found.")

    def _client(self, api_key: str | None) -> str:
        for key, name in self._keys.items():
            if hmac.compare_digest(key.encode(), (api_key or "").encode()):
                return name
        raise Fault(403, "api_key is missing, or is not one of ours.")

    async def services(self, jurisdiction_id: str | None) -> list[dict[str, Any]]:
        self._check(jurisdiction_id)
        return [open311.service(category) for category in self._categories.values()]

    async def definition(self, code: str, jurisdiction_id: str | None) -> dict[str, Any]:
        self._check(jurisdiction_id)
        if code not in self._categories:
            raise Fault(404, "service_code was not found.")
        return open311.definition(self._categories[code], await self._office.directory.every())

    async def token(self, token: str, jurisdiction_id: str | None) -> list[dict[str, Any]]:
        self._check(jurisdiction_id)
        if await self._found(token) is None:
            raise Fault(404, "token was not found.")
        return [{"service_request_id": token, "token": token}]

    async def request(self, id: str, jurisdiction_id: str | None) -> list[dict[str, Any]]:
        self._check(jurisdiction_id)
        found = await self._found(id)
        if found is None:
            raise Fault(404, "service_request_id was not found.")
        return [await self._shown(id, found)]

    async def requests(
        self,
        jurisdiction_id: str | None,
        api_key: str | None,
        ids: str | None,
        service_code: str | None,
        status: str | None,
        dates: tuple[str | None, str | None],
    ) -> list[dict[str, Any]]:
        self._check(jurisdiction_id)
        if ids is not None:
            each = [(id.strip(), await self._found(id.strip())) for id in ids.split(",")[:MOST]]
            return [await self._shown(id, state) for id, state in each if state is not None]
        if api_key is None:
            return []
        start, end = (_date(date) for date in dates)
        now = self._office.clock.now()
        end = end or now
        start = start or end - OLDEST
        shown = []
        wanted = set(service_code.split(",")) if service_code else None
        async for document in self._own(self._client(api_key), start, end):
            state = Grievance.model_validate(document["state"])
            if wanted is None or state.category in wanted:
                shown.append(await self._shown(self._id(document["_id"], state), state))
        matching = [one for one in shown if status is None or one["status"] in status.split(",")]
        return sorted(matching, key=lambda one: one["requested_datetime"], reverse=True)[:MOST]

    def _own(self, client: str, start: dt.datetime, end: dt.datetime) -> AsyncIterator[Document]:
        return store.filed_by_between(self._office.database, f"{ROLE}:{client}", start, end)

    def _id(self, id: str, state: Grievance) -> str:
        """Ticket and secret in one."""
        return f"{state.ticket}-{self._tracking.secret(id)}"

    async def _found(self, id: str) -> Grievance | None:
        ticket, _, secret = id.rpartition("-")
        holder = await store.holder_of(self._office.database, tickets.normalised(ticket) or "")
        if not self._tracking.holds(holder, secret) or holder is None:
            return None
        document = await self._office.journal.load(store.GRIEVANCE, holder)
        return Grievance.model_validate(document["state"]) if document else None

    async def _shown(self, id: str, state: Grievance) -> dict[str, Any]:
        about = await self._office.directory.facility(state.about_facility)
        return open311.request(id, state, self._categories.get(state.category), about)

    async def file(self, request: Request, access: Access) -> list[dict[str, Any]]:
        try:
            form = await request.form()
        except HTTPException:
            raise Fault(400, "The form cannot be read.") from None
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        self._check(fields.get("jurisdiction_id"))
        client = self._client(fields.get("api_key") or request.query_params.get("api_key"))
        category = self._categories.get(fields.get("service_code", ""))
        if category is None:
            raise Fault(404 if fields.get("service_code") else 400, "service_code was not provided or not found.")
        complaint = await self._complaint(fields, category, client)
        sent = time_of_sending(request)
        self._office.clock.saw(sent)
        fingerprint = fingerprint_of(VERB, "", {**fields, "api_key": ""})
        key = request.headers.get("idempotency-key") or f"{sent.astimezone(IST):%Y-%m-%d}:{fingerprint}"
        caller = Caller(subject=f"{ROLE}:{client}", role="citizen")
        cause = request_cause(f"{ROLE}:{client}", VERB, key, fingerprint=fingerprint, actor="citizen", occurred_at=sent)
        try:
            outcome = await usecases.file(self._office, complaint, cause, Access(caller, access.rule, access.route))
        except Refused as refusal:
            raise Fault(400, f"{refusal.field or 'request'}: {refusal.detail}") from None
        filed = {
            "service_request_id": self._id(outcome.id, outcome.state),
            "service_notice": "It is closed when you say that it is put right.",
            "account_id": None,
        }
        return [filed]

    async def _complaint(self, fields: Mapping[str, str], category: Category, client: str) -> Complaint:
        text = " ".join(part for part in (fields.get("description"), fields.get("media_url")) if part)
        contact = {name: fields.get(name) or None for name in ("phone", "email")}
        name = " ".join(fields[part] for part in ("first_name", "last_name") if fields.get(part)) or None
        about = await self._about(fields)
        try:
            body = bodies.FileBody(
                category=category.code,
                text=text,
                about_facility=about,
                about_referral=fields.get("attribute[referral]") or None,
                anonymous=not any(contact.values()),
                contact=bodies.ContactBody(name=name, **contact) if any(contact.values()) else None,
            )
        except ValidationError as error:
            places = {str(part) for found in error.errors(include_input=False) for part in found["loc"][:1]}
            names = {NAMES.get(place, place) for place in places}
            raise Fault(400, f"{', '.join(sorted(names))} was not provided, or cannot be read.") from None
        details = body.contact
        return Complaint(
            category=category,
            text=body.text,
            about_facility=body.about_facility,
            about_referral=body.about_referral,
            language="en",
            filed_by=f"{ROLE}:{client}",
            contact=ContactDetails(details.name, details.phone, details.email) if details else None,
            door=ROLE,
        )

    async def _about(self, fields: Mapping[str, str]) -> str:
        """The facility: named, or the nearest to the place. Raises Fault."""
        named = fields.get("attribute[facility]") or fields.get("address_id")
        if named:
            return named
        try:
            place = float(fields["lat"]), float(fields["long"])
            if not (-90 <= place[0] <= 90 and -180 <= place[1] <= 180):
                raise ValueError
        except (KeyError, ValueError):
            raise Fault(400, "Tell the place: lat and long, address_id, or attribute[facility].") from None
        found = open311.nearest(*place, await self._office.directory.every())
        if found is None:
            raise Fault(400, "There is no facility of ours near lat and long.")
        return found


def _date(written: str | None) -> dt.datetime | None:
    if written is None:
        return None
    try:
        # An offset's plus that a client did not write as %2B has become a space.
        moment = dt.datetime.fromisoformat(re.sub(r"(T[\d:.]+) (\d\d:?\d\d)$", r"\1+\2", written))
        if not 2000 <= moment.year <= 2100:
            raise ValueError
    except ValueError:
        raise Fault(400, "A date must be written like 2026-11-01T00:00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
