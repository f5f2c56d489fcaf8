"""What goes wrong with one of many writes is said of that one, and quotes no document."""

from __future__ import annotations

import asyncio
from typing import Any

from libs.common.mongo import STORE_AWAY, BulkWriteError, DuplicateKey, WriteError
from libs.common.writes import Writes


class _Refusing:
    """A database whose bulk writes fail as told."""

    def __init__(self, **details: Any) -> None:
        self._details = details

    def __getitem__(self, name: str) -> Any:
        return self

    async def bulk_write(self, writes: Any, ordered: bool) -> Any:
        raise BulkWriteError(self._details)


async def _inserted(**details: Any) -> list[BaseException | None]:
    writes = Writes(_Refusing(**details))  # type: ignore[arg-type]
    documents = [{"_id": str(number), "name": "Marked"} for number in range(3)]
    return await asyncio.gather(*(writes.insert("c", document) for document in documents), return_exceptions=True)


async def test_each_has_its_own_error_without_the_document() -> None:
    failed = [
        {"index": 0, "code": 11000, "op": {"name": "Marked"}},
        {"index": 2, "code": 121, "op": {"name": "Marked"}},
    ]
    taken, written, invalid = await _inserted(writeErrors=failed)
    assert isinstance(taken, DuplicateKey)
    assert written is None
    assert isinstance(invalid, WriteError)
    for error in (taken, invalid):
        assert "Marked" not in f"{error!r} {error} {error.details}"


async def test_what_is_not_known_to_be_durable_is_tried_again_as_if_the_store_was_away() -> None:
    answers = await _inserted(writeConcernErrors=[{"code": 64, "errmsg": "waiting for replication timed out"}])
    assert all(isinstance(answer, STORE_AWAY) for answer in answers)
