"""What a provider's code means for us: data in `codes.yaml`, because every operator has words of its own."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from libs.common.misfit import Misfit

Meaning = Literal["stop", "later", "never", "refused"]

_RANGE = re.compile(r"(\d+)-(\d+)")


def written(code: str) -> str:
    """As our reasons are written: lower case, words joined by hyphens, at most 64 characters."""
    return re.sub(r"[^a-z0-9]+", "-", code.lower()).strip("-")[:64].strip("-") or "unknown"


class Codes(BaseModel):
    """`codes.yaml`. Raises ValueError for a code that stands under two meanings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stop: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @field_validator("stop", "later", "never", "refused", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return tuple(str(one) for one in value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Codes:
        """A code under two meanings would have the first, whatever its writer thought."""
        said: dict[str, str] = {}
        for meaning in _MEANINGS:
            for index, one in enumerate(getattr(self, meaning)):
                bounds = _RANGE.fullmatch(one)
                if bounds and int(bounds[1]) > int(bounds[2]):
                    raise Misfit(f"{one} ends before it begins", meaning, index)
                if not bounds and one != written(one):
                    raise Misfit(f"must be written as {written(one)}", meaning, index)
                if one in said:
                    raise Misfit(f"{one} stands under {said[one]} too", meaning, index)
                said[one] = meaning
        return self

    def meaning(self, code: str) -> Meaning | None:
        """None for a code that nobody has decided about."""
        said = written(code)
        bare = said.removeprefix("dlt-").removeprefix("error-").removeprefix("err-")
        for meaning in _MEANINGS:
            for one in getattr(self, meaning):
                if bounds := _RANGE.fullmatch(one):
                    if bare.isdigit() and int(bounds[1]) <= int(bare) <= int(bounds[2]):
                        return meaning
                elif one in (said, bare):
                    return meaning
        return None


_MEANINGS: tuple[Meaning, ...] = ("stop", "later", "never", "refused")
