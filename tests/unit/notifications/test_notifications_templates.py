"""What is said: complete, each language in its own script, none repeating another, nothing that must not be said."""

from __future__ import annotations

import itertools
import unicodedata

import pytest

from services.notifications import catalogue
from services.notifications.domain.segments import count
from services.notifications.domain.template import PLACEHOLDER, Template, Wording
from services.notifications.settings import Settings

ROUTING, WORDING = catalogue.read(
    Settings.model_fields["routing_file"].default, Settings.model_fields["templates_dir"].default
)
NAMES = sorted(WORDING.languages["en"].templates)
LANGUAGES = sorted(WORDING.languages)
SMS = sorted({tell.template for tells in ROUTING.events.values() for tell in tells if "sms" in tell.channels})
COMPLETE = ["bo", "en", "hi", "lbj", "ur"]
"""Languages that have every template an event asks for; callers' and campaigns' own are there in three of them."""
OWN = {*ROUTING.own, "digest"}
GROUPS = {
    "officers-grievance-paged",
    "doctor-referral-declined",
    "doctor-referral-redirected",
    "doctor-referral-ended",
    "doctor-step-owed",
    "officer-referral-breached",
    "asha-no-show",
    "family-referral-held",
    "family-referral-arrived",
}
LONGEST = {
    "facility": "M" * 30,
    "number": "1234",
    "counter": "OPD12",
    "ticket": "GRV-2026-000123",
    "due": "31-12-2026",
    "date": "31-12-2026",
}


def having(name: str) -> list[str]:
    return [language for language in LANGUAGES if name in WORDING.languages[language].templates]


def test_seven_languages_each_with_what_it_must_have() -> None:
    assert sorted(LANGUAGES) == sorted([*COMPLETE, "doi", "ks"])
    for name in NAMES:
        wanted = ["en", "hi", "ur"] if name in OWN | GROUPS else COMPLETE
        assert set(wanted) <= set(having(name)), name
    for language in ("doi", "ks"):
        assert {"registered", "token-issued", "referral-accepted"} <= set(WORDING.languages[language].templates)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_letter_is_of_the_languages_own_script(language: str) -> None:
    file = WORDING.languages[language]
    for name, template in file.templates.items():
        for letter in template.fixed + template.subject + file.subject:
            if unicodedata.category(letter)[0] in "LM":
                assert unicodedata.name(letter).split()[0] == file.script, (name, letter)


@pytest.mark.parametrize("name", NAMES)
def test_no_language_repeats_another(name: str) -> None:
    for one, other in itertools.combinations(having(name), 2):
        mine, theirs = WORDING.languages[one].templates[name], WORDING.languages[other].templates[name]
        assert mine.fixed != theirs.fixed
        # Nor by a word or two: Tibetan and Ladakhi share a script, not their sentences.
        assert len(set(mine.fixed.split()) & set(theirs.fixed.split())) <= len(mine.fixed.split()) / 2
        if mine.subject:
            assert mine.subject != theirs.subject


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_templates_of_a_language_say_the_same(language: str) -> None:
    texts = [template.fixed for template in WORDING.languages[language].templates.values()]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", NAMES)
def test_placeholders_keep_the_rules_of_the_operators(name: str) -> None:
    """At most three, not adjacent, and at least 30 % of the text fixed (see the facts on DLT)."""
    for language in having(name):
        template = WORDING.languages[language].templates[name]
        found = list(PLACEHOLDER.finditer(template.text))
        assert len(found) <= 3
        assert len({match[1] for match in found}) == len(found)
        for before, after in itertools.pairwise(found):
            between = template.text[before.end() : after.start()]
            assert any(unicodedata.category(letter)[0] == "L" for letter in between), (language, between)
        rendered = WORDING.render(name, language, LONGEST, limit=30)
        assert len(template.fixed) >= 0.3 * len(rendered.text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SMS)
def test_an_sms_costs_at_most_three_segments(name: str, language: str) -> None:
    size = count(WORDING.render(name, language, LONGEST, limit=30).text)
    assert size.encoding == ("gsm-7" if language == "en" else "ucs-2")
    assert size.segments <= (2 if language == "en" else 3), size


def test_variables_are_trimmed_only_where_asked_and_never_bring_lines() -> None:
    long = {"facility": "Primary Health Centre\nof the upper valley of Suru"}
    assert "of Suru" in WORDING.render("registered", "en", long, limit=None).text
    short = WORDING.render("registered", "en", long, limit=30).text
    assert "Primary Health Centre of the" in short
    assert "Suru" not in short
    assert "\n" not in short


@pytest.mark.parametrize(
    ("asked", "said"),
    [("en", "en"), ("bo", "bo"), ("lbj", "lbj"), ("doi", "doi"), ("ks", "ks"), ("pbi", "hi"), ("ta", "en"), ("", "en")],
)
def test_the_language_that_stands_in(asked: str, said: str) -> None:
    assert WORDING.render("registered", asked, LONGEST, limit=30).language == said


def test_a_missing_template_falls_back_in_order() -> None:
    less = WORDING.languages["ur"].templates.copy()
    del less["registered"]
    urdu = WORDING.languages["ur"].model_copy(update={"templates": less})
    wording = Wording(languages=WORDING.languages | {"ur": urdu}, stand_in=WORDING.stand_in)
    assert wording.render("registered", "ur", LONGEST, limit=30).language == "hi"
    assert wording.render("grievance-confirmed", "ks", LONGEST, limit=30).language == "ur"
    assert wording.render("grievance-confirmed", "doi", LONGEST, limit=30).language == "hi"


@pytest.mark.parametrize(
    "text", ["", "  ", "A {brace", "A {facility}", "A {facility:name}", "A {facility:link}", "A {facility:url} b }"]
)
def test_a_malformed_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|brace|empty"):
        Template(text=text)


def test_other_placeholders_than_in_english_are_refused() -> None:
    hindi = WORDING.languages["hi"]
    changed = hindi.model_copy(update={"templates": {"registered": Template(text="{ticket:alphanumeric} ठीक")}})
    with pytest.raises(ValueError, match="other placeholders"):
        Wording(languages=WORDING.languages | {"hi": changed})


def test_every_email_has_a_subject() -> None:
    for tells in ROUTING.events.values():
        for tell in tells:
            if "email" in tell.channels:
                for language in LANGUAGES:
                    assert WORDING.render(tell.template, language, LONGEST, limit=None).subject
