"""The page that people read says what the table says."""

from __future__ import annotations

from services.referral import draw_moves
from services.referral.access import ACCESS, route
from services.referral.domain import moves


def test_the_page_is_up_to_date() -> None:
    assert draw_moves.PAGE.read_text(encoding="utf-8") == draw_moves.page(), "python -m services.referral.draw_moves"


def test_the_diagram_has_an_arrow_for_every_row() -> None:
    arrows = [line for line in draw_moves.diagram().splitlines() if " --> " in line and ": " in line]
    assert len(arrows) == len(moves.MOVES)


def test_every_command_has_a_rule_with_its_roles_and_sides() -> None:
    places = {"origin": {"origin"}, "destination": {"destination", "answered_by"}}
    for command in moves.commands():
        rule = ACCESS[route(command)]
        who = [actor for actor in moves.actors(command) if actor.role != moves.CLOCK]
        assert rule.roles == {actor.role for actor in who}
        assert set(rule.at) == set().union(*(places[actor.side] for actor in who))


def test_every_number_of_bser_is_drawn() -> None:
    for number in moves.TRANSITIONS_OF_BSER:
        assert f": {number} " in draw_moves.diagram()
