"""Reads the places the domain knows from places.yaml beside this file."""

from __future__ import annotations

from pathlib import Path

import yaml

from services.registration.domain.places import Places

FILE = Path(__file__).with_name("places.yaml")


def read_places(path: Path = FILE) -> Places:
    """Raises ValueError if a district stands under two states."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    districts: dict[int, int] = {}
    for row in rows:
        for district in row["districts"]:
            if district in districts:
                raise ValueError(f"district {district} stands under two states")
            districts[district] = row["code"]
    return Places(
        states={row["code"]: row["name"] for row in rows},
        districts=districts,
        languages={row["code"]: row["language"] for row in rows},
    )
