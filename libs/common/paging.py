"""Pages by cursor: a page goes on after the last document of the one before, whatever was written meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.mongo import ASCENDING, DESCENDING, Collection, Document
from libs.common.refusal import Refused

MOST = 200
"""Documents on a page at most."""


def _value(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _decode(cursor: str) -> tuple[str, str]:
    try:
        after, id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if not isinstance(after, str) or not isinstance(id, str):
            raise ValueError
        f"{after}{id}".encode()  # No half of a character, which no store keeps.
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise Refused("cursor-invalid", "must be a cursor that an earlier page gave", field="cursor") from None
    return after, id


async def page(
    collection: Collection,
    filter: Mapping[str, Any],
    *,
    sort: str,
    descending: bool = False,
    limit: int = 50,
    cursor: str | None = None,
    fields: Sequence[str] | None = None,
) -> tuple[list[Document], str | None]:
    """Documents by a text field (Instants and names sort as text) and the next cursor, None at the end.

    `fields` are the paths worth reading besides the sort's own; by default the state, not the journal.

    Raises Refused naming `cursor` or `limit`.
    """
    if not 1 <= limit <= MOST:
        raise Refused("limit-out-of-range", f"must be between 1 and {MOST}", field="limit")
    order, beyond = (DESCENDING, "$lte") if descending else (ASCENDING, "$gte")
    conditions = dict(filter)
    last: tuple[str, str] | None = None
    if cursor is not None:
        last = _decode(cursor)
        # Beside what the filter says of the sort's own path: behind an `$and` some servers look for no index.
        said = conditions.get(sort, {})
        conditions[sort] = {**(said if isinstance(said, Mapping) else {"$eq": said}), beyond: last[0]}
    projection = dict.fromkeys([*(fields or ("state",))], 1)
    if not any(sort == path or sort.startswith(f"{path}.") for path in projection):
        projection[sort] = 1

    def follows(document: Document) -> bool:
        """Documents of the cursor's own instant come again, up to the one where the last page ended."""
        here = (_value(document, sort), document["_id"])
        return last is None or (here < last if descending else here > last)

    most = limit + 2
    while True:
        sorted_ = collection.find(conditions, projection).sort([(sort, order), ("_id", order)])
        batch = await sorted_.limit(most).to_list(most)
        found = [document for document in batch if follows(document)]
        if len(found) > limit or len(batch) < most:
            break
        # A crowd at the cursor's own instant.
        most *= 2
    if len(found) <= limit:
        return found, None
    end = found[limit - 1]
    text = json.dumps([_value(end, sort), end["_id"]]).encode()
    return found[:limit], base64.urlsafe_b64encode(text).decode()
