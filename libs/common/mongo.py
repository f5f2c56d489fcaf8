"""The only importer of the MongoDB driver (Motor; see docs/decisions for why, and what would make us leave it)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bson import CodecOptions
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
    AsyncIOMotorGridFSBucket,
)
from pymongo import ASCENDING, DESCENDING, IndexModel, InsertOne, UpdateMany, UpdateOne
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    WaitQueueTimeoutError,
    WTimeoutError,
)

Document = dict[str, Any]
Database = AsyncIOMotorDatabase[Document]
Collection = AsyncIOMotorCollection[Document]
Client = AsyncIOMotorClient[Document]
GridFSBucket = AsyncIOMotorGridFSBucket
DuplicateKey = DuplicateKeyError

STORE_AWAY = (AutoReconnect, ConnectionFailure, ExecutionTimeout, WaitQueueTimeoutError, WTimeoutError)
"""Trouble that passes when the store is back: never a reason to give an event up."""

DUPLICATE_KEY = 11000

__all__ = [
    "ASCENDING",
    "DESCENDING",
    "DUPLICATE_KEY",
    "STORE_AWAY",
    "BulkWriteError",
    "Client",
    "Collection",
    "Database",
    "Document",
    "DuplicateKey",
    "GridFSBucket",
    "IndexModel",
    "InsertOne",
    "OperationFailure",
    "UpdateMany",
    "UpdateOne",
    "connect",
    "open_database",
]


def connect(uri: str) -> Client:
    """A client that answers only what is durable (majority, journaled) and gives up on an absent store in 5 s."""
    return AsyncIOMotorClient(
        uri,
        w="majority",
        journal=True,
        retryWrites=False,
        serverSelectionTimeoutMS=5000,
        socketTimeoutMS=20000,
        connectTimeoutMS=5000,
        maxPoolSize=64,
        tz_aware=True,
        tzinfo=dt.UTC,
    )


def open_database(client: Client, name: str) -> Database:
    return client.get_database(name, codec_options=CodecOptions(tz_aware=True, tzinfo=dt.UTC))
