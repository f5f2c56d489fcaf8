"""A replica's card that was merged into another is read as that one, one at a time and many at once."""

from __future__ import annotations

from typing import Any

from libs.common.replica import Replica


class Cards:
    """As much of a collection as a look at a card needs."""

    def __init__(self, documents: dict[str, dict[str, Any]]) -> None:
        self.documents = documents

    async def find_one(self, query: dict[str, Any]) -> dict[str, Any] | None:
        return self.documents.get(query["_id"])


def replica(**documents: dict[str, Any]) -> Replica:
    made = Replica.__new__(Replica)
    made.collection = Cards(documents)  # type: ignore[assignment]
    return made


def card(name: str, into: str | None = None) -> dict[str, Any]:
    return {"card": {"name": name, "merged_into": into}}


async def test_many_are_followed_as_one_is() -> None:
    known = replica(a=card("old", "b"), b=card("older still", "c"), c=card("lives on"), d=card("another"))
    found = await known.get_many(["a", "b", "c", "d", "nobody", "a"])
    assert {key: one["name"] for key, one in found.items()} == {
        "a": "lives on", "b": "lives on", "c": "lives on", "d": "another"
    }  # fmt: skip
    assert {key: await known.get(key) for key in found} == found
    known.collection.documents["a"] = card("old")  # type: ignore[attr-defined]
    assert (await known.get_many(["a"]))["a"]["name"] == "old", "unmerged, it stands by itself"


async def test_what_it_was_merged_into_may_not_have_come_yet_or_be_erased() -> None:
    known = replica(a=card("old", "b"), c=card("old", "d"), d={"grave": True}, e=card("round", "f"), f=card("x", "e"))
    found = await known.get_many(["a", "c", "e"])
    assert found["a"]["name"] == "old"
    assert "c" not in found, "who was erased is nobody under any id"
    assert found["e"]["name"] in ("round", "x"), "a circle ends"
