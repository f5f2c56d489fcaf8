"""One service put together: store, journal, relay, subscriptions, timers, web. Nothing opens before the app starts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts
from fastapi_offline import FastAPIOffline

from libs.common import background, pages, problem
from libs.common.access import Caller, Rule, Table
from libs.common.activity import Activity
from libs.common.aggregate import SHAPE, AggregateType
from libs.common.clock import Clock, DayClock
from libs.common.dead_letters import DISCARDED, REDRIVEN, DeadLetters
from libs.common.journal import Journal, NotFound
from libs.common.listen import Listener, React, Reaction, Subscription, reason_of
from libs.common.logs import logger
from libs.common.metrics import Metrics
from libs.common.middleware import Bounded, Measured
from libs.common.mongo import ASCENDING, STORE_AWAY, Database, IndexModel, connect, open_database
from libs.common.rates import Rates
from libs.common.read_log import ReadLog
from libs.common.records import Received
from libs.common.rederivation import Rederivation
from libs.common.refusal import Refused
from libs.common.relay import Relay
from libs.common.replica import Changed, Replica, ReplicaSubscription
from libs.common.settings import ServiceSettings
from libs.common.timers import Step, Timers
from libs.common.tokens import KeySet, caller_of
from libs.common.web import authorise
from libs.contracts.event import Topic

log = logger("service")

Hook = Callable[[], Awaitable[object]]
Check = Callable[[], Awaitable[str | None]]


class RouteWithoutRule(Exception):
    """Deny by default: a route that no row of the access table names must not be built."""


async def _unchanged(keys: list[str]) -> None:
    return None


class Service:
    """What a composition root fills: kinds of aggregates, rules, replicas, reactions, timers, routes."""

    def __init__(
        self, name: str, settings: ServiceSettings, *, kinds: Sequence[AggregateType[Any]], access: Table, about: str
    ) -> None:
        self.name = name
        self.about = about
        self.settings = settings
        self.kinds = tuple(kinds)
        self.access: Mapping[str, Rule] = {**pages.ACCESS, **access}
        self.metrics = Metrics()
        self.clock: Clock = DayClock() if settings.clock == "day" else Clock()
        self.activity = Activity()
        self._client = connect(settings.mongodb_uri)
        self.database: Database = open_database(self._client, f"{settings.database_prefix}{name}")
        self.relay = Relay(
            settings, self.database, self.kinds, self.metrics, lambda type_: self.activity.tell("published", type_)
        )
        self.timers = Timers(settings, self.database, self.clock, self.metrics)
        self.rederivation = Rederivation(settings, self.database, self.kinds, self.metrics)
        self.journal = Journal(self.database, self.clock, self.metrics, self.relay, self.timers.wake)
        self.letters = DeadLetters(self.database, settings.secret("seal_key"))
        self.read_log = ReadLog(self.database)
        self.listener = Listener(settings)
        self.rates = Rates(settings, self.metrics)
        self._keys = KeySet(settings.oidc_jwks)
        self._replicas: list[Replica] = []
        self._starting: list[Hook] = []
        self._stopping: list[Hook] = []
        self._checks: dict[str, Check] = {}
        self._caught_up = False
        self._started = False
        self._included = 0
        self.app = self._build()

    def replica(
        self, topic: Topic, collection: str, *, indexes: Sequence[tuple[str, ...]] = (), changed: Changed = _unchanged
    ) -> Replica:
        """Keeps a copy of another service's cards; `changed(keys)` runs once they are durable, before the commit."""
        replica = Replica(self.database, collection, indexes)
        self._replicas.append(replica)
        self._subscribe(ReplicaSubscription, topic, replica=replica, changed=changed)
        return replica

    def react(self, topic: Topic, react: React) -> None:
        """Calls `react` for each event of the topic, a key's in order."""

        async def told(received: Received) -> None:
            await react(received)
            self.activity.tell("handled", received.type)

        self._subscribe(Reaction, topic, react=told)

    def _subscribe(self, shape: type[Subscription], topic: Topic, **arguments: Any) -> None:
        self.listener.add(shape(self.name, topic, self.database, self.letters, self.metrics, self.clock, **arguments))

    def timer(self, kind: AggregateType[Any], step: Step) -> None:
        self.timers.add(kind, step)

    def include(self, router: APIRouter) -> None:
        """Adds routes. Raises RouteWithoutRule."""
        self.app.include_router(router)
        # One after the other is held against a path, from the first on: the pages of operations come last.
        routes = self.app.router.routes
        routes.insert(self._included, routes.pop())
        self._included += 1
        self._every_route_has_a_rule()

    def on_start(self, hook: Hook) -> None:
        """Runs once the store answers and its indexes stand, before anything is listened to."""
        self._starting.append(hook)

    def on_stop(self, hook: Hook) -> None:
        self._stopping.append(hook)

    def ready(self, name: str, check: Check) -> None:
        """A check of its own for /readyz: None when ready, else why not."""
        self._checks[name] = check

    async def caller(self, token: str) -> Caller:
        """Raises Unauthenticated."""
        claims = await self._keys.verify(token, issuer=self.settings.oidc_issuer, audience=self.settings.oidc_audience)
        return caller_of(claims)

    def _build(self) -> FastAPI:
        app: FastAPI = FastAPIOffline(
            title=f"Hillhealth {self.name}",
            description=self.about,
            version="1",
            lifespan=self._lifespan,
            dependencies=[Depends(authorise)],
        )
        app.state.service = self
        problem.install(app)
        app.include_router(pages.router(self))
        app.add_middleware(Bounded, limit=self.settings.max_request_bytes)
        app.add_middleware(Measured, metrics=self.metrics)
        return app

    def _every_route_has_a_rule(self) -> None:
        for method, path in routes_of(self.app):
            if f"{method} {path}" not in self.access:
                raise RouteWithoutRule(f"{method} {path} of {self.name} has no row in its access table")

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self._every_route_has_a_rule()
        starting = asyncio.create_task(self._start())
        try:
            yield
        finally:
            await background.end(starting)
            await self._stop()

    async def _start(self) -> None:
        """In the background, so that the process lives, and says that it is not ready, while the store is away."""
        pause = 0.2
        while not self._started:
            try:
                await self.ensure_indexes()
                for hook in self._starting:
                    await hook()
                self._started = True
            except STORE_AWAY:
                log.warning("store away")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            except Exception:
                log.error("cannot start", exc_info=True)
                await asyncio.sleep(5.0)
        if self.settings.relay:
            self.relay.start()
        if self.settings.timers:
            self.timers.start()
        self.rederivation.start()
        self.listener.start()
        log.info("started")

    async def _stop(self) -> None:
        await self.listener.stop()
        await self.timers.stop()
        await self.rederivation.stop()
        await self.relay.stop()
        for hook in self._stopping:
            await hook()
        await self.close()
        log.info("stopped")

    async def close(self) -> None:
        """Gives up the connections to the store, in the loop that used them."""
        await self._client.close()

    async def ensure_indexes(self) -> None:
        for kind in self.kinds:
            # Sparse, which means the same as partial on existence: a comparison finds these without being told, on
            # every server that we know; an `$exists` or a hint makes some of them read everything.
            indexes = [
                IndexModel([(name, ASCENDING)], name=f"{name}_sparse", sparse=True)
                for name in ("pending_since", "due", "retry_at")
            ]
            indexes.append(IndexModel([("claims", ASCENDING)], name="claims_sparse", unique=True, sparse=True))
            indexes.append(IndexModel([("journal.cause", ASCENDING)]))
            indexes += [IndexModel([(path, ASCENDING) for path in paths]) for paths in kind.indexes]
            if kind.shape > 1:
                indexes.append(IndexModel([(f"state.{SHAPE}", ASCENDING)]))
            await self.database[kind.collection].create_indexes(indexes)
            archive = self.database[f"{kind.collection}_archive"]
            await archive.create_indexes([IndexModel([("aggregate", ASCENDING), ("cause", ASCENDING)])])
        for replica in self._replicas:
            await replica.ensure_indexes()
        await self.letters.ensure_indexes()
        await self.read_log.ensure_indexes()

    async def health(self) -> dict[str, str]:
        """`ok` or what is wrong, by name."""

        async def store() -> str | None:
            await self.database.command("ping")
            return None if self._started else "starting"

        async def broker() -> str | None:
            await self.listener.broker_answers()
            if self.settings.relay:
                await self.relay.broker_answers()
            return None

        async def consumers() -> str | None:
            if not self.listener.assigned:
                return "not assigned"
            if not self._caught_up:
                waiting = [s.name for s in self.listener.subscriptions if not await s.caught_up()]
                if waiting:
                    return f"catching up on {', '.join(waiting)}"
                self._caught_up = True
            return None

        async def relay() -> str | None:
            return None if self.relay.moving or not self.settings.relay else "not moving"

        async def derived() -> str | None:
            return None if self.rederivation.done else "deriving what an older version wrote"

        own: dict[str, Check] = {
            "store": store,
            "broker": broker,
            "consumers": consumers,
            "relay": relay,
            "derived": derived,
        }
        checks = own | self._checks
        states = await asyncio.gather(*(pages.within(2.0, check) for check in checks.values()))
        return dict(zip(checks, states, strict=True))

    async def measure(self) -> None:
        """Brings the gauges up to date; a store that is away leaves them as they were."""
        with contextlib.suppress(*STORE_AWAY, TimeoutError):
            async with asyncio.timeout(3):
                await self.relay.measure()
                await self.timers.measure()
                self.metrics.dead_letters_waiting.set(await self.letters.waiting())
        for subscription in self.listener.subscriptions:
            self.metrics.lag.labels(subscription.name, subscription.topic.name).set(await subscription.lag())

    async def redrive(self, id: str, by: str) -> dict[str, Any]:
        """Handles a dead letter and those behind it of the same key, in order, until one fails again.

        Raises NotFound, and Refused if it was settled before.
        """
        letter = await self.letters.get(id)
        if letter is None:
            raise NotFound
        if letter["status"] != "waiting":
            raise Refused("dead-letter-settled", "it was settled before")
        subscription = next((s for s in self.listener.subscriptions if s.name == letter["subscription"]), None)
        if subscription is None:
            raise Refused("subscription-gone", "nothing listens to this any more")
        done: list[str] = []
        # Asked anew each time: while this goes on, the stream may put a later one behind it.
        while letters := await self.letters.of_key(letter["subscription"], letter["key"]):
            waiting = letters[0]
            try:
                await subscription.redrive(self.letters.open(waiting))
            except STORE_AWAY:
                raise
            except Exception as error:
                reason = reason_of(error)
                await self.letters.note(waiting["_id"], by, "redrive failed", reason)
                return {"redriven": done, "failed": waiting["_id"], "reason": reason}
            if await self.letters.settle(waiting["_id"], REDRIVEN, by, ""):
                done.append(waiting["_id"])
        log.info("dead letters redriven", extra={"by_role": "operator", "count": len(done)})
        return {"redriven": done, "failed": None}

    async def discard(self, id: str, by: str, note: str) -> dict[str, Any]:
        """Settles a letter without handling it. Raises NotFound, and Refused if it was settled before."""
        if await self.letters.get(id) is None:
            raise NotFound
        if not await self.letters.settle(id, DISCARDED, by, note):
            raise Refused("dead-letter-settled", "it was settled before")
        return {"discarded": id}


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route; static assets of the documentation page aside."""
    return [
        (method, route.path or "")
        for route in iter_route_contexts(app.routes)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]
