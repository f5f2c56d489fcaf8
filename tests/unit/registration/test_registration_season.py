"""Where somebody is in the month at hand, and a row's card that two may want."""

from __future__ import annotations

import datetime as dt

import pytest

from libs.contracts.registration import PatientCard, SecondPlace
from services.registration.domain import camp
from services.registration.domain.whereabouts import there

HOME = PatientCard(id="p", registered_at="LA-LEH-CHC-DISKIT", village="Hunder", district_lgd=9, state_lgd=37)


@pytest.mark.parametrize(("month", "village"), [(1, "Zangla"), (2, "Hunder"), (10, "Hunder"), (12, "Zangla")])
def test_in_its_months_somebody_is_at_the_second_place(month: int, village: str) -> None:
    card = HOME.model_copy(update={"second_place": SecondPlace(months=(12, 1), village="Zangla", district_lgd=6)})
    found = there(card, dt.date(2026, month, 15))
    assert found.village == village
    assert found.district_lgd == (6 if village == "Zangla" else 9)


def test_a_second_place_without_codes_has_those_of_the_home() -> None:
    card = HOME.model_copy(update={"second_place": SecondPlace(months=(7,), village="The upper pasture")})
    found = there(card, dt.date(2026, 7, 1))
    assert (found.village, found.district_lgd, found.state_lgd) == ("The upper pasture", 9, 37)


def reserved(content: str = "one") -> camp.CardReserved:
    return camp.CardReserved(
        facility="LA-LEH-CHC-DISKIT", device="tab", row_key="r1", patient="p", card="C12345000010", content=content
    )


def test_a_row_holds_its_card_until_it_is_taken_or_let_go() -> None:
    [event] = camp.reserve(None, reserved())
    held = camp.evolve_row(None, event)
    assert (held.status, held.card) == ("reserved", "C12345000010")
    assert camp.release(held, "another content") == []
    [event] = camp.release(held, "one")
    free = camp.evolve_row(held, event)
    assert (free.status, free.card, free.released) == ("released", None, 1)
    [event] = camp.reserve(free, reserved("two"))
    again = camp.evolve_row(free, event)
    assert (again.status, again.released) == ("reserved", 1)
    [event] = camp.take(again, camp.RowTaken(facility="LA-X", device="tab", row_key="r1", patient="p", card=again.card))
    taken = camp.evolve_row(again, event)
    assert taken.status == "taken"
    assert camp.reserve(taken, reserved("three")) == []
    assert camp.release(taken, "two") == []
