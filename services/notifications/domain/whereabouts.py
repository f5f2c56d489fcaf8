"""Where somebody is in the month at hand: in the months of a second place there, else at home."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

CODES = ("block_lgd", "sub_district_lgd", "district_lgd", "state_lgd")


def where(card: Mapping[str, Any], on: dt.date) -> Mapping[str, Any]:
    """Village and LGD codes as a patient's card has them for this day (Indian Standard Time). A second place that
    names no code lies near the home: its codes are the home's."""
    away = card.get("second_place")
    if not away or on.month not in (away.get("months") or ()):
        return card
    codes = away if any(away.get(code) for code in CODES) else card
    return {"village": away.get("village"), **{code: codes.get(code) for code in CODES}}
