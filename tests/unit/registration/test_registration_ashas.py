"""ASHAs: who they are, that nobody is credited twice for one bringing, and a certificate in each language."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import zlib
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from libs.common.access import Access, Caller
from libs.common.cause import Cause
from libs.common.refusal import Refused
from libs.contracts.registration import PatientCard
from services.registration.certificates import certificate, words
from services.registration.domain import asha
from services.registration.domain.asha import Beat, PersonBrought
from services.registration.domain.patient import Patient
from services.registration.households import Registry
from services.registration.programme_files import read_programmes
from services.registration.screenings import Camp, bring
from services.registration.settings import FONTS

TODAY = dt.date(2026, 11, 20)
HERE = "LA-LEH-CHC-NYOMA"


def registered(role: asha.Role = "asha") -> asha.Asha:
    command = asha.Register(
        "Padma Lhamo", None, role, "LA-LEH-CHC-NYOMA", "bo", (Beat(place="sub-district-7162"),), None, TODAY
    )
    [event] = asha.decide(None, command)
    return asha.evolve(None, event)


def test_a_herders_asha_serves_a_place_in_its_months() -> None:
    beat = Beat(place="sub-district-7162", population="migratory", months=(6, 7, 8, 9))
    assert beat.holds(dt.date(2026, 7, 1))
    assert not beat.holds(dt.date(2026, 12, 1))


def test_a_facilitator_has_none_herself_and_who_is_retired_stays_so() -> None:
    with pytest.raises(Refused) as refused:
        asha.decide(registered("facilitator"), asha.Change(None, "bo", (), "somebody"))
    assert refused.value.field == "facilitator"
    state = registered()
    [gone] = asha.decide(state, asha.Retire(TODAY, "moved"))
    with pytest.raises(Refused, match="not-active"):
        asha.decide(asha.evolve(state, gone), asha.Retire(TODAY, "moved"))


def test_the_same_bringing_counts_once() -> None:
    event = PersonBrought(asha="a1", patient="p1", purpose="t3-anaemia", on=TODAY, facility="LA-LEH-CHC-NYOMA")
    [first] = asha.bring(None, event)
    assert asha.bring(asha.evolve_brought(None, first), event) == []


class Journal:
    """Of an ASHA, whom she brought, and what is written of it."""

    def __init__(self) -> None:
        self.written: list[str] = []

    async def load(self, kind: Any, id: str) -> dict[str, Any]:
        state = registered() if kind.name == "asha" else Patient(card=PatientCard(id=id, registered_at=HERE))
        return {"_id": id, "state": state.model_dump(mode="json")}

    async def append(self, kind: Any, id: str, decide: Any, cause: Any, access: Any) -> None:
        self.written += [event.purpose for event in decide(None)]


def test_she_brings_people_for_what_is_in_the_list_or_a_programme() -> None:
    journal, cause = Journal(), Cause("c1", "desk@LA-X", dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC))
    registry: Any = SimpleNamespace(journal=journal)
    registry.person = partial(Registry.person, registry)
    camp = Camp(registry, read_programmes())

    def bring_for(purpose: str) -> None:
        asyncio.run(bring(camp, "a1", "p1", purpose, cause, Access(Caller("d1", "desk", HERE))))

    for known in ("registration", "immunisation", "delivery", "t3-anaemia"):
        bring_for(known)
    with pytest.raises(Refused) as refused:
        bring_for("vaccination")
    assert (refused.value.field, journal.written[-1], len(journal.written)) == ("purpose", "t3-anaemia", 4)


@pytest.mark.parametrize(
    ("language", "name", "font"),
    [
        ("en", "Padma Lhamo", "NotoSans"),
        ("hi", "पद्मा देवी", "NotoSansDevanagari"),
        ("doi", "पद्मा", "NotoSansDevanagari"),
        ("ur", "زینب بیگم", "NotoNaskhArabic"),
        ("ks", "زینب", "NotoNaskhArabic"),
        ("bo", "པདྨ་ལྷ་མོ།", "NotoSerifTibetan"),
        ("lbj", "པདྨ་ལྷ་མོ།", "NotoSerifTibetan"),
    ],
)
def test_a_certificate_in_her_language(language: str, name: str, font: str) -> None:
    pdf = certificate(name, "asha", language, 42, TODAY, TODAY, ["Nyoma"], "CHC Nyoma", FONTS)
    assert pdf.startswith(b"%PDF")
    # Only the font of her script draws her words, and nothing is drawn as the box of a letter that is missing.
    assert font.encode() in pdf
    streams = [found for found in re.findall(rb"stream\n(.*?)\nendstream", pdf, re.S) if found[:1] == b"x"]
    shown = re.findall(rb"<([0-9a-fA-F]+)> Tj", b"".join(zlib.decompress(found) for found in streams))
    assert all(b"0000" not in [text[at : at + 4] for at in range(0, len(text), 4)] for text in shown)


def test_every_language_says_the_same_things() -> None:
    assert {language: set(said) for language, said in words().items()} == {
        language: set(words()["en"]) for language in ("en", "hi", "ur", "bo", "lbj")
    }
    for said in words().values():
        assert set(re.findall(r"{(\w+)}", said["body"])) == {"role", "name", "people", "first", "last"}
