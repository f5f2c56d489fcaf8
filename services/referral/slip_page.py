"""The slip as a sheet of paper (A5, PDF): the square to be scanned, and in two languages who is to go where.

The name stands on the paper, which is the patient's own; the square says none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from libs.contracts.referral import FacilityCard
from libs.contracts.registration import PatientCard
from services.referral.domain.dataset import age
from services.referral.domain.referral import Referral
from services.referral.domain.today import INDIA

if TYPE_CHECKING:
    from fpdf import FPDF

TEXTS = Path(__file__).with_name("slips.yaml")
FONTS: Mapping[str, str] = {
    "latin": "NotoSans-Regular.ttf",
    "devanagari": "NotoSansDevanagari-Regular.ttf",
    "arabic": "NotoNaskhArabic-Regular.ttf",
    "tibetan": "NotoSerifTibetan-Regular.ttf",
}
STAND_IN: Mapping[str, str] = {"ks": "ur", "bft": "ur", "pbi": "hi", "doi": "hi"}
"""Languages that people here speak and that have no slip of their own."""

SQUARE_MM = 52.0
MARGIN_MM = 9.0


@dataclass(frozen=True)
class Sheet:
    """What goes on it. `patient` None: the card has not come, and the name is written by hand."""

    id: str
    slip: str
    state: Referral
    patient: PatientCard | None
    origin: FacilityCard | None
    destination: FacilityCard | None


def texts() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(TEXTS.read_text(encoding="utf-8")))


def language_of(wanted: str | None, patient: PatientCard | None) -> str:
    """The language beside English: the one asked for, the patient's own, or Hindi."""
    known = texts()
    for language in (wanted, patient.language if patient else None):
        if language and (language := STAND_IN.get(language, language)) in known and language != "en":
            return language
    return "hi"


def draw(sheet: Sheet, language: str, fonts: Path, now: dt.datetime) -> bytes:
    """The PDF. Takes a tenth of a second or so of processor time: not for the event loop."""
    import warnings

    from fpdf import FPDF

    known = texts()
    english, other = known["en"], known[language]
    with warnings.catch_warnings():
        # It says that A5 was once a millimetre off.
        warnings.simplefilter("ignore", UserWarning)
        page = FPDF(format="A5")
    page.set_margin(MARGIN_MM)
    page.set_auto_page_break(False)
    page.set_title(english["title"])
    page.set_creation_date(now)
    for script in ("latin", other["script"]):
        page.add_font(script, fname=str(fonts / FONTS[script]))
    page.set_fallback_fonts(["latin", other["script"]])
    page.add_page()
    _line(page, english, english["title"], 16)
    _line(page, other, other["title"], 16)
    _square(page, sheet.slip)
    top = MARGIN_MM + 24
    width = page.w - 3 * MARGIN_MM - SQUARE_MM
    page.set_y(top)
    for name, value in _rows(sheet, now, english, other):
        page.set_x(MARGIN_MM)
        page.set_text_color(90)
        _cell(page, english, f"{english[name]} · ", 7.5, width, other[name], other)
        page.set_text_color(0)
        page.set_x(MARGIN_MM)
        page.set_font("latin", size=10.5)
        page.set_text_shaping(True)
        page.multi_cell(width, 5, value, new_x="LEFT", new_y="NEXT")
        page.ln(1.2)
    page.set_y(max(page.get_y(), top + SQUARE_MM + 6))
    for said in ("hold", "keep"):
        _line(page, english, english[said], 10)
        _line(page, other, other[said], 10)
    page.set_text_color(110)
    _line(page, english, f"{sheet.id} · {now.astimezone(INDIA):%d-%m-%Y %H:%M} IST", 7)
    return bytes(page.output())


def _rows(
    sheet: Sheet, now: dt.datetime, english: Mapping[str, Any], other: Mapping[str, Any]
) -> list[tuple[str, str]]:
    patient, state = sheet.patient, sheet.state
    blank = "_" * 24
    years = age(patient, now.astimezone(INDIA).date()) if patient else None
    urgency = f"{english['urgency'][state.urgency]} / {other['urgency'][state.urgency]}"
    sex = f"{english.get(patient.sex, patient.sex)} / {other.get(patient.sex, '')}" if patient else ""
    return [
        ("name", patient.name if patient else blank),
        ("age", f"{years if years is not None else '__'} · {sex}".strip(" ·") if patient else blank),
        ("village", (patient.village if patient else None) or blank),
        ("from", sheet.origin.name if sheet.origin else state.origin),
        ("to", sheet.destination.name if sheet.destination else state.destination),
        ("service", f"{state.service.replace('-', ' ')} · {urgency}"),
    ]


def _line(page: FPDF, spoken: Mapping[str, Any], text: str, size: float) -> None:
    page.set_x(MARGIN_MM)
    page.set_font(spoken["script"], size=size)
    page.set_text_shaping(True)
    align = "R" if spoken["script"] == "arabic" else "L"
    page.multi_cell(page.w - 2 * MARGIN_MM, size * 0.55, text, align=align, new_x="LMARGIN", new_y="NEXT")


def _cell(
    page: FPDF, spoken: Mapping[str, Any], text: str, size: float, width: float, beside: str, other: Mapping[str, Any]
) -> None:
    """A caption in both languages on one line."""
    page.set_font(spoken["script"], size=size)
    page.set_text_shaping(True)
    page.cell(page.get_string_width(text) + 1, 4, text, new_x="RIGHT", new_y="TOP")
    page.set_font(other["script"], size=size)
    page.set_text_shaping(True)
    page.cell(width / 2, 4, beside, new_x="LMARGIN", new_y="NEXT")


def _square(page: FPDF, slip: str) -> None:
    """The QR of the slip, its modules drawn, so that no picture library is needed."""
    import segno

    rows = list(segno.make(slip, error="m", micro=False).matrix_iter(border=4))
    side = SQUARE_MM / len(rows)
    left, top = page.w - MARGIN_MM - SQUARE_MM, MARGIN_MM + 22
    page.set_fill_color(0)
    for y, row in enumerate(rows):
        start = None
        for x, dark in enumerate([*row, 0]):
            if dark and start is None:
                start = x
            elif not dark and start is not None:
                page.rect(left + start * side, top + y * side, (x - start) * side, side, style="F")
                start = None
