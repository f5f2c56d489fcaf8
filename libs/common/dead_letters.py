"""What could not be handled: kept in the consumer's own store, with its reason, until a person settles it.

The reason never repeats the event's content; the body is sealed, and only a redrive opens it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from libs.common.clock import machine_now
from libs.common.ids import derive
from libs.common.mongo import Database, Document, IndexModel
from libs.contracts.event import PUBLIC

COLLECTION = "dead_letters"
WAITING, REDRIVEN, DISCARDED = "waiting", "redriven", "discarded"

_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class CannotOpen(Exception):
    """The seal's key is not the one it was sealed with."""


class DeadLetters:
    """Reasons: undecodable:<why>, schema:<fields>, refused:<code>, failing:<error class>, behind (one of its key)."""

    def __init__(self, database: Database, seal_key: bytes) -> None:
        self.collection = database[COLLECTION]
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(seal_key).digest()))

    async def ensure_indexes(self) -> None:
        await self.collection.create_indexes(
            [IndexModel([("status", 1)]), IndexModel([("subscription", 1), ("status", 1), ("key", 1)])]
        )

    @staticmethod
    def safe_key(record: Any) -> str:
        """The key if it is an id of ours; else its digest, since a stranger's key may say anything."""
        raw = bytes(record.key or b"")
        text = raw.decode("utf-8", "replace")
        return text if _UUID.match(text) else "digest:" + hashlib.sha256(raw).hexdigest()[:32]

    async def put(self, subscription: str, record: Any, reason: str, event_id: str | None, type_: str | None) -> None:
        """Durable when it returns; the same record twice is one letter. A letter that comes again after it was
        settled (a replay from zero) stays settled."""
        sealed = json.dumps(
            {
                "key": base64.b64encode(bytes(record.key or b"")).decode(),
                "value": None if record.value is None else base64.b64encode(bytes(record.value)).decode(),
                "headers": [
                    [name, None if value is None else base64.b64encode(bytes(value)).decode()]
                    for name, value in record.headers or ()
                ],
                "timestamp": record.timestamp,
            }
        ).encode()
        known = event_id if event_id and _UUID.match(event_id) else None
        letter: Document = {
            "subscription": subscription,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": self.safe_key(record),
            "event": known,
            "type": type_ if type_ in PUBLIC else None,
            "reason": reason,
            "at": machine_now(),
            "status": WAITING,
            "sealed": self._fernet.encrypt(sealed),
            "history": [],
        }
        id = derive("dead-letter", subscription, record.topic, record.partition, record.offset, known or "")
        await self.collection.update_one({"_id": id}, {"$setOnInsert": letter}, upsert=True)

    async def blocked_keys(self, subscription: str) -> set[str]:
        """Keys whose later events wait behind a letter."""
        letters = self.collection.find({"subscription": subscription, "status": WAITING}, {"key": 1})
        return {letter["key"] async for letter in letters}

    async def is_blocked(self, subscription: str, key: str) -> bool:
        found = await self.collection.find_one(
            {"subscription": subscription, "status": WAITING, "key": key}, {"_id": 1}
        )
        return found is not None

    async def show(self, status: str | None = WAITING, limit: int = 100) -> list[Document]:
        """Newest last, without the sealed body."""
        letters = await self.collection.find({"status": status} if status else {}, {"sealed": 0}).to_list(None)
        letters.sort(key=lambda letter: (letter["at"], letter["topic"], letter["partition"], letter["offset"]))
        return letters[-limit:]

    async def waiting(self) -> int:
        return int(await self.collection.count_documents({"status": WAITING}))

    async def get(self, id: str) -> Document | None:
        letter: Document | None = await self.collection.find_one({"_id": id})
        return letter

    async def of_key(self, subscription: str, key: str) -> list[Document]:
        """The waiting letters of a key in the order of the topic."""
        letters = await self.collection.find({"subscription": subscription, "status": WAITING, "key": key}).to_list(
            None
        )
        return sorted(letters, key=lambda letter: (letter["topic"], letter["partition"], letter["offset"]))

    def open(self, letter: Document) -> SealedRecord:
        """The record inside. Raises CannotOpen."""
        try:
            body = json.loads(self._fernet.decrypt(letter["sealed"]))
        except InvalidToken:
            raise CannotOpen("sealed with another key") from None
        return SealedRecord(letter, body)

    async def settle(self, id: str, status: str, by: str, note: str) -> bool:
        """Records who did what; only a waiting letter can be settled."""
        settled = await self.collection.update_one(
            {"_id": id, "status": WAITING},
            {
                "$set": {"status": status},
                "$push": {"history": {"at": machine_now(), "by": by, "did": status, "note": note}},
            },
        )
        return bool(settled.matched_count)

    async def note(self, id: str, by: str, did: str, note: str) -> None:
        await self.collection.update_one(
            {"_id": id}, {"$push": {"history": {"at": machine_now(), "by": by, "did": did, "note": note}}}
        )

    async def erase(self, keys: Sequence[str]) -> None:
        """Letters about an erased person lose their body and are settled."""
        for key in keys:
            await self.collection.update_many(
                {"key": key, "status": WAITING},
                {
                    "$set": {"status": DISCARDED, "sealed": b""},
                    "$push": {"history": {"at": machine_now(), "by": "system", "did": "erased", "note": ""}},
                },
            )
            await self.collection.update_many({"key": key}, {"$set": {"sealed": b""}})


class SealedRecord:
    """A record as it was consumed, from a letter."""

    def __init__(self, letter: Document, body: dict[str, Any]) -> None:
        self.topic: str = letter["topic"]
        self.partition: int = letter["partition"]
        self.offset: int = letter["offset"]
        self.key = base64.b64decode(body["key"])
        self.value = None if body["value"] is None else base64.b64decode(body["value"])
        self.headers = [(name, None if value is None else base64.b64decode(value)) for name, value in body["headers"]]
        self.timestamp: int = body["timestamp"]
