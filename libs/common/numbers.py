"""Numbers in JSON and in data files: `true` is none, though it counts as 1 in Python, nor is a text like "5". JSON has
one kind of number, so 5.0 is the whole number 5. Where numbers come as text, in a query or in a CSV cell, plain `int`
or the file's reader makes them ones."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _without_point(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Field(strict=True), BeforeValidator(_without_point)]
Real = Annotated[float, Field(strict=True)]
