"""A restore, rehearsed as docs/operations.md has it: backup, life goes on, the store is lost, restore, a higher epoch.

The dump is taken by pymongo, so that the test needs no mongodump; what it asks of the services is the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from pymongo import MongoClient

from deploy.kafka.rewind import rewind
from deploy.local.testing import Served, TestStack
from libs.common.reconciliation import reconcile, republish
from libs.common.settings import ServiceSettings
from tests.conftest import Serve

HERE = "LA-LEH-CHC-DISKIT"
PERSON = {
    "name": "Rigzin Angmo", "sex": "female", "age_years": 33, "phone": "+915550100001", "village": "Hunder",
    "district_lgd": 9, "state_lgd": 37, "language": "bo",
}  # fmt: skip


class Office:
    """Whoever calls registration, and looks into referral's copy of the cards."""

    def __init__(self, stack: TestStack, registration: Served, referral: Served) -> None:
        self._stack, self.registration, self.referral = stack, registration, referral

    async def post(self, path: str, body: dict[str, Any], key: str, role: str = "desk") -> httpx.Response:
        token = self._stack.issuer.token(role=role, facility=HERE)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return await self.registration.client.post(path, json=body, headers=headers)

    async def register(self, key: str) -> str:
        answer = await self.post("/patients", PERSON, key)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def correct(self, id: str, village: str, key: str) -> None:
        answer = await self.post(f"/patients/{id}/correct", {"village": village}, key)
        assert answer.status_code == 200, answer.text

    async def erase(self, id: str, key: str) -> None:
        answer = await self.post(f"/patients/{id}/erase", {}, key, role="privacy-officer")
        assert answer.status_code == 200, answer.text

    async def copied(self, id: str, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Referral's copy, once it is as it should be. Raises TimeoutError."""
        patients, found = self.referral.service.database["patients"], None
        try:
            async with asyncio.timeout(20):
                while found is None or not right(found):
                    await asyncio.sleep(0.02)
                    found = await patients.find_one({"_id": id})
        except TimeoutError:
            raise TimeoutError(f"referral's copy is still {found}") from None
        return dict(found)


def dump(stack: TestStack, database: str) -> dict[str, list[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        return {name: list(client[database][name].find()) for name in client[database].list_collection_names()}


def restore(stack: TestStack, database: str, dumped: dict[str, list[dict[str, Any]]]) -> None:
    """Into an empty database: what was there is lost."""
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        client.drop_database(database)
        for name, documents in dumped.items():
            if documents:
                client[database][name].insert_many(documents)


def at(epoch: int, sequence: int) -> Callable[[dict[str, Any]], bool]:
    return lambda copy: (copy["epoch"], copy["sequence"]) == (epoch, sequence)


async def test_registration_comes_back_from_its_backup(stack: TestStack, prefix: str, serve: Serve) -> None:
    key = secrets.token_hex(4)

    @asynccontextmanager
    async def open_office(referral: Served, **settings: str) -> AsyncIterator[Office]:
        async with serve("registration", **settings) as registration:
            yield Office(stack, registration, referral)

    async with AsyncExitStack() as held:
        referral = await held.enter_async_context(serve("referral"))
        async with open_office(referral) as office:
            kept, erased = await office.register(f"{key}-kept"), await office.register(f"{key}-erased")
            for id in (kept, erased):
                await office.copied(id, at(1, 1))
            backup = dump(stack, f"{prefix}registration")

            # Life goes on, and is lost with the store.
            await office.correct(kept, "Turtuk", f"{key}-lost-correction")
            lost = await office.register(f"{key}-lost")
            await office.erase(erased, f"{key}-erase")
            await office.copied(kept, at(1, 2))
            await office.copied(lost, at(1, 1))
            await office.copied(erased, lambda copy: bool(copy.get("grave")))

        restore(stack, f"{prefix}registration", backup)
        await rewind(ServiceSettings(kafka_bootstrap=stack.kafka_bootstrap), "registration")
        async with open_office(referral, CE_EPOCH="2") as office:
            await republish(office.registration.service)
            copy = await office.copied(kept, at(2, 1))
            assert copy["card"]["village"] == "Hunder", "everybody's copy is what the restored store holds"

            # The sequence that the lost correction had is issued again, and taken for the new one that it is.
            await office.correct(kept, "Panamik", f"{key}-new-correction")
            copy = await office.copied(kept, at(2, 2))
            assert copy["card"]["village"] == "Panamik"

            # Whoever sends again what was lost gets the id it had.
            assert await office.register(f"{key}-lost") == lost
            await office.copied(lost, at(2, 1))

            # The erased one has risen here, and nowhere else; erased again, nowhere at all.
            grave = await office.copied(erased, lambda copy: True)
            assert grave.get("grave")
            assert "card" not in grave
            await office.erase(erased, f"{key}-erase-again")
            found = await office.registration.service.database["patients"].find_one({"_id": erased})
            assert PERSON["phone"] not in str(found)

            await _nothing_pending(office.registration)
            report = await reconcile(office.registration.service, repair=True)
            assert not report["failed"]
            assert not (await reconcile(office.registration.service))["failed"]


async def test_a_reader_comes_back_from_its_backup(stack: TestStack, prefix: str, serve: Serve) -> None:
    """Its offsets are ahead of its store: without `rewind` it would never learn what came after the backup."""
    key = secrets.token_hex(4)
    async with AsyncExitStack() as held:
        async with serve("referral") as referral:
            registration = await held.enter_async_context(serve("registration"))
            office = Office(stack, registration, referral)
            before = await office.register(f"{key}-before")
            await office.copied(before, at(1, 1))
            backup = dump(stack, f"{prefix}referral")
            after = await office.register(f"{key}-after")
            await office.copied(after, at(1, 1))
        restore(stack, f"{prefix}referral", backup)
        groups = await rewind(ServiceSettings(kafka_bootstrap=stack.kafka_bootstrap), "referral")
        assert "hillhealth.referral.registration.patient.v1.replica" in groups
        async with serve("referral", CE_EPOCH="2") as referral:
            office = Office(stack, registration, referral)
            for id in (before, after):
                await office.copied(id, at(1, 1))
            assert not (await reconcile(referral.service, repair=True))["failed"]


async def _nothing_pending(served: Served) -> None:
    patients = served.service.database["patients"]
    async with asyncio.timeout(20):
        while await patients.find_one({"pending_since": {"$exists": True}}) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
