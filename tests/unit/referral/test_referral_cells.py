"""The offices above the facilities: in the directory, told of broken promises, and never a place to be sent to."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.grievance.settings import Settings as GrievanceSettings
from services.referral import cells, directory
from services.referral.cells import BadCells
from services.referral.domain.facility import OFFICE

CELLS = {row.card.code: row.card for row in cells.read()}
CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}


def test_every_office_that_a_complaint_may_reach_has_a_card_with_a_mailbox() -> None:
    """What is told to an office without a card would wait for it for ever."""
    fields = GrievanceSettings.model_fields
    named = {*fields["state_cells"].default.values(), fields["national_cell"].default}
    assert named == set(CELLS)
    for card in CELLS.values():
        assert (card.level, card.beds, card.services, card.takes_referrals) == (OFFICE, 0, (), False)
        assert card.officer_email
        assert card.desk_email


@pytest.mark.parametrize(
    ("code", "above"),
    [
        ("HP-KNR-CHC-POOH", "HP-KNR-RH-PEO"),
        ("JK-SXR-MC-SMHS", "JK-STATE-CELL"),
        ("HP-SML-MC-IGMC", "HP-STATE-CELL"),
        ("LA-STATE-CELL", "IN-NATIONAL-CELL"),
        ("IN-NATIONAL-CELL", None),
    ],
)
def test_one_level_above(code: str, above: str | None) -> None:
    everything = [*CARDS.values(), *CELLS.values()]
    assert cells.above((CARDS | CELLS)[code], everything) == above


def test_a_state_without_a_cell_has_the_national_one_and_an_unknown_facility_none() -> None:
    elsewhere = CARDS["JK-SXR-MC-SMHS"].model_copy(update={"state_lgd": 9})
    assert cells.above(elsewhere, CELLS.values()) == "IN-NATIONAL-CELL"
    assert cells.above(elsewhere, ()) is None
    assert cells.above(None, CELLS.values()) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- {code: LA-STATE-CELL}", "name"),
        ("- {code: x y, name: n, state_lgd: 1, desk_email: a@b, officer_email: a@b}", "code"),
        ("- {code: A-B, name: n, state_lgd: 1, desk_email: nobody, officer_email: a@b}", "desk_email"),
        (
            "- &a {code: A-B, name: n, state_lgd: 1, desk_email: a@b, officer_email: a@b}\n- {<<: *a, code: A-C}",
            "state_lgd stands there twice",
        ),
        ("a: [", "expected"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadCells, match=what):
        cells.read(path)
