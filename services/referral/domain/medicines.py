"""What is to be taken on at home after a back-referral."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.numbers import Whole

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class Medicine(BaseModel):
    """`dose` and `timing` as a doctor writes them; `days` None: until told otherwise."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    name: Words
    dose: Words
    timing: Words | None = None
    days: Annotated[Whole, Field(ge=1, le=3650)] | None = None
