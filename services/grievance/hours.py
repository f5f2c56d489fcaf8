"""Working time by place: the files', with what was declared laid over it."""

from __future__ import annotations

import asyncio
import re

from libs.common.journal import Journal
from services.grievance.catalogue import Calendars
from services.grievance.domain.calendar import WorkingCalendar
from services.grievance.domain.declared import DeclaredDays
from services.grievance.store import DECLARED

_CODE = re.compile(r"[1-9]\d{0,2}(-[1-9]\d{0,5})?", re.ASCII)


class WorkingTime:
    """What is declared for a district outranks what is declared for its state."""

    def __init__(self, calendars: Calendars, journal: Journal) -> None:
        self._calendars = calendars
        self._journal = journal

    def knows(self, code: str) -> bool:
        """Whether there may be a calendar of this code: a state's LGD code, or `state-district`."""
        return _CODE.fullmatch(code) is not None and code.partition("-")[0] in self._calendars.codes()

    async def at(self, state_lgd: int, district_lgd: int) -> WorkingCalendar:
        base = self._calendars.base(state_lgd, district_lgd)
        days = dict(base.days)
        codes = (str(state_lgd), f"{state_lgd}-{district_lgd}")
        for document in await asyncio.gather(*(self._journal.load(DECLARED, code) for code in codes)):
            if document is not None:
                days |= DeclaredDays.model_validate(document["state"]).days
        return base.model_copy(update={"days": days})
