"""What is handed over is sent in order, without a gap and once, whatever else happens to the same aggregates."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from libs.common import handover
from libs.common.handover import Appended, Handover

WHERE = "referrals"

STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("append"), some.sampled_from("ab"), some.integers(1, 2), some.integers(0, 2)),
        some.tuples(some.sampled_from(["told", "elsewhere"]), some.sampled_from("ab")),
        some.tuples(some.sampled_from(["round", "sweep", "mark", "fail", "lose"])),
    ),
    max_size=40,
)


def _entries(first: int, last: int) -> list[dict[str, Any]]:
    return [{"sequence": number} for number in range(first, last + 1)]


class Model:
    """A store, a topic, and a relay that does with a handover what ours does."""

    def __init__(self) -> None:
        self.handover = Handover()
        self.written: dict[str, int] = defaultdict(int)
        self.marked: dict[str, int] = defaultdict(int)
        self.topic: dict[str, list[int]] = defaultdict(list)
        self.untold: list[tuple[str, Appended]] = []
        self.sweeps = False

    def append(self, id: str, count: int, stale: int) -> None:
        """The answer to a write comes later than the write; what was read of the mark may be of a while ago."""
        first = self.written[id] + 1
        self.written[id] += count
        read = Appended(self.handover.generation, max(0, self.marked[id] - stale), _entries(first, self.written[id]))
        self.untold.append((id, read))

    def told(self, id: str) -> None:
        for each in [each for each in self.untold if each[0] == id]:
            self.untold.remove(each)
            self.handover.add(WHERE, *each)

    def elsewhere(self, id: str) -> None:
        self.written[id] += 1

    def mark(self) -> None:
        for id, sent in self.topic.items():
            self.marked[id] = len(sent)

    def round(self) -> None:
        handed = self.handover.take(WHERE)
        if handed is None or self.sweeps:
            self.sweeps = False
            self.mark()
            for id in [id for id in self.written if self.written[id] > self.marked[id]]:
                self.handover.goes(WHERE, id, self.written[id])
                self.topic[id] += range(self.marked[id] + 1, self.written[id] + 1)
        else:
            for id, entries in handed.items():
                self.topic[id] += [entry["sequence"] for entry in entries]

    def sweep(self) -> None:
        self.sweeps = True
        self.round()

    def fail(self) -> None:
        self.handover.take(WHERE)
        self.lose()

    def lose(self) -> None:
        self.handover.clear()
        self.sweeps = True


@given(STEPS)
@example([("append", "a", 1, 0), ("elsewhere", "a"), ("sweep",), ("lose",), ("round",), ("told", "a"), ("round",)])
def test_every_topic_has_each_sequence_once_and_in_order(steps: list[tuple[Any, ...]]) -> None:
    model = Model()
    for step, *arguments in steps:
        getattr(model, step)(*arguments)
        assert all(sent == list(range(1, len(sent) + 1)) for sent in model.topic.values()), step
    model.sweep()
    assert {id: len(sent) for id, sent in model.topic.items()} == {id: n for id, n in model.written.items() if n}


def test_what_follows_upon_what_was_handed_over_is_handed_over_too() -> None:
    found = Handover()
    found.add(WHERE, "a", Appended(found.generation, 0, _entries(1, 1)))
    found.add(WHERE, "a", Appended(found.generation, 0, _entries(2, 3)))
    assert found.take(WHERE) == {"a": _entries(1, 3)}
    # The mark is set a while later: the document still says that nothing was sent.
    found.add(WHERE, "a", Appended(found.generation, 0, _entries(4, 4)))
    assert found.take(WHERE) == {"a": _entries(4, 4)}
    assert found.take(WHERE) == {}


def test_what_comes_after_a_gap_is_read() -> None:
    found = Handover()
    found.add(WHERE, "a", Appended(found.generation, 2, _entries(4, 4)))
    found.add("others", "b", Appended(found.generation, 0, _entries(1, 1)))
    assert found.take(WHERE) is None
    assert found.take("others") == {"b": _entries(1, 1)}


def test_private_entries_are_nobodys() -> None:
    found = Handover()
    found.add(WHERE, "a", Appended(found.generation, 0, [{"type": "private"}, *_entries(1, 1), {"type": "private"}]))
    found.add(WHERE, "b", Appended(found.generation, 0, [{"type": "private"}]))
    assert found.take(WHERE) == {"a": _entries(1, 1)}


def test_more_than_it_holds_is_let_go_of_and_read() -> None:
    found = Handover()
    for number in range(handover.HELD + 1):
        found.add(WHERE, f"p{number}", Appended(found.generation, 0, _entries(1, 1)))
    assert found.take(WHERE) is None
    found.add(WHERE, "next", Appended(found.generation, 0, _entries(1, 1)))
    assert found.take(WHERE) == {"next": _entries(1, 1)}


def test_what_was_read_before_it_forgot_what_was_sent_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "REMEMBERED", 1)
    found = Handover()
    late = Appended(found.generation, 0, _entries(1, 1))
    # Another process appended the second, a sweep sent both, and then so many more that these are forgotten.
    found.goes(WHERE, "a", 2)
    found.goes(WHERE, "b", 1)
    found.add(WHERE, "a", late)
    assert found.take(WHERE) is None
