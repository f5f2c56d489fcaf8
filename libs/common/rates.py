"""How much one caller may ask for: per subject, and per address where there is no token."""

from __future__ import annotations

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from libs.common.access import Caller
from libs.common.metrics import Metrics
from libs.common.settings import ServiceSettings


class TooMany(Exception):
    """The caller is over the rate; wait a second."""


class Rates:
    def __init__(self, settings: ServiceSettings, metrics: Metrics) -> None:
        # Not the threaded one: it starts a thread every hundredth of a second to clear up.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._caller = RateLimitItemPerSecond(settings.requests_per_second)
        self._address = RateLimitItemPerSecond(settings.public_requests_per_second)
        self._metrics = metrics

    async def check(self, caller: Caller, address: str) -> None:
        """Counts this request. Raises TooMany."""
        anonymous = caller.role == "anonymous"
        item, key = (self._address, address) if anonymous else (self._caller, f"{caller.role}:{caller.subject}")
        await self._count(item, "anonymous" if anonymous else "caller", key)

    async def refused(self, address: str) -> None:
        """Counts a token that does not hold: guessing is bounded like asking. Raises TooMany."""
        await self._count(self._caller, "refused", address)

    async def _count(self, item: RateLimitItemPerSecond, *key: str) -> None:
        if not await self._limiter.hit(item, *key):
            self._metrics.rate_limited.inc()
            raise TooMany
