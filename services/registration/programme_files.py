"""Reads the screening programmes from files; a bad one is refused at start, with its line and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from libs.common.lined import BadFile, files, line_of, read
from services.registration.domain.programmes import Programme

PROGRAMMES = Path(__file__).parent / "programmes"


def read_programmes(folder: Path = PROGRAMMES) -> Mapping[str, Programme]:
    """Raises BadFile, and OSError."""
    found: dict[str, Programme] = {}
    for path in files(folder):
        programme = read(path, Programme)
        if programme.programme in found:
            raise BadFile(f"{path}:{line_of(path, 'programme')}: {programme.programme} stands in another file too")
        found[programme.programme] = programme
    if not found:
        raise BadFile(f"{folder}:1: there is no programme")
    return found
