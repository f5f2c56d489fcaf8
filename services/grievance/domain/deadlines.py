"""By when a grievance of a category must be put right, and when the next level is told. Elapsed hours, in UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.contracts.event import Code

Hours = Annotated[float, Field(gt=0, le=24 * 366)]


class Category(BaseModel):
    """One kind of complaint.

    The breach of the promise is step 1; `escalation_hours[0]` is how long the level it went to has before step 2, and
    so on. There is one step more than there are entries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    name: str = Field(min_length=1, max_length=200)
    redress_hours: Hours
    escalation_hours: tuple[Hours, ...] = Field(max_length=10)
    emergency: bool = False
    confidence: Literal["high", "medium", "low"] = "low"
    source: str = ""
    retired: bool = False


def promised(category: Category, recorded_at: dt.datetime) -> dt.datetime:
    """When redress is due, counted from when the complaint was recorded. Never moved by what happens later."""
    return recorded_at + dt.timedelta(hours=category.redress_hours)


def next_breach(escalation_hours: Sequence[float], step: int, escalated_at: dt.datetime) -> dt.datetime | None:
    """When the step after `step` is due; None after the last one.

    Counted from the escalation itself and not from the date that was missed, so that a level that hears of a case late,
    after an outage, has its full time, and one breach is one step.
    """
    if step > len(escalation_hours):
        return None
    return escalated_at + dt.timedelta(hours=escalation_hours[step - 1])
