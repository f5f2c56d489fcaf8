"""What a command must say, and how a refusal names what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.refusal import Refused
from services.referral.domain.moves import Move


def check(move: Move, said: dict[str, Any]) -> None:
    """Raises Refused naming the field."""
    for need in move.needs:
        given = said.get(need.field)
        value = "" if given is None else str(given).strip()
        if not value:
            if need.required:
                raise Refused("missing", "must be given", field=need.field)
        elif need.codes and value not in need.codes:
            raise Refused("unknown-code", f"must be one of {', '.join(need.codes)}", field=need.field)
        elif need.longest is not None and len(value) > need.longest:
            raise Refused("too-long", f"at most {need.longest} characters", field=need.field)


def names_of(allowed: Sequence[Move]) -> tuple[str, ...]:
    return tuple(move.command for move in allowed)
