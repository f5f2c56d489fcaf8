"""The domain's now. Leases, back-off, sweeps, tokens and retention use the machine's clock (`machine_now`)."""

from __future__ import annotations

import datetime as dt

LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def machine_now() -> dt.datetime:
    """Now by this machine, in UTC, to the millisecond (what MongoDB keeps)."""
    now = dt.datetime.now(dt.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Clock:
    """The domain's clock: promises, quiet hours, usefulness."""

    def now(self) -> dt.datetime:
        return machine_now()

    def saw(self, sent: dt.datetime) -> None:
        """Tell of a time of sending, a request's or an event's `recorded_at`. Only a day's clock listens."""

    def due_before(self) -> dt.datetime:
        """What is due up to here is due now."""
        return self.now()


class DayClock(Clock):
    """For playing a recorded day, in development only: now is the latest time of sending it has seen.

    Before the first, nothing is due, and `now` is long ago: what a service records while it starts (the directory)
    is told on, and the machine's date on it would push every listener's clock past the day that is about to be played.
    """

    def __init__(self) -> None:
        self._latest: dt.datetime | None = None

    def now(self) -> dt.datetime:
        return self._latest or LONG_AGO

    def saw(self, sent: dt.datetime) -> None:
        sent = sent.astimezone(dt.UTC)
        if self._latest is None or sent > self._latest:
            self._latest = sent
