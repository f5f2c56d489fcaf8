"""Birth dates in any common form; what cannot be read is missing, never an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registration.domain.matching.births import Birth, Dates, births_agree, read_age, read_birth


@pytest.mark.parametrize(
    "text",
    ["19870430", "1987-04-30", "30/04/1987", "30-4-1987", "30.04.87", "30 Apr 1987", "April 30, 1987", "1987/4/30",
     "1987 4 30", "30APR1987", "1987-04-30T00:00:00", "३०/०४/१९८७", "04/30/1987", "1987-04-30 00:00:00.000",
     "87-04-30", "1987-04-30T00:00:00Z", "31897", "31897.0", "30 अप्रैल 1987", "30 اپریل 1987", "30/04/1987 (approx.)",
     "Thursday, 30 April 1987", "1987-04-30+05:30"],
)  # fmt: skip
def test_any_common_form_is_read(text: str) -> None:
    birth = read_birth(text)
    assert birth is not None
    assert (birth.year, birth.month, birth.day) == (1987, 4, 30)


@pytest.mark.parametrize(
    "text",
    ["", "NA", "unknown", "00000000", "soon", "12", "1/1", "-", "NaN", "2999", "0000-00-00", "00/00/0000", "99/99/9999",
     "0000-03-05", "99-99-99", "0000-00-00 00:00:00"],
)  # fmt: skip
def test_what_says_no_date_is_missing(text: str) -> None:
    assert read_birth(text) is None


@pytest.mark.parametrize("text", ["about 1987", "c. 1987", "1987", "1987-00-00", "1987?"])
def test_a_year_alone_is_read_as_a_year(text: str) -> None:
    birth = read_birth(text)
    assert birth is not None
    assert (birth.year, birth.month, birth.day) == (1987, 0, 0)


@pytest.mark.parametrize(
    ("text", "years"),
    [("34", 34), ("34y", 34), ("34.0", 34), ("34 Yrs.", 34), ("34y 2m", 34), ("34 years old", 34), ("18 months", 1),
     ("8m", 0), ("20 days", 0), ("३४", 34), ("131", None), ("34-35", None), ("m", None), ("", None), ("34yo", 34),
     ("34 y/o", 34), ("34/F", 34), ("about 34", 34), ("34+", 34), ("aged 34", 34), ("34 साल", 34), ("34 سال", 34),
     ("34 years 2 months 3 days", 34), ("3 weeks", 0), ("-34", None), ("3.4e1", None)],
)  # fmt: skip
def test_an_age_is_read_in_full_years(text: str, years: int | None) -> None:
    assert read_age(text) == years


@given(st.text(max_size=30))
def test_nothing_that_is_written_is_an_error(text: str) -> None:
    read_birth(text)
    read_birth(text, day_first=False)
    read_age(text)


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("1987-04-30", "30/4/1987", Dates.EXACT),
        ("1987-04-05", "1987-05-04", Dates.SWAPPED),
        ("1987-04-30", "1987-04-20", Dates.SLIP),
        ("1987-04-30", "1978-04-30", Dates.SLIP),
        ("1987-04-30", "1965-04-30", Dates.TWO_PARTS),
        ("1987-04-30", "1987", Dates.YEAR),
        ("1987-04-30", "1987-01-01", Dates.YEAR),
        ("1987-01-01", "1987-01-01", Dates.YEAR),
        ("1987-04-30", "1953-11-02", Dates.DIFFERENT),
        ("19870430", "198770430", Dates.SLIP),
    ],
)
def test_how_two_dates_agree(one: str, other: str, agree: Dates) -> None:
    left, right = read_birth(one), read_birth(other)
    assert left is not None
    assert right is not None
    assert births_agree(left, right) == agree


def test_an_age_gives_a_year_within_some() -> None:
    assert births_agree(Birth(1987, estimated=True), Birth(1989, 4, 30)) == Dates.WITHIN_TWO
    assert births_agree(Birth(1987, estimated=True), Birth(1992, estimated=True)) == Dates.WITHIN_FIVE
    assert births_agree(Birth(1987, estimated=True), Birth(1993, estimated=True)) == Dates.DIFFERENT
