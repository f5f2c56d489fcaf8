"""What a play leaves behind: each answer as it comes, and at the end the figures."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, TextIO

from deploy.local.layout import write_json
from tools.playing.day import Day, Line
from tools.playing.judging import REFUSALS


class Result:
    """`folder` is this day's own: `answers.jsonl` (appended, read again by the next play) and `result.json`."""

    def __init__(self, folder: Path, day: Day) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "result.json"
        self.answers: list[dict[str, Any]] = []
        self._day = day
        self._kept = folder / "answers.jsonl"
        self._started = dt.datetime.now(dt.UTC)
        self._file: TextIO | None = None

    def last_play(self) -> dict[int, Any]:
        """The good answers of earlier plays on this state, by line number; a line cut short by a kill is left out."""
        answers: dict[int, Any] = {}
        if self._kept.exists():
            for text in self._kept.read_text().splitlines():
                try:
                    entry = json.loads(text)
                except json.JSONDecodeError:
                    continue
                answers.setdefault(entry["n"], entry["answer"])
        return answers

    def add(self, line: Line, subject: str, status: int, seconds: float, answer: Any, what: str | None) -> None:
        entry = {
            "n": line.n, "verb": line.verb, "key": line.key, "expect": line.expect, "subject": subject,
            "label": line.label, "on": line.on, "status": status, "ms": round(seconds * 1000, 3), "met": what is None,
            "what": what, "answer": answer,
        }  # fmt: skip
        self.answers.append(entry)
        if what is None and line.expect != "rejected":
            self._keep({"n": line.n, "answer": answer})

    def _keep(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            cut_short = self._kept.exists() and not self._kept.read_bytes().endswith(b"\n")
            self._file = self._kept.open("a")
            self._file.write("\n" if cut_short else "")
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._file.flush()

    def finish(self, ids: dict[str, str], compared: int) -> dict[str, Any]:
        """Writes `result.json` and returns it. Times are UTC by this machine's clock."""
        if self._file is not None:
            self._file.close()
        finished = dt.datetime.now(dt.UTC)
        taken = sorted(answer["ms"] for answer in self.answers if answer["status"])
        unmet = sorted((answer for answer in self.answers if not answer["met"]), key=lambda answer: answer["n"])
        result = {
            "day": str(self._day.path),
            "started_at": self._started.isoformat(timespec="milliseconds"),
            "finished_at": finished.isoformat(timespec="milliseconds"),
            "seconds": round((finished - self._started).total_seconds(), 3),
            "lines": len(self._day.lines),
            "unexpected": len(unmet),
            "rejected": sum(answer["status"] in REFUSALS for answer in self.answers),
            "retries": sum(answer["expect"] == "same" and answer["met"] for answer in self.answers),
            "p50_ms": percentile(taken, 50),
            "p99_ms": percentile(taken, 99),
            "same_as_last_play": compared,
            "differences": [{k: a[k] for k in ("n", "verb", "expect", "status", "what")} for a in unmet],
            "ids": ids,
            "answers": sorted(self.answers, key=lambda answer: answer["n"]),
        }
        write_json(self.path, result)
        return result


def percentile(ordered: list[float], percent: float) -> float:
    """Nearest rank of an ascending list; 0 for an empty one."""
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]
