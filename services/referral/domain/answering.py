"""What a command must say, and how a refusal names what is left to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from libs.common.aadhaar import COULD_BE, contains_aadhaar
from libs.common.refusal import Refused
from services.referral.domain.chain import Outside
from services.referral.domain.dataset import Findings
from services.referral.domain.medicines import Medicine
from services.referral.domain.moves import Move


def check(move: Move, said: dict[str, Any]) -> None:
    """Raises Refused naming the field, also where an Aadhaar number is typed into a text."""
    for need in move.needs:
        given = said.get(need.field)
        value = "" if given is None else str(given).strip()
        if not value:
            if need.required:
                raise Refused("missing", "must be given", field=need.field)
        elif need.codes and value not in need.codes:
            raise Refused("unknown-code", f"must be one of {', '.join(need.codes)}", field=need.field)
        elif need.longest is not None and len(value) > need.longest:
            raise Refused("too-long", f"at most {need.longest} characters", field=need.field)
        elif need.longest is not None and contains_aadhaar(value):
            raise Refused("aadhaar", COULD_BE, field=need.field)
    for field, text in _beside(said):
        if contains_aadhaar(text):
            raise Refused("aadhaar", COULD_BE, field=field)


def _beside(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Texts within other fields, each with where it stands."""
    match said.get("outside"):
        case Outside(name=name):
            yield "outside.name", name
    match said.get("findings"):
        case Findings(treatment_given=str(text)):
            yield "findings.treatment_given", text
    for number, medicine in enumerate(said.get("medicines", ())):
        assert isinstance(medicine, Medicine)
        for name in ("name", "dose", "timing"):
            yield f"medicines.{number}.{name}", getattr(medicine, name) or ""


def names_of(allowed: Sequence[Move]) -> tuple[str, ...]:
    return tuple(move.command for move in allowed)
