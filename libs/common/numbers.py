"""Numbers as they are said in a request: `true` is none, though it counts as 1 in Python and in pydantic's lax mode."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Whole = Annotated[int, BeforeValidator(_no_flag)]
Real = Annotated[float, BeforeValidator(_no_flag)]
