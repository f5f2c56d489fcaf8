"""What tests of the relay do with a toy service."""

from __future__ import annotations

from libs.common.access import SYSTEM
from libs.common.mongo import Document
from libs.common.relay import Relay
from libs.common.service import Service
from tests.toy.ledger import LEDGER, asked, new_id, request


async def ask(service: Service, id: str | None = None, times: int = 1) -> str:
    id = id or new_id()
    for _ in range(times):
        await service.journal.append(LEDGER, id, lambda s: [asked()], request(), SYSTEM)
    return id


async def stored(service: Service, id: str) -> Document:
    document = await service.journal.load(LEDGER, id)
    assert document is not None
    return document


async def none_pending(service: Service) -> bool:
    return await service.database["referrals"].find_one({"pending_since": {"$exists": True}}) is None


async def leading(service: Service) -> Relay:
    """The service's relay with the lease, not running: rounds by hand."""
    await service.ensure_indexes()
    assert await service.relay._lease.acquire()
    return service.relay
