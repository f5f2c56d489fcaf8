"""Toy services on the test stack, raw records, and a store that can be taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.testing import TestStack
from libs.common.clock import machine_now
from libs.common.mongo import Client
from libs.common.records import iso
from libs.common.service import Service
from libs.common.settings import ServiceSettings
from libs.contracts.event import Topic
from tests.toy.ledger import LEDGER, new_id
from tests.waiting import eventually


def settings(stack: TestStack, prefix: str, **overrides: Any) -> ServiceSettings:
    given: dict[str, Any] = {
        "mongodb_uri": stack.mongodb_uri,
        "kafka_bootstrap": stack.kafka_bootstrap,
        "database_prefix": prefix,
        "development": True,
        "oidc_issuer": stack.gateways,
        "oidc_jwks": f"{stack.gateways}/jwks.json",
        "secrets_dir": stack.layout.secrets,
        "sweep_seconds": 0.2,
        "requests_per_second": 10_000,
        "public_requests_per_second": 10_000,
    }
    return ServiceSettings(**given | overrides)


def toy(stack: TestStack, prefix: str, name: str = "referral", **overrides: Any) -> Service:
    """A service that nothing is subscribed to yet; `kinds`, `access` and settings may be given."""
    kinds = overrides.pop("kinds", (LEDGER,))
    access = overrides.pop("access", {})
    service = Service(name, settings(stack, prefix, **overrides), kinds=kinds, access=access, about="a toy")
    _clients.append(service._client)
    service._client = _StaysOpen()  # type: ignore[assignment]
    return service


class _StaysOpen:
    """In place of a service's client, so that a test can look into the store when the service has stopped."""

    async def close(self) -> None:
        return None


_clients: list[Client] = []


@pytest.fixture(autouse=True)
async def clients_closed() -> AsyncIterator[None]:
    """For import into a test module: closes what `toy` opened."""
    yield
    while _clients:
        # That of an operator's command lived in a loop of its own, which has ended.
        with contextlib.suppress(RuntimeError):
            await _clients.pop().close()


@contextlib.asynccontextmanager
async def running(service: Service, *, ready: bool = True, seconds: float = 30) -> AsyncIterator[Service]:
    """Runs it in this loop, without a port."""
    async with service.app.router.lifespan_context(service.app):
        if ready:
            await eventually(lambda: is_ready(service), seconds, every=0.05)
        yield service


async def is_ready(service: Service) -> bool:
    return all(state == "ok" for state in (await service.health()).values())


@contextlib.asynccontextmanager
async def calling(service: Service, token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client that reaches the app without a port; server errors come back as answers."""
    transport = httpx.ASGITransport(app=service.app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://toy", headers=headers, timeout=30) as client:
        yield client


def headers_of(type_: str, *, id: str | None = None, sequence: int = 1, epoch: int = 1) -> dict[str, str]:
    now = iso(machine_now())
    return {
        "ce_specversion": "1.0",
        "ce_id": id or new_id(),
        "ce_type": type_,
        "ce_source": "urn:hillhealth:test",
        "ce_time": now,
        "ce_recordedat": now,
        "ce_sequence": str(sequence),
        "ce_epoch": str(epoch),
        "ce_cause": new_id(),
        "ce_actor": "doctor@A1",
    }


Raw = tuple[str | bytes | None, bytes | None, dict[str, str | None]]


async def produce(stack: TestStack, topic: Topic, *records: Raw) -> None:
    """Puts records of (key, value, headers) on a topic as they are, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for key, value, headers in records:
            raw = [(name, None if text is None else text.encode()) for name, text in headers.items()]
            encoded = key.encode() if isinstance(key, str) else key
            await producer.send_and_wait(topic.name, value, encoded, headers=raw)
    finally:
        await producer.stop()


async def on_topic(stack: TestStack, topic: Topic, keys: Sequence[str] | None = None) -> list[Any]:
    """Every record there now, a partition's in order; of `keys` only if given."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    found = []
    try:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    finally:
        await consumer.stop()
    wanted = None if keys is None else {key.encode() for key in keys}
    return [record for record in found if wanted is None or record.key in wanted]


def header(record: Any, name: str) -> str | None:
    return next((value.decode() for header, value in record.headers if header == name), None)


class Proxy:
    """A TCP door to the store that a test can close: what is open is cut, what knocks is refused."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Proxy:
        await self.allow()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.refuse()

    async def allow(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, inner_writer}
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        self._open -= {writer, inner_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@contextlib.asynccontextmanager
async def worker(stack: TestStack, prefix: str, at: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """tests/toy/worker.py in a process of its own; killed at the end if it still lives."""
    environment = {
        **os.environ,
        "MONGODB_URI": stack.mongodb_uri,
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "SECRETS_DIR": str(stack.layout.secrets),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.toy.worker", prefix, at, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
