"""People whom only this service has to know, and duty rosters: their collections and look-ups."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

from libs.common.aggregate import AggregateType
from libs.common.mongo import Database
from services.notifications.domain import audience, person, roster
from services.notifications.lookup import Lookup

PERSON = AggregateType(
    name="person",
    collection="people",
    state=person.Person,
    events=person.EVENTS,
    evolve=person.evolve,
    indexes=(("state.patients",), ("state.villages",), ("state.subject",), ("state.facility", "_id")),
)

ROSTER = AggregateType(
    name="roster",
    collection="rosters",
    state=roster.Roster,
    events=roster.EVENTS,
    evolve=roster.evolve,
)
"""Its id is `<role>@<facility>`."""

AUDIENCE = AggregateType(
    name="audience",
    collection="audiences",
    state=audience.Audience,
    events=audience.EVENTS,
    evolve=audience.evolve,
)

NOBODY_KEPT_SECONDS = 2.0
"""How long it is believed that there is nobody at all who relays, before it is looked up again."""


class People:
    def __init__(self, database: Database) -> None:
        self._people = database[PERSON.collection]
        self._rosters = database[ROSTER.collection]
        self._found = Lookup(self._people, {"state": 1})
        self._nobody_until = 0.0

    async def get(self, id: str) -> person.Person | None:
        found = await self._found.get(id)
        return person.Person.model_validate(found["state"]) if found else None

    async def _with(self, field: str, value: str, kinds: frozenset[person.Kind]) -> list[str]:
        found = self._people.find({f"state.{field}": value}, {"state.kind": 1, "state.active": 1})
        ids = [one["_id"] async for one in found if one["state"]["active"] and one["state"]["kind"] in kinds]
        return sorted(ids)

    async def _for(self, patients: Sequence[str], kinds: frozenset[person.Kind]) -> list[str]:
        return sorted({id for patient in patients for id in await self._with("patients", patient, kinds)})

    async def family_of(self, patients: Sequence[str]) -> list[str]:
        """`patients` are the ids of one person's records."""
        return await self._for(patients, frozenset({"family"}))

    async def ashas_of(self, patients: Sequence[str], village: str | None) -> list[str]:
        """Who cares for this patient by name; else who serves the village."""
        return await self._of_kind("asha", patients, village)

    async def _of_kind(self, kind: person.Kind, patients: Sequence[str], village: str | None) -> list[str]:
        by_name = await self._for(patients, frozenset({kind}))
        return by_name or (await self._with("villages", village, frozenset({kind})) if village else [])

    async def relay_for(self, patients: Sequence[str], village: str | None) -> str | None:
        """The ASHA, else the panchayat, who passes messages on to this patient."""
        if time.monotonic() < self._nobody_until:
            return None
        if await self._people.find_one({}, {"_id": 1}) is None:
            self._nobody_until = time.monotonic() + NOBODY_KEPT_SECONDS
            return None
        found = await self.ashas_of(patients, village)
        if not found:
            found = await self._of_kind("panchayat", patients, village)
        return f"person:{found[0]}" if found else None

    async def family_only_of(self, patient: str) -> list[str]:
        """Those who are recorded for this patient's sake alone."""
        found = self._people.find({"state.patients": patient}, {"state.kind": 1, "state.patients": 1})
        return [
            one["_id"]
            async for one in found
            if one["state"]["kind"] == "family" and one["state"]["patients"] == [patient]
        ]

    async def on_duty(self, duty: str, at: dt.datetime) -> list[str]:
        """Ids of those on duty in `<role>@<facility>`, who are still told things."""
        found = await self._rosters.find_one({"_id": duty}, {"state": 1})
        if found is None:
            return []
        ids = roster.Roster.model_validate(found["state"]).on_duty(at)
        return [id for id in ids if (one := await self.get(id)) is not None and one.active]

    async def of_subject(self, subject: str) -> str | None:
        """The person who signs in as this subject."""
        found = await self._people.find_one({"state.subject": subject}, {"_id": 1}) if subject else None
        return found["_id"] if found else None
