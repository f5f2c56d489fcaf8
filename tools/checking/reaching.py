"""How to reach stores and broker that want to know who asks: one address per service, SCRAM on Kafka."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

Document = dict[str, Any]


class PerService:
    """Reads like one client: `[prefix + service]` is that service's database on that service's own server."""

    def __init__(self, addresses: Mapping[str, str], connect: Callable[[str], MongoClient[Document]]) -> None:
        self._clients = {service: connect(address) for service, address in addresses.items()}

    def __getitem__(self, name: str) -> Database[Document]:
        """Raises KeyError for a database that no service of ours has."""
        service = next((service for service in self._clients if name.endswith(service)), None)
        if service is None:
            raise KeyError(name)
        return self._clients[service][name]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def addresses_in(folder: Path) -> dict[str, str]:
    """The addresses in files `mongodb_uri_<service>`, by service."""
    start = "mongodb_uri_"
    return {path.name.removeprefix(start): path.read_text().strip() for path in sorted(folder.glob(f"{start}*"))}


def connect(uri: str) -> MongoClient[Document] | PerService:
    """A client that gives up on an absent store in 5 s; instants come back aware, in UTC.

    `uri` may be a folder: see `addresses_in`.
    """

    def open_one(address: str) -> MongoClient[Document]:
        return MongoClient(address, serverSelectionTimeoutMS=5000, tz_aware=True, tzinfo=dt.UTC)

    return PerService(addresses_in(Path(uri)), open_one) if Path(uri).is_dir() else open_one(uri)


def credentials() -> dict[str, str]:
    """aiokafka's arguments from KAFKA_USERNAME and KAFKA_PASSWORD_FILE; nothing where they are not set."""
    username, kept = os.environ.get("KAFKA_USERNAME"), os.environ.get("KAFKA_PASSWORD_FILE")
    if not username or not kept:
        return {}
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": username,
        "sasl_plain_password": Path(kept).read_text().strip(),
    }
