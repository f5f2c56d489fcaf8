"""The offices above the facilities, read from a file: cards of the directory that nobody is sent to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from libs.contracts.event import FacilityCode
from libs.contracts.referral import FacilityCard
from services.referral.directory import Row
from services.referral.domain.facility import OFFICE

DEFAULT = Path(__file__).with_name("cells.yaml")

Mailbox = Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,120}$")]


class BadCells(ValueError):
    """The file cannot be taken; says where and why."""


class _Cell(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: FacilityCode
    name: str = Field(min_length=1, max_length=120)
    state_lgd: int = Field(ge=0, le=99)
    desk_email: Mailbox
    officer_email: Mailbox


def read(path: Path = DEFAULT) -> list[Row]:
    """Each cell as a row of the directory. Raises BadCells, and FileNotFoundError."""
    try:
        cells = TypeAdapter(list[_Cell]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
    except (ValidationError, yaml.YAMLError) as error:
        raise BadCells(f"{path.name}: {error}") from None
    for name in ("code", "state_lgd"):
        said = [getattr(cell, name) for cell in cells]
        if len(set(said)) != len(said):
            raise BadCells(f"{path.name}: {name} stands there twice")
    return [Row(_card(cell), hashlib.sha256(cell.model_dump_json().encode()).hexdigest()) for cell in cells]


def _card(cell: _Cell) -> FacilityCard:
    return FacilityCard(
        **cell.model_dump(),
        hip_id="",
        level=OFFICE,
        district_lgd=0,
        latitude=0.0,
        longitude=0.0,
        altitude_m=0,
        beds=0,
        takes_referrals=False,
    )


def above(card: FacilityCard | None, cards: Iterable[FacilityCard]) -> str | None:
    """One level up: where this facility refers to, else the cell of its state, else the national one. None where the
    directory knows none, and for a facility that it does not know."""
    if card is None:
        return None
    if card.refers_to is not None:
        return card.refers_to
    by_state = {each.state_lgd: each.code for each in cards if each.level == OFFICE and each.code != card.code}
    return by_state.get(card.state_lgd) or by_state.get(0)
