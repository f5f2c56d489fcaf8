"""Who read a person's record, when and why: kept for a year (DPDP Rules 2025, rule 6; CERT-In asks for 180 days)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from libs.common.access import Access
from libs.common.clock import machine_now
from libs.common.mongo import Database, IndexModel
from libs.common.writes import Writes

COLLECTION = "reads"
KEPT_SECONDS = 366 * 24 * 3600

PURPOSES = frozenset({"CAREMGT", "BTG", "PUBHLTH", "HPAYMT", "DSRCH", "PATRQT"})
"""ABDM consent purposes (HL7 v3 PurposeOfUse)."""


class ReadLog:
    """Written before the record is shown: what could not be logged is not shown."""

    def __init__(self, database: Database) -> None:
        self._collection = database[COLLECTION]
        self._writes = Writes(database)

    async def ensure_indexes(self) -> None:
        await self._collection.create_indexes(
            [IndexModel([("at", 1)], expireAfterSeconds=KEPT_SECONDS), IndexModel([("patient", 1)])]
        )

    async def record(self, access: Access, patient: str | Sequence[str]) -> None:
        """`patient` is an id, or the ids of all whom one answer shows: one entry, found by each of them. The purpose is
        what the reader said, care management if nothing."""
        if not patient:
            return
        await self._writes.insert(
            COLLECTION,
            {
                "_id": secrets.token_hex(12),
                "at": machine_now(),
                "patient": patient if isinstance(patient, str) else list(patient),
                "subject": access.caller.subject,
                "role": access.caller.role,
                "facility": access.caller.facility,
                "purpose": access.purpose,
                "route": access.route,
            },
        )
