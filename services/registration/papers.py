"""What is printed: slips at receipt width, posters with a facility's code, provisional cards. No name stands on any.

Fonts are Noto under the SIL Open Font License (data/fonts); a PDF embeds only the letters that it uses.
"""

from __future__ import annotations

import datetime as dt
import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import yaml

from libs.common.refusal import Refused
from services.registration.domain.queue import DESK_TIME

if TYPE_CHECKING:
    from fpdf import FPDF

WORDS = Path(__file__).with_name("papers.yaml")
SANDBOX_PAGE = "https://phrsbx.abdm.gov.in/share-profile"
"""What a facility's code opens in NHA's sandbox (Scan & Share v3)."""

RECEIPT_MM = 80
MARGIN_MM = 4

_FONTS = {
    "Latin": "NotoSans-Regular.ttf",
    "Devanagari": "NotoSansDevanagari-Regular.ttf",
    "Arabic": "NotoNaskhArabic-Regular.ttf",
    "Tibetan": "NotoSerifTibetan-Regular.ttf",
}
_SCRIPT = {"en": "Latin", "hi": "Devanagari", "ur": "Arabic", "bo": "Tibetan", "lbj": "Tibetan"}


@functools.cache
def words() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return found


def share_address(cm_id: str, page: str, hip_id: str, counter: str) -> str:
    """What the code of a counter says. Raises Refused where the page is not known yet (told at onboarding)."""
    page = page or (SANDBOX_PAGE if cm_id == "sbx" else "")
    if not page:
        raise Refused("share-page-unknown", "set ABDM_SHARE_PAGE to what NHA told at onboarding")
    return f"{page}?{urlencode({'hip-id': hip_id, 'counter-id': counter})}"


def qr_svg(text: str) -> bytes:
    import segno

    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="svg", scale=8, border=4)
    return out.getvalue()


def qr_png(text: str) -> bytes:
    import segno

    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="png", scale=12, border=4)
    return out.getvalue()


@dataclass(frozen=True)
class Slip:
    """What a slip says. Instants are shown as the Indian day and hour."""

    facility: str
    counter: str
    number: int
    date: dt.date
    valid_until: dt.datetime
    urgent: bool
    visit: str


def slip(said: Slip, languages: Sequence[str], fonts: Path) -> bytes:
    """A slip of 80 mm width, in these languages, with a code that says the visit's id."""
    pdf = sheet(fonts, (RECEIPT_MM, 62 + 36 * len(languages)))
    line(pdf, said.facility, 12)
    line(pdf, f"{said.counter}  {said.date:%d.%m.%Y}", 12)
    line(pdf, str(said.number), 48)
    until = said.valid_until.astimezone(DESK_TIME)
    for language in languages:
        text = words()[language]
        if said.urgent:
            line(pdf, text["urgent"], 12, language)
        line(pdf, f"{text['token']}: {said.number}", 11, language)
        line(pdf, f"{text['counter']}: {said.counter}", 9, language)
        line(pdf, f"{text['valid']}: {until:%H:%M}", 9, language)
        line(pdf, text["wait"], 9, language)
    _code(pdf, said.visit, 22)
    return bytes(pdf.output())


def poster(facility: str, counter: str, address: str, languages: Sequence[str], fonts: Path) -> bytes:
    """A4, to hang at the counter: what to do, in these languages, and the code."""
    pdf = sheet(fonts, (210, 297), margin=18)
    line(pdf, facility, 26)
    line(pdf, counter, 22)
    pdf.ln(6)
    _code(pdf, address, 120)
    pdf.ln(6)
    for language in languages:
        line(pdf, words()[language]["scan"], 14, language)
        line(pdf, words()[language]["no_phone"], 12, language)
        pdf.ln(2)
    return bytes(pdf.output())


def card(number: str, code: str, languages: Sequence[str], fonts: Path) -> bytes:
    """A provisional card of bank-card size."""
    pdf = sheet(fonts, (86, 54 + 14 * max(0, len(languages) - 1)))
    for language in languages:
        line(pdf, words()[language]["card"], 10, language)
    line(pdf, number, 14)
    _code(pdf, code, 24)
    for language in languages:
        line(pdf, words()[language]["card_note"], 6, language)
    return bytes(pdf.output())


def sheet(fonts: Path, size: tuple[float, float], margin: float = MARGIN_MM) -> FPDF:
    """An empty page in which every script of the house can be written."""
    from fpdf import FPDF

    pdf = FPDF(unit="mm", format=size)
    pdf.set_margin(margin)
    pdf.set_auto_page_break(False)
    for family, file in _FONTS.items():
        pdf.add_font(family, fname=fonts / file)
    pdf.set_fallback_fonts(list(_FONTS), exact_match=False)
    pdf.set_text_shaping(True)
    # The same paper twice is the same file.
    pdf.set_creation_date(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    pdf.add_page()
    return pdf


def line(pdf: FPDF, text: str, size: float, language: str = "en") -> None:
    """One paragraph in the middle, as long as it needs to be."""
    pdf.set_font(_SCRIPT[language], size=size)
    pdf.multi_cell(0, size * 0.55, text, align="C", new_x="LMARGIN", new_y="NEXT")


def _code(pdf: FPDF, text: str, width: float) -> None:
    image: Any = io.BytesIO(qr_png(text))
    pdf.image(image, x=(pdf.w - width) / 2, y=pdf.get_y() + 1, w=width)
    pdf.set_y(pdf.get_y() + width + 2)
