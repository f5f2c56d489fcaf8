"""Identifiers as people write them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.registration.api import SearchPatients
from services.registration.care_api import SearchElsewhere
from services.registration.domain import identifiers

DIGITS = st.text("0123456789", min_size=11, max_size=11)
_D = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 6, 7, 8, 9, 5], [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7], [4, 0, 1, 2, 3, 9, 5, 6, 7, 8], [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2], [7, 6, 5, 9, 8, 2, 1, 0, 4, 3], [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]  # fmt: skip


def dihedral(a: int, b: int) -> int:
    """The group D5 from its definition, so that the product's table is checked against something else."""
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b - 5) % 5 + 5
    return (a - 5 - b) % 5 + 5 if b < 5 else (a - b) % 5


def with_check_digit(eleven: str) -> str:
    """A made-up number of Aadhaar's form: the digit is found by trying, by the definition of the scheme."""
    permutation = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]

    def power(times: int, digit: int) -> int:
        for _ in range(times):
            digit = permutation[digit]
        return digit

    for last in "0123456789":
        check = 0
        for position, digit in enumerate(reversed(eleven + last)):
            check = dihedral(check, power(position % 8, int(digit)))
        if check == 0:
            return eleven + last
    raise AssertionError("there is always one")


def test_the_group_is_what_the_tables_say() -> None:
    assert [[dihedral(a, b) for b in range(10)] for a in range(10)] == _D


@settings(deadline=None)
@given(DIGITS, st.sampled_from([identifiers.person_name, identifiers.place_name]))
def test_an_aadhaar_number_is_refused_in_free_text_and_not_repeated(eleven: str, read: object) -> None:
    number = with_check_digit(eleven)
    groups = (number[:4], number[4:8], number[8:])
    for written in (number, *(sign.join(groups) for sign in (" ", "-", "\u2013", ".", " - ", "\u200b"))):
        with pytest.raises(ValueError, match="Aadhaar") as caught:
            read(f"Tashi {written}")  # type: ignore[operator]
        assert number not in str(caught.value)
        assert written not in str(caught.value)


def test_who_wrote_a_phone_where_it_looks_like_an_aadhaar_number_is_told_where_it_belongs() -> None:
    number = with_check_digit("91555012345")
    with pytest.raises(ValueError, match=r"twelve digits .* phone field, or is written without \+91") as caught:
        identifiers.place_name(f"Hunder, call +{number}")
    assert number[2:] not in str(caught.value)
    assert identifiers.place_name(f"Hunder, call {number[2:]}")
    assert identifiers.phone(f"+{number}") == f"+{number}"
    with pytest.raises(ValueError, match="write a phone as ten digits") as caught:
        identifiers.phone(number)
    assert number[2:] not in str(caught.value)


@settings(deadline=None)
@given(DIGITS)
def test_an_aadhaar_number_is_refused_in_every_identifier(eleven: str) -> None:
    number = with_check_digit(eleven)
    for read, written in (
        (identifiers.abha_number, number),
        (identifiers.abha_address, f"{number}@sbx"),
        (identifiers.phone, number),
        (identifiers.phone, f"+{number}" if not number.startswith(("0", "91")) else number),
    ):
        with pytest.raises(ValueError, match=r"must|Aadhaar") as caught:
            read(written)
        assert number not in str(caught.value)


@settings(deadline=None)
@given(st.text("0123456789", min_size=10, max_size=10))
def test_plus_91_and_ten_digits_are_a_phone_whatever_their_check_digit(ten: str) -> None:
    assert identifiers.phone(f"+91{ten}") == identifiers.phone(ten) == f"+91{ten}"
    assert identifiers.phone(f"+91 {ten[:5]}-{ten[5:]}") == f"+91{ten}"
    assert identifiers.phone(f"0{ten}") == identifiers.phone(f"0{ten[:4]}-{ten[4:]}") == f"+91{ten}"


@pytest.mark.parametrize(
    "text", ["", "12345", "+91 12345", "+0123456789", "001234567890", "call me", "+9155500000001", "５５５"]
)
def test_what_is_no_phone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        identifiers.phone(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("00-1234-5678-9012", "00123456789012"),
        ("00 1234 5678 9012", "00123456789012"),
        ("00123456789012", "00123456789012"),
        ("००-१२३४-५६७८-९०१२", "00123456789012"),
    ],
)
def test_abha_numbers_are_stored_as_digits(text: str, stored: str) -> None:
    assert identifiers.abha_number(text) == stored


@pytest.mark.parametrize("text", ["12345", "0012345678901", "001234567890123", "00x23456789012", ""])
def test_abha_numbers_have_14_digits(text: str) -> None:
    with pytest.raises(ValueError, match="14 digits"):
        identifiers.abha_number(text)


@settings(deadline=None)
@given(st.text("0123456789", min_size=13, max_size=13))
def test_exactly_one_check_digit_fits(thirteen: str) -> None:
    assert sum(identifiers.luhn_holds(thirteen + last) for last in "0123456789") == 1


def test_luhn_knows_its_own_published_example() -> None:
    assert identifiers.luhn_holds("79927398713")
    assert not identifiers.luhn_holds("79927398710")


@pytest.mark.parametrize("text", ["Tashi.Dolma@SBX", " tashi.dolma@sbx "])
def test_abha_addresses_are_folded(text: str) -> None:
    assert identifiers.abha_address(text) == "tashi.dolma@sbx"


@pytest.mark.parametrize("text", ["", "tashi", "@sbx", "tashi@", "ta shi@sbx", "tashi@sbx@sbx", ".tashi@sbx"])
def test_what_is_no_abha_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name@abdm"):
        identifiers.abha_address(text)


def test_names_are_trimmed_and_composed_in_every_script() -> None:
    assert identifiers.person_name("  Tsering \t Dolma ") == "Tsering Dolma"
    assert identifiers.person_name("Jose\u0301") == "Jos\u00e9"
    for name in ("सुनीता देवी", "غلام نبی", "སྟན་འཛིན", "Jigmet"):
        assert identifiers.person_name(name) == name


@pytest.mark.parametrize(
    "text", ["\u202eihsaT", "Tashi\u2066", "", "   ", "\u200b\u200d", "...", "123", "a\x00b", "a\x1bb", "x" * 121]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        identifiers.person_name(text)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_folding_is_stable(text: str) -> None:
    once = identifiers.fold(text)
    assert identifiers.fold(once) == once
    assert set(identifiers.words(text)) == set(once.split())


def test_folding_drops_latin_accents_and_keeps_other_scripts_vowels() -> None:
    assert identifiers.fold("JOSÉ  Ángel-Devi") == "jose angel devi"
    assert identifiers.fold("सुनीता") == "सुनीता"


def asked_elsewhere(identifier: str) -> str:
    return SearchElsewhere(phone="5550123456", birth_year=1980, identifier_ends=identifier).identifier_ends


def test_people_are_searched_for_by_whatever_abha_number_and_by_no_aadhaar_number() -> None:
    drawn = random.Random(14)
    held = 0
    for _ in range(500):
        digits = f"00{drawn.randrange(10**12):012d}"
        groups = (digits[:2], digits[2:6], digits[6:10], digits[10:])
        for written in (digits, "-".join(groups), " ".join(groups)):
            held += identifiers.contains_aadhaar(written)
            assert asked_elsewhere(written) == digits
            assert SearchPatients(abha=written).claim() == f"abha-number:{digits}"
    assert held > 50, "one in ten of those in groups looks like one"
    for written in ("999941057058", "9999-4105-7058", "9999 4105 7058"):
        for ask in (asked_elsewhere, lambda said: SearchPatients(abha=said)):
            with pytest.raises(ValidationError, match="Aadhaar"):
                ask(written)
