"""What people ask for who put two records together, take them apart again, or decide a review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Merge:
    """`into` is active and no part of this record."""

    into: str
    reason: str = ""
    by: str = "system"


@dataclass(frozen=True)
class Unmerge:
    reason: str = ""
    by: str = "system"


@dataclass(frozen=True)
class Resolve:
    """A person's decision on an open review; `same` names which candidate of the review it is."""

    decision: Literal["same", "different"]
    reason: str
    by: str
    candidate: str | None = None
