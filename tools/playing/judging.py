"""Whether an answer met the line's `expect`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tools.playing.asking import Known
from tools.playing.day import Line

REFUSALS = (400, 403, 409, 422)
"""What a refused line may get. 401 and 404 would mean that the player is wrong, 429 that it is too fast."""


@dataclass
class Judge:
    """Remembers first answers: by key within this play, by line from the last play of the same day on this state."""

    known: Known
    last_play: dict[int, Any] = field(default_factory=dict)
    compared: int = 0
    _first: dict[str, Any] = field(default_factory=dict)
    _tokens: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def judge(self, line: Line, status: int, answer: Any) -> str | None:
        """None if it met its `expect`, else what differed, readable. Learns from good answers."""
        if line.expect == "rejected":
            return None if status in REFUSALS else f"should have been refused, was answered {status}"
        if not 200 <= status < 300:
            return f"answered {status}: {_short(answer)}"
        if not isinstance(answer, dict):
            return f"answered {status} without a JSON object"
        difference = self._first_answer(line, answer) or self._share(line, answer) or self._last_play(line, answer)
        if difference is None:
            self.known.learn(line, answer)
        return difference

    def _first_answer(self, line: Line, answer: Any) -> str | None:
        if line.key in self._first:
            return _unlike("the first answer of this key", self._first[line.key], answer)
        self._first[line.key] = answer
        return None

    def _share(self, line: Line, answer: dict[str, Any]) -> str | None:
        """The same person at any counter; at one counter, a rescan gets the same token."""
        if line.verb != "opd.share":
            return None
        patient, number = answer.get("patient"), answer.get("tokenNumber")
        if patient is None or number is None:
            return f"the answer has no patient or no tokenNumber: {_short(answer)}"
        who = line.on or line.label
        if who in self.known.things and patient != self.known.id(who):
            return f"another patient than {who} was: {patient}, not {self.known.id(who)}"
        meta = line.body.get("metaData", {})
        place = (str(patient), str(meta.get("hipId")), str(meta.get("context")))
        if line.expect == "same" and number != self._tokens.get(place, number):
            return f"another token: {number}, not {self._tokens[place]}"
        self._tokens[place] = number
        return None

    def _last_play(self, line: Line, answer: Any) -> str | None:
        if line.n not in self.last_play:
            return None
        self.compared += 1
        return _unlike("the answer of the last play", self.last_play[line.n], answer)


def _unlike(what: str, first: Any, answer: Any) -> str | None:
    if first == answer:
        return None
    if isinstance(first, dict) and isinstance(answer, dict):
        names = sorted(name for name in first.keys() | answer.keys() if first.get(name) != answer.get(name))
        told = ", ".join(f"{name}: {_short(answer.get(name))}, not {_short(first.get(name))}" for name in names)
        return f"differs from {what}: {told}"
    return f"differs from {what}: {_short(answer)}, not {_short(first)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:297] + "..."
