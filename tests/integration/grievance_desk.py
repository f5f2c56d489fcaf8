"""People at keyboards, for the grievance service's tests on the real stack, and a directory for it to know."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
from pymongo import MongoClient

from deploy.local.testing import Served, TestStack, serving

DATA = Path(__file__).parents[2] / "data" / "facilities.csv"
ABOUT, OFFICE, ABOVE = "LA-LEH-PHC-PANAMIK", "LA-LEH-SDH-DISKIT", "LA-LEH-DH-SNM"
APEX, CELL = "JK-SXR-MC-SMHS", "JK-STATE-CELL"
SENT = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)
TEXT = "Three medicines written, none in the pharmacy"


def card(row: dict[str, str]) -> dict[str, Any]:
    numbers = {name: int(row[name]) for name in ("state_lgd", "district_lgd", "altitude_m", "beds")}
    places = {name: float(row[name]) for name in ("latitude", "longitude")}
    names = {name: row[name] for name in ("code", "hip_id", "name", "level")}
    return numbers | places | names | {"refers_to": row["refers_to"] or None}


class Desk:
    """Sends what people at a keyboard would."""

    def __init__(self, client: httpx.AsyncClient, issuer: Any, database: Any) -> None:
        self.client = client
        self.issuer = issuer
        self.database = database

    def token(self, role: str, facility: str = "", subject: str | None = None, patient: str | None = None) -> str:
        return f"Bearer {self.issuer.token(role=role, facility=facility, subject=subject, patient=patient)}"

    async def send(
        self,
        path: str,
        body: dict[str, Any],
        *,
        token: str | None = None,
        key: str | None = None,
        sent: dt.datetime = SENT,
        **headers: str,
    ) -> httpx.Response:
        headers |= {"Idempotency-Key": key or str(uuid.uuid4()), "Date": format_datetime(sent, usegmt=True)}
        if token:
            headers["Authorization"] = token
        return await self.client.post(path, json=body, headers=headers)

    async def file(self, key: str | None = None, token: str | None = None, **body: Any) -> httpx.Response:
        whole = {"category": "medicine-not-available", "text": TEXT, "about_facility": ABOUT, "language": "bo"} | body
        return await self.send("/grievances", whole, token=token, key=key)

    async def filed(self, **body: Any) -> dict[str, Any]:
        answer = await self.file(token=self.citizen(), **body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def move(
        self,
        id: str,
        move: str,
        token: str | None,
        key: str | None = None,
        sent: dt.datetime = SENT,
        **body: Any,
    ) -> httpx.Response:
        return await self.send(f"/grievances/{id}/{move}", body, token=token, key=key, sent=sent)

    def citizen(self, name: str = "P1") -> str:
        return self.token("citizen", ABOUT, f"citizen:{name}", patient=f"patient-{name}")

    def officer(self, facility: str = OFFICE) -> str:
        return self.token("officer", facility)

    def nodal(self, facility: str = OFFICE) -> str:
        return self.token("nodal-officer", facility)

    async def count(self) -> int:
        return int(await self.database["grievances"].count_documents({}))

    async def document(self, id: str) -> dict[str, Any]:
        return dict(await self.database["grievances"].find_one({"_id": id}))


def seed_directory(mongodb_uri: str, prefix: str) -> None:
    """What the service's replica of the directory holds once the referral service has listed the facilities."""
    with MongoClient[dict[str, Any]](mongodb_uri) as client, DATA.open(encoding="utf-8") as rows:
        known = [{"_id": row["code"], "epoch": 0, "sequence": 0, "card": card(row)} for row in csv.DictReader(rows)]
        client[f"{prefix}grievance"]["facilities"].insert_many(known)


@contextlib.asynccontextmanager
async def serving_office(stack: TestStack, **settings: str) -> AsyncIterator[Served]:
    """The service over the directory as it is listed, and nothing of what others published about it."""
    async with stack.untouched() as prefix:
        seed_directory(stack.mongodb_uri, prefix)
        async with serving(stack.settings("grievance", DATABASE_PREFIX=prefix, **settings), "grievance") as served:
            yield served


def named(answer: httpx.Response) -> set[str]:
    return {error["field"] for error in answer.json().get("errors", [])}
