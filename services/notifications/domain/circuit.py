"""When a provider is left alone for a while: after too many errors, or when it has become too slow.

    closed    -> open       too many of its latest calls went wrong or were slow
    open      -> half-open  its rest is over: one call may try
    half-open -> closed     the call went well
    half-open -> open       it did not; the rest doubles

Times are seconds of any steady clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Standing = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class Limits:
    """`errors` bad calls that are also at least `share` of the calls of the last `window` seconds open it."""

    window: float = 60.0
    errors: int = 10
    share: float = 0.5
    slow: float = 5.0
    """Seconds from which a call that went well counts as bad."""
    rest: float = 5.0
    longest_rest: float = 300.0


@dataclass
class Circuit:
    limits: Limits = field(default_factory=Limits)
    _calls: deque[tuple[float, bool]] = field(default_factory=deque)
    _bad: int = 0
    """How many of them went wrong: counted along, for a busy gateway has thousands in its window."""
    _open_until: float | None = None
    _rest: float = 0.0
    _probe_until: float | None = None

    def standing(self, now: float) -> Standing:
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def lets_through(self, now: float, seconds: float) -> bool:
        """Whether a call that takes at most `seconds` may be made now. Half-open, one at a time."""
        match self.standing(now):
            case "closed":
                return True
            case "open":
                return False
        if self._probe_until is not None and now < self._probe_until:
            return False
        self._probe_until = now + seconds
        return True

    def note(self, now: float, took: float, ok: bool) -> None:
        """What came of a call that was let through."""
        good = ok and took < self.limits.slow
        if self._open_until is not None:
            if self.standing(now) == "half-open":
                self._probe_until = None
                self._close() if good else self._open(now, self._rest * 2)
            return
        self._calls.append((now, good))
        self._bad += not good
        while self._calls and self._calls[0][0] <= now - self.limits.window:
            self._bad -= not self._calls.popleft()[1]
        if self._bad >= self.limits.errors and self._bad >= self.limits.share * len(self._calls):
            self._open(now, self.limits.rest)

    def _open(self, now: float, rest: float) -> None:
        self._rest = min(rest, self.limits.longest_rest)
        self._open_until = now + self._rest
        self._forget()

    def _close(self) -> None:
        self._open_until, self._rest = None, 0.0
        self._forget()

    def _forget(self) -> None:
        self._calls.clear()
        self._bad = 0
