"""The only importer of the MongoDB driver (PyMongo's own asynchronous client: decision 0013)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bson import CodecOptions
from gridfs import AsyncGridFSBucket
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel, InsertOne, UpdateMany, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    WaitQueueTimeoutError,
    WriteError,
    WTimeoutError,
)

Document = dict[str, Any]
Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]
Client = AsyncMongoClient[Document]
GridFSBucket = AsyncGridFSBucket
DuplicateKey = DuplicateKeyError
WTimeout = WTimeoutError

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
    "WTimeout",
    "WriteError",
    "connect",
    "open_database",
]


def connect(uri: str) -> Client:
    """A client that answers only what is durable (majority, journaled) and gives up on an absent store in 5 s."""
    return AsyncMongoClient(
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
