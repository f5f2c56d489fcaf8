"""W3C Trace Context, from request through events to effects."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from contextvars import ContextVar

_FORM = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def current() -> str | None:
    """The traceparent of what is being done now."""
    return _current.get()


def child_of(parent: str | None) -> str:
    """A traceparent in the parent's trace, or of a new trace if the parent is missing or malformed (W3C 3.2.2)."""
    if parent and _FORM.match(parent):
        return f"{parent[:36]}{secrets.token_hex(8)}{parent[52:]}"
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


@contextlib.contextmanager
def within(parent: str | None) -> Iterator[str]:
    traceparent = child_of(parent)
    token = _current.set(traceparent)
    try:
        yield traceparent
    finally:
        _current.reset(token)
