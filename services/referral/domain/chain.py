"""Hops of one chain: from the health centre upwards, or to another facility instead, until somebody treats the patient.

The chain has a clock of its own, from its first request. Each hop carries it on, and the newest one watches it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.common.numbers import Whole
from libs.contracts.event import FacilityCode, Id, Instant

Kind = Literal["tertiary-hospital", "specialised-centre", "private-hospital", "army-hospital", "other"]
Why = Literal["redirected", "onward", "right-patient"]
"""A hop goes on from the one before."""

FIRST = 1


class Outside(BaseModel):
    """A destination that is not of this network. `state_lgd` is the LGD code of the state or territory; `name` is as
    the doctor typed it, and stays with the referral."""

    model_config = ConfigDict(frozen=True)

    state_lgd: Annotated[Whole, Field(ge=1, le=99)]
    kind: Kind
    name: Annotated[str, Field(min_length=1, max_length=120)]

    @property
    def code(self) -> FacilityCode:
        """Under which the directory has it: one for each state or territory."""
        return f"OUT-{self.state_lgd:02}"


class Hop(BaseModel):
    """Where a referral stands in its chain. `began_at` and `due` are the chain's; `why` it goes on from `previous`."""

    model_config = ConfigDict(frozen=True)

    chain: Id
    number: int
    previous: Id
    why: Why
    began_at: Instant
    due: Instant | None = None
    escalated: bool = False
