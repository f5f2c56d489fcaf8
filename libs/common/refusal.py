"""A rule says no. Pure, so that the domain may raise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Refused(Exception):
    """A command that a rule refuses; nothing was changed.

    `code` is stable and hyphenated. With `field`, the input is at fault (HTTP 422, the field named); without, the
    state is (409, with the moves that are `allowed` to this actor now). `detail` never repeats what was sent in; `more`
    are further members of the answer, such as alternatives.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        allowed: Sequence[str] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.field = field
        self.allowed = tuple(allowed)
        self.more = dict(more or {})
