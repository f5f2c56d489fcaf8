"""Two hundred callers at one counter, through two processes, with retries, and one of the two killed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from pymongo import AsyncMongoClient
from registration_desk import HERE, PERSON, RUN, VISIT_TOPIC, list_facilities, published, until

from deploy.local.ports import free_port
from deploy.local.testing import TestStack

CALLERS = 200
KILLED_AFTER = 60
"""Answers that have come when one process is killed."""


@dataclass
class Replica:
    process: Process
    url: str


@contextlib.asynccontextmanager
async def replicas(stack: TestStack, prefix: str) -> AsyncIterator[list[Replica]]:
    """Two processes over one store, ended with the block."""
    running = []
    try:
        for _ in range(2):
            port = free_port()
            told = stack.environment("registration") | {
                "PORT": str(port), "DATABASE_PREFIX": prefix, "CLOCK": "system", "SWEEP_SECONDS": "0.1",
                "LEASE_SECONDS": "1",
            }  # fmt: skip
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.registration", env=os.environ | told, stdout=DEVNULL, stderr=DEVNULL
            )
            running.append(Replica(process, f"http://127.0.0.1:{port}"))
        async with httpx.AsyncClient() as client:
            for replica in running:

                async def ready(url: str = replica.url) -> bool:
                    with contextlib.suppress(httpx.HTTPError):
                        return (await client.get(f"{url}/readyz")).status_code == 200
                    return False

                await until(ready, 60)
        yield running
    finally:
        for replica in running:
            with contextlib.suppress(ProcessLookupError):
                replica.process.kill()
            await replica.process.wait()


async def test_two_hundred_callers_get_one_to_two_hundred_though_one_replica_dies(
    stack: TestStack, prefix: str
) -> None:
    await list_facilities(stack)
    bearer = {"Authorization": f"Bearer {stack.issuer.token(role='desk', facility=HERE)}"}
    answered: dict[int, list[int]] = {index: [] for index in range(CALLERS)}
    said_twice: dict[int, set[str]] = {index: set() for index in range(CALLERS)}
    limits = httpx.Limits(max_connections=50)
    async with replicas(stack, prefix) as both, httpx.AsyncClient(timeout=20, limits=limits) as client:
        registered = await client.post(
            f"{both[1].url}/patients", json=PERSON, headers=bearer | {"Idempotency-Key": f"patient-{RUN}"}
        )
        body = {"patient": registered.json()["id"], "counter": "CROWD"}

        async def once(index: int, url: str) -> dict[str, Any] | None:
            headers = bearer | {"Idempotency-Key": f"crowd-{RUN}-{index}"}
            with contextlib.suppress(httpx.TransportError):
                answer = await client.post(f"{url}/visits", json=body, headers=headers)
                if answer.status_code == 201:
                    found: dict[str, Any] = answer.json()
                    answered[index].append(found["number"])
                    said_twice[index].add(found["id"])
                    return found
                assert answer.status_code == 503, answer.text
            return None

        async def caller(index: int) -> None:
            turn = index
            if index % 4 == 0:
                # A double click: both replicas are asked at one instant.
                await asyncio.gather(once(index, both[0].url), once(index, both[1].url))
            while not await once(index, both[turn % 2].url):
                turn += 1
                await asyncio.sleep(0.05)

        async def killer() -> None:
            async def enough() -> bool:
                return sum(map(bool, answered.values())) >= KILLED_AFTER

            await until(enough, 60)
            both[0].process.send_signal(signal.SIGKILL)

        async with asyncio.timeout(120):
            await asyncio.gather(killer(), *(caller(index) for index in range(CALLERS)))
        assert both[0].process.returncode == -signal.SIGKILL or await both[0].process.wait() == -signal.SIGKILL
        assert all(len(set(numbers)) == 1 for numbers in answered.values())
        assert all(len(ids) == 1 for ids in said_twice.values())
        assert sorted(numbers[0] for numbers in answered.values()) == list(range(1, CALLERS + 1))

        mongo: Any = AsyncMongoClient(stack.mongodb_uri)
        visits = mongo[f"{prefix}registration"]["visits"]

        async def told() -> list[int]:
            of_here = [r for r in await published(stack, VISIT_TOPIC) if r["data"].get("patient") == body["patient"]]
            return sorted(record["data"]["number"] for record in of_here)

        async def all_told() -> bool:
            return len(set(await told())) == CALLERS

        await until(all_told, 60)
        assert sorted([v["state"]["number"] async for v in visits.find({"state.counter": "CROWD"})]) == list(
            range(1, CALLERS + 1)
        )
        assert sorted(set(await told())) == list(range(1, CALLERS + 1))
        await mongo.close()
