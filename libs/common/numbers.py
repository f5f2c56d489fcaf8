"""Numbers in JSON and in data files: `true` is none, though it counts as 1 in Python, nor is a text like "5". Where
numbers come as text, in a query or in a CSV cell, plain `int` or the file's reader makes them ones."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Whole = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True)]
