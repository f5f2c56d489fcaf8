"""The certificate of an ASHA or facilitator, in her language: how many people she brought to care."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from services.registration.domain.asha import Role
from services.registration.papers import line, sheet

WORDS = Path(__file__).with_name("certificates.yaml")
INSTEAD = {"doi": "hi", "ks": "ur"}
"""Languages whose words we do not have yet, and the one that is read there."""


@functools.cache
def words() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return found


def certificate(
    name: str,
    role: Role,
    language: str,
    people: int,
    first: dt.date,
    last: dt.date,
    places: Sequence[str],
    facility: str,
    fonts: Path,
) -> bytes:
    """A4, lying."""
    language = language if language in words() else INSTEAD.get(language, "en")
    text = words()[language]
    pdf = sheet(fonts, (297, 210), margin=25)
    pdf.ln(20)
    line(pdf, text["title"], 32, language)
    pdf.ln(14)
    line(pdf, name, 26, language)
    pdf.ln(10)
    said = text["body"].format(
        role=text[role], name=name, people=people, first=f"{first:%d.%m.%Y}", last=f"{last:%d.%m.%Y}"
    )
    line(pdf, said, 18, language)
    pdf.ln(10)
    if places:
        line(pdf, f"{text['places']}: {', '.join(places)}", 12, language)
    pdf.ln(14)
    line(pdf, facility, 12)
    return bytes(pdf.output())
