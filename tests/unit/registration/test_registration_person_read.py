"""What a cell of somebody's file says of a person, however it was written."""

from __future__ import annotations

import pytest

from services.registration.domain.matching.names import read_name
from services.registration.domain.matching.person import read_identifier, read_phones, read_sex


@pytest.mark.parametrize(
    ("text", "sex"),
    [("M", "m"), ("Male (M)", "m"), ("पुरुष", "m"), ("مرد", "m"), ("ཕོ", "m"), ("Mr.", "m"), ("F - Female", "f"),
     ("महिला", "f"), ("स्त्री", "f"), ("عورت", "f"), ("མོ", "f"), ("fem", "f"), ("2", "f"),
     ("transgender male", ""), ("male/female", ""),
     ("other", ""), ("not male", ""), ("", "")],
)  # fmt: skip
def test_sex_is_read_in_words_and_scripts(text: str, sex: str) -> None:
    assert read_sex(text) == sex


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("+91 55501 23456", {"5550123456"}), ("05550123456 or 5550123457", {"5550123456", "5550123457"}),
     ("5550123456 5550123457", {"5550123456", "5550123457"}), ("5550123456\n5550123457", {"5550123456", "5550123457"}),
     ("5550123456 ext. 12", {"5550123456"}), ("5.550123456E9", {"5550123456"}), ("5.55E+09", set()), ("n/a", set())],
)  # fmt: skip
def test_every_number_of_a_cell_is_read(text: str, numbers: set[str]) -> None:
    assert read_phones(text) == numbers


def test_an_identifier_whose_digits_a_spreadsheet_dropped_is_missing() -> None:
    assert read_identifier("9.10012E+13") == ""
    assert read_identifier("91-0012.0") == "910012"


@pytest.mark.parametrize(
    ("text", "given", "family"),
    [("Smith, John", ["john"], ["smith"]), ("Dr John Smith Jr.", ["john"], ["smith"]), ("Smith, Jr", ["smith"], []),
     ("Late Sh. Ram Lal", ["ram"], ["lal"]), ("Mst. Zainab", ["zainab"], []),
     ("Smith, Mrs Mary Ann", ["mary", "ann"], ["smith"]),
     ("Dr", ["dr"], [])],
)  # fmt: skip
def test_what_stands_around_a_name_is_no_name(text: str, given: list[str], family: list[str]) -> None:
    name = read_name(text)
    assert [word.text for word in name.given] == given
    assert [word.text for word in name.family] == family
