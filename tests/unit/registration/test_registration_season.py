"""Where somebody is in the month at hand, and a row's card that two may want."""

from __future__ import annotations

import datetime as dt

import pytest

from libs.common.refusal import Refused
from libs.contracts.registration import PatientCard, SecondPlace
from services.registration.domain import camp
from services.registration.domain.patient import SecondHome, second
from services.registration.domain.whereabouts import there
from services.registration.places import read_places

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


def test_a_second_place_that_names_none_is_refused_and_one_with_a_village_alone_is_not() -> None:
    on = dt.date(2026, 11, 20)
    with pytest.raises(Refused) as refused:
        second(read_places(), SecondHome(months=(1, 2)), on)
    assert refused.value.field == "second_place"
    found = second(read_places(), SecondHome(months=(1, 2), village="Zangla"), on)
    assert found is not None
    assert found.village == "Zangla"


def taken(content: str = "one") -> camp.RowTaken:
    return camp.RowTaken(
        facility="LA-X",
        device="tab",
        row_key="r1",
        patient="p",
        card="C12345000010",
        content=content,
        upload="u",
        index=3,
    )


def test_a_row_has_its_card_until_it_is_let_go() -> None:
    [event] = camp.take(None, taken())
    held = camp.evolve_row(None, event)
    assert (held.status, held.card, held.upload, held.index) == ("taken", "C12345000010", "u", 3)
    assert camp.take(held, taken("two")) == []
    assert camp.release(held, "another content") == []
    [event] = camp.release(held, "one")
    free = camp.evolve_row(held, event)
    assert (free.status, free.card, free.released) == ("released", None, 1)
    assert camp.release(free, "one") == []
    [event] = camp.take(free, taken("two"))
    again = camp.evolve_row(free, event)
    assert (again.status, again.released, again.content) == ("taken", 1, "two")


def test_a_row_of_an_older_journal_is_taken_as_it_was() -> None:
    of_old = camp.CardReserved(
        facility="LA-X", device="tab", row_key="r1", patient="p", card="C12345000010", content="one"
    )
    reserved = camp.evolve_row(None, of_old)
    assert reserved.status == "reserved"
    assert len(camp.release(reserved, "one")) == 1
    [event] = camp.take(reserved, taken())
    assert camp.evolve_row(reserved, event).status == "taken"
    older = camp.RowTaken(facility="LA-X", device="tab", row_key="r1", patient="p", card="C12345000010")
    assert camp.evolve_row(reserved, older).upload == ""
