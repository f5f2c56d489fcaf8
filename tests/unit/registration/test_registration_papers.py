"""Codes, posters, slips and the register: what stands on them, and what never does."""

from __future__ import annotations

import csv
import datetime as dt
import io
import logging

import pytest

from libs.common.refusal import Refused
from services.registration import papers
from services.registration.register import COLUMNS, register
from services.registration.settings import FONTS

SLIP = papers.Slip(
    "CHC Diskit", "OPD1", 17, dt.date(2026, 11, 20), dt.datetime(2026, 11, 20, 4, tzinfo=dt.UTC), True, "visit-1"
)


def test_a_code_opens_nhas_page_with_facility_and_counter() -> None:
    address = papers.share_address("sbx", "", "IN9900000101", "OPD1")
    assert address == f"{papers.SANDBOX_PAGE}?hip-id=IN9900000101&counter-id=OPD1"
    assert papers.share_address("abdm", "https://phr.example/p", "IN1", "C").startswith("https://phr.example/p?hip-id=")
    with pytest.raises(Refused):
        papers.share_address("abdm", "", "IN1", "C")


def test_codes_are_pictures() -> None:
    assert papers.qr_png("x").startswith(b"\x89PNG")
    assert b"<svg" in papers.qr_svg("x")


@pytest.mark.parametrize("languages", [["hi", "en"], ["ur", "en"], ["bo", "lbj"], ["en"]])
def test_a_slip_is_a_small_pdf_in_whose_fonts_every_letter_is(
    languages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made = papers.slip(SLIP, languages, FONTS)
    assert made.startswith(b"%PDF")
    assert len(made) < 150_000
    assert b"226.77" in made, "80 mm in points"
    assert [record.message for record in caplog.records if "glyph" in record.message] == []
    assert papers.slip(SLIP, languages, FONTS) == made


def test_a_poster_is_a_pdf_of_one_page() -> None:
    made = papers.poster("CHC Diskit", "Medicine", "https://x", ["ur", "bo"], FONTS)
    assert made.startswith(b"%PDF")
    assert b"/Count 1" in made


def test_every_language_has_every_word() -> None:
    english = set(papers.words()["en"])
    assert {language: set(said) for language, said in papers.words().items() if set(said) != english} == {}


def test_the_register_has_a_line_per_token_and_no_formula() -> None:
    visit = {
        "id": "v1", "patient": "p1", "counter": "OPD1", "number": 1, "status": "called", "urgent": True,
        "door": "walk-in", "taken_at": "2026-11-20T04:00:00.000Z", "called_at": "2026-11-20T04:21:30.000Z",
    }  # fmt: skip
    cards = {"p1": {"name": "=cmd|' /C calc'!A0", "sex": "female", "phone": "+915550123456", "village": '"Hunder", x'}}
    text = register([visit, visit | {"number": 2, "patient": "gone", "called_at": None, "status": "waiting"}], cards)
    first, second = csv.DictReader(io.StringIO(text))
    assert tuple(first) == COLUMNS
    assert (first["token_at"], first["waited_minutes"]) == ("2026-11-20T09:30:00+05:30", "21")
    assert first["name"] == "'=cmd|' /C calc'!A0"
    assert (first["phone"], first["village"]) == ("+915550123456", '"Hunder", x')
    assert (second["name"], second["waited_minutes"], second["called_at"]) == ("", "", "")
