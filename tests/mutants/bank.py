"""The bank of known bugs, as data: `bank.yaml` beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """One known bug: `find` stands exactly once in `file`, and `replace` takes its place."""

    name: str
    pitfall: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]

    def occurrences(self, root: Path = REPOSITORY) -> int:
        return (root / self.file).read_text(encoding="utf-8").count(self.find)

    def switch_on(self, root: Path) -> None:
        path = root / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.find, self.replace, 1), encoding="utf-8")


def read_bank() -> list[Mutant]:
    rows = yaml.safe_load((Path(__file__).parent / "bank.yaml").read_text(encoding="utf-8"))
    return [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]
