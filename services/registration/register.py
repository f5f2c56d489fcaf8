"""The day's OPD register as CSV (RFC 4180): who came, which number, when called, how long waited."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import Any

from services.registration.domain.queue import DESK_TIME

COLUMNS = (
    "counter", "number", "status", "urgent", "door", "token_at", "called_at", "waited_minutes", "visit", "patient",
    "name", "sex", "birth_year", "guardian", "village", "district_lgd", "phone", "abha_number",
)  # fmt: skip
_CARD = COLUMNS[COLUMNS.index("name") :]


def register(visits: Sequence[Mapping[str, Any]], cards: Mapping[str, Mapping[str, Any]]) -> str:
    """One line per token, by counter and number. Times are the desk's (Asia/Kolkata, with offset)."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for visit in visits:
        card = cards.get(visit["patient"], {})
        taken, called = _moment(visit.get("taken_at")), _moment(visit.get("called_at"))
        waited = "" if taken is None or called is None else max(0, int((called - taken).total_seconds() // 60))
        row = [
            visit["counter"], visit["number"], visit.get("status", "waiting"), "yes" if visit.get("urgent") else "",
            visit["door"], _shown(taken), _shown(called), waited, visit["id"], visit["patient"],
            *(card.get(name) for name in _CARD),
        ]  # fmt: skip
        rows.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> str:
    """As text. What a spreadsheet would take for a formula is kept from it (CSV injection, OWASP); phones stay."""
    text = "" if value is None else str(value)
    if text[:1] in ("=", "-", "@", "\t", "\r") or (text[:1] == "+" and not text[1:].isdecimal()):
        return f"'{text}"
    return text


def _moment(text: Any) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if isinstance(text, str) else None


def _shown(moment: dt.datetime | None) -> str:
    return moment.astimezone(DESK_TIME).isoformat(timespec="seconds") if moment else ""
