"""Parameters that several routes take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query
from pydantic import StringConstraints

Ticket = Annotated[str, StringConstraints(max_length=64)]
Secret = Annotated[
    str, Header(alias="X-Tracking-Secret", min_length=1, max_length=128, description="What the filing answered")
]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
