"""Reads the schemes' rules from files; a bad one is refused at start, with its line and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import RootModel

from libs.common.lined import BadFile, files, line_of, read
from libs.contracts.event import Code
from services.registration.domain.identifiers import fold
from services.registration.domain.schemes import Category, Scheme

HERE = Path(__file__).parent
SCHEMES = HERE / "schemes"
CATEGORIES = HERE / "categories.yaml"


class _Categories(RootModel[dict[Code, Category]]):
    pass


@dataclass(frozen=True)
class Rulebook:
    """Every scheme by its code, and what families may be."""

    schemes: Mapping[str, Scheme]
    categories: Mapping[str, Category]
    spellings: Mapping[str, str]

    def category(self, said: str) -> str | None:
        """The code of a category, however it is spelt; None if nobody knows it."""
        return self.spellings.get(_plain(said))

    @property
    def facts(self) -> dict[str, str]:
        """What single schemes want to know beyond what every family is asked."""
        return {name: says for scheme in self.schemes.values() for name, says in scheme.asks.items()}


def _plain(said: str) -> str:
    return fold(said).replace(" ", "")


def read_rulebook(folder: Path = SCHEMES, categories: Path = CATEGORIES) -> Rulebook:
    """Raises BadFile: a file with a mistake, a contradiction or a gap; and OSError."""
    known = dict(read(categories, _Categories).root)
    schemes: dict[str, Scheme] = {}
    paths = {path: read(path, Scheme) for path in files(folder)}
    if not paths:
        raise BadFile(f"{folder}:1: there is no scheme")
    for path, scheme in paths.items():
        if scheme.scheme in schemes:
            raise BadFile(f"{path}:{line_of(path, 'scheme')}: {scheme.scheme} stands in another file too")
        schemes[scheme.scheme] = scheme
        for code, category in scheme.categories.items():
            if code in known:
                raise BadFile(f"{path}:{line_of(path, 'categories', code)}: category {code} stands elsewhere too")
            known[code] = category
    for path, scheme in paths.items():
        for code, place in scheme.category_places():
            if code not in known:
                raise BadFile(f"{path}:{line_of(path, *place)}: no such category: {code}")
    return Rulebook(schemes, known, _spellings(known, categories))


def _spellings(categories: Mapping[str, Category], path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for code, category in categories.items():
        for spelling in dict.fromkeys(_plain(each) for each in (code, *category.also)):
            if found.setdefault(spelling, code) != code:
                raise BadFile(f"{path}:1: {found[spelling]} and {code} are spelt alike: {spelling}")
    return found
