"""Timers on a real store: oldest first, each step once, and a failing one starves nobody."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from deploy.local.testing import TestStack
from libs.common.access import SYSTEM
from libs.common.cause import timer_cause
from libs.common.clock import Clock, DayClock, machine_now
from libs.common.mongo import Document
from libs.common.service import Service
from libs.common.timers import Timers
from tests.toy.ledger import LEDGER, Noted, Promised, asked, new_id, request
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import running, toy
from tests.waiting import eventually

MINUTE = dt.timedelta(minutes=1)


async def _promise(service: Service, due: dt.datetime | None = None, **promise: Any) -> str:
    id = new_id()
    promised = Promised(due=due, **promise)
    await service.journal.create(LEDGER, id, lambda s: [asked(), promised], request(), SYSTEM)
    return id


def _stepping(service: Service, taken: list[str]) -> Any:
    """One step per breach: journals it under the timer's cause and takes the promise away."""

    async def step(id: str, document: Document) -> None:
        cause = timer_cause("answer", 1, 1, aggregate=id, service="toy", now=machine_now())
        outcome = await service.journal.append(LEDGER, id, lambda s: [Noted(text="late"), Promised()], cause, SYSTEM)
        if not outcome.repeated:
            taken.append(id)

    return step


def _timers(service: Service, clock: Clock, step: Any) -> Timers:
    """Not running, and without a lease: two of these are two schedulers."""
    timers = Timers(service.settings, service.database, clock, service.metrics, leased=False)
    timers.add(LEDGER, step)
    return timers


async def test_what_is_due_is_taken_oldest_first_and_what_is_not_is_left(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    now = machine_now()
    late = [await _promise(service, now - minutes * MINUTE) for minutes in (1, 3, 2)]
    await _promise(service, now + 10 * MINUTE)
    await _promise(service)
    started: list[str] = []

    async def step(id: str, document: Document) -> None:
        started.append(id)
        await _stepping(service, [])(id, document)

    assert await _timers(service, Clock(), step).sweep() == 3
    assert started == [late[1], late[2], late[0]]


async def test_two_schedulers_without_a_lease_take_each_step_once(stack: TestStack, prefix: str) -> None:
    one, two = toy(stack, prefix), toy(stack, prefix)
    await one.ensure_indexes()
    ids = [await _promise(one, machine_now() - MINUTE) for _ in range(15)]
    taken: list[str] = []
    schedulers = [_timers(service, Clock(), _stepping(service, taken)) for service in (one, two)]
    await asyncio.gather(*(timers.sweep() for timers in schedulers for _ in range(2)))
    assert sorted(taken) == sorted(ids)
    for id in ids:
        document = await one.journal.load(LEDGER, id)
        assert document is not None
        assert [entry["type"] for entry in document["journal"]].count("Noted") == 1
        assert "due" not in document


async def test_a_backlog_is_read_in_few_looks_and_a_quiet_time_in_small_ones(stack: TestStack, prefix: str) -> None:
    """Some stores read the whole backlog for each look: ten thousand in looks of sixty-four would never end."""
    service = toy(stack, prefix)
    await service.ensure_indexes()
    now = machine_now()
    due = await asyncio.gather(*(_promise(service, now - number * MINUTE) for number in range(1, 401)))
    taken: list[str] = []
    begun: list[str] = []

    async def step(id: str, document: Document) -> None:
        begun.append(id)
        await _stepping(service, taken)(id, document)

    timers = _timers(service, Clock(), step)
    sweeps = [await timers.sweep() for _ in range(5)]
    assert sweeps == [64, 128, 208, 0, 0]
    assert begun == list(reversed(due)), "oldest first, through every look"
    assert sorted(taken) == sorted(due)
    await _promise(service, now - MINUTE)
    assert await timers.sweep() == 1
    assert set(timers._look.values()) == {64}


async def test_a_step_that_fails_does_not_starve_the_others(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    broken = {await _promise(service, machine_now() - 9 * MINUTE) for _ in range(80)}
    good = await _promise(service, machine_now() - MINUTE)
    taken: list[str] = []
    step = _stepping(service, taken)

    async def sometimes(id: str, document: Document) -> None:
        if id in broken:
            raise RuntimeError
        await step(id, document)

    timers = _timers(service, Clock(), sometimes)
    for _ in range(3):
        await timers.sweep()
    assert taken == [good]
    tries = service.metrics.registry.get_sample_value("hillhealth_timer_failures_total", {"aggregate": "referral"})
    assert tries == 80, "each was tried once and rests"


async def test_a_step_that_changes_nothing_does_not_spin(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    await _promise(service, machine_now() - MINUTE)
    calls = 0

    async def idle(id: str, document: Document) -> None:
        nonlocal calls
        calls += 1

    timers = _timers(service, Clock(), idle)
    assert [bool(await timers.sweep()) for _ in range(5)] == [True, False, False, False, False]
    assert calls == 2


async def test_on_a_days_clock_nothing_is_due_before_the_first_time_seen(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    day = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
    id = await _promise(service, day)
    clock, taken = DayClock(), list[str]()
    timers = _timers(service, clock, _stepping(service, taken))
    await timers.sweep()
    assert taken == []
    clock.saw(day - MINUTE)
    await timers.sweep()
    assert taken == []
    clock.saw(day)
    await timers.sweep()
    assert taken == [id]


async def test_a_retry_runs_by_the_machines_clock_whatever_the_day(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    id = await _promise(service, retry_at=machine_now() - MINUTE)
    await _promise(service, retry_at=machine_now() + 10 * MINUTE)
    taken: list[str] = []
    await _timers(service, DayClock(), _stepping(service, taken)).sweep()
    assert taken == [id]


async def test_a_running_service_takes_its_steps_and_tells_how_late_it_is(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    taken: list[str] = []
    service.timer(LEDGER, _stepping(service, taken))
    await service.ensure_indexes()
    early = await _promise(service, machine_now() - MINUTE)
    await service.measure()
    value = service.metrics.registry.get_sample_value
    assert value("hillhealth_timers_due", {"aggregate": "referral"}) == 1
    assert 60 <= (value("hillhealth_timers_oldest_due_seconds", {"aggregate": "referral"}) or 0) < 90
    async with running(service):
        soon = await _promise(service, machine_now() + dt.timedelta(seconds=0.5))
        await eventually(lambda: taken == [early, soon])
    await service.measure()
    assert value("hillhealth_timers_due", {"aggregate": "referral"}) == 0
