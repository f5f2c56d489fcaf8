"""The local stack as tests use it: on free ports, and services in the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import FastAPI

from deploy.local import store
from deploy.local.layout import Layout
from deploy.local.ports import free_port
from deploy.local.stack import Stack
from deploy.local.store import SERVICES
from libs.common.settings import ServiceSettings
from libs.common.topics import create_topics, public_topics


class TestStack(Stack):
    """A stack that also makes settings for services in process."""

    __test__ = False

    @classmethod
    def make(cls, state: Path) -> TestStack:
        return cls(Layout(state), usual_ports=False, say=lambda what: None)

    @property
    def inbox(self) -> Path:
        return self.layout.inbox

    @property
    def smtp(self) -> tuple[str, int]:
        return "127.0.0.1", self.port["smtp_inbox"]

    def settings(self, service: str, **overrides: Any) -> ServiceSettings:
        """`services.<service>.settings.Settings` for this stack; names as in the environment, in capitals."""
        kind: type[ServiceSettings] = importlib.import_module(f"services.{service}.settings").Settings
        told = {**self.environment(service), "PORT": str(free_port()), **overrides}
        return kind(**{name.lower(): value for name, value in told.items() if name.lower() in kind.model_fields})

    async def empty_topics(self) -> list[str]:
        """Every public topic, empty, and no group's offsets. A broker of yours is left as it is."""
        if os.environ.get("KAFKA_BOOTSTRAP"):
            return [topic.name for topic in public_topics()]
        return await empty_topics(self.kafka_bootstrap)

    @contextlib.contextmanager
    def own_databases(self) -> Iterator[str]:
        """A prefix of nobody else's. A store of yours is left as it was; ours goes as a whole at the end, and the
        development store deletes one entry after the other, which takes it longer than the tests."""
        prefix = f"test_{secrets.token_hex(4)}_"
        yield prefix
        if os.environ.get("MONGODB_URI"):
            store.drop(self.mongodb_uri, prefix)

    @contextlib.asynccontextmanager
    async def untouched(self) -> AsyncIterator[str]:
        """The prefix of databases of one's own, over empty topics: an earlier test's events are not listened to."""
        await self.empty_topics()
        with self.own_databases() as prefix:
            yield prefix


@dataclass
class Served:
    """A running service. `client` has its base URL set, and no token."""

    app: FastAPI
    url: str
    client: httpx.AsyncClient

    @property
    def service(self) -> Any:
        """Its libs.common.service.Service: store, journal, relay, listener."""
        return self.app.state.service


@contextlib.asynccontextmanager
async def serving(settings: ServiceSettings, service: str, seconds: float = 30.0) -> AsyncIterator[Served]:
    """Runs the service in this loop on its port until the block ends.

    Raises TimeoutError, saying what is not ready, after `seconds`.
    """
    app: FastAPI = importlib.import_module(f"services.{service}.main").create_app(settings)
    server = _Server(
        uvicorn.Config(app, host=settings.host, port=settings.port, log_config=None, timeout_graceful_shutdown=2)
    )
    running = asyncio.create_task(server.serve())
    url = f"http://{settings.host}:{settings.port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            await _ready(client, running, seconds)
            yield Served(app, url, client)
    finally:
        server.should_exit = True
        await running


async def _ready(client: httpx.AsyncClient, running: asyncio.Task[None], seconds: float) -> None:
    said = "nothing"
    try:
        async with asyncio.timeout(seconds):
            while True:
                if running.done():
                    running.result()
                    raise RuntimeError("the service ended while starting")
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get("/readyz")
                    if answer.status_code == 200:
                        return
                    said = answer.text
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(f"not ready after {seconds:.0f} s: {said}") from None


class _Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def empty_topics(bootstrap: str) -> list[str]:
    """Deletes and makes anew every public topic; the broker forgets the offsets committed on a topic with it.

    Returns the topics' names. Raises TimeoutError if the broker does not let go of the old ones in 20 s.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(20):
            if present := await _topics(admin):
                await admin.delete_topics(sorted(present))
            await _until_topics_are(admin, set())
            made = set(await create_topics(ServiceSettings(kafka_bootstrap=bootstrap)))
            await _until_topics_are(admin, made)
    finally:
        await admin.close()
    return sorted(made)


async def _topics(admin: AIOKafkaAdminClient) -> set[str]:
    return {name for name in await admin.list_topics() if name.split(".")[0] in SERVICES}


async def _until_topics_are(admin: AIOKafkaAdminClient, wanted: set[str]) -> None:
    while await _topics(admin) != wanted:  # noqa: ASYNC110 - the broker tells nobody when it is done
        await asyncio.sleep(0.02)
