"""Our texts pass the operators' rules, and each rule can fail."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.refusal import Refused
from services.notifications import catalogue, lint
from services.notifications.domain import dlt
from services.notifications.domain.template import Template
from services.notifications.sends import check_variables
from services.notifications.settings import Settings

FIELDS = Settings.model_fields
ROUTING, WORDING = catalogue.read(FIELDS["routing_file"].default, FIELDS["templates_dir"].default)
DLT: Path = FIELDS["dlt_file"].default
REGISTRATION = catalogue.read_registration(DLT)
SMS = sorted(catalogue.sms_templates(ROUTING))

A, B, C, D = (f"{{{name}:alphanumeric}}" for name in ("a", "b", "c", "d"))
LONG = "Your request has been received by the office. "


def test_our_own_templates_pass() -> None:
    assert [str(fault) for fault in dlt.lint_all(WORDING, SMS, REGISTRATION)] == []
    assert len(SMS) >= 25


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"{LONG * 3}{A} and {B} and {C} and {D}.", "too-many-variables"),
        (f"{LONG}{A}, {B}.", "variables-adjacent"),
        (f"{LONG}{A}{B}", "variables-adjacent"),
        (f"Hi {A}", "fixed-part-too-small"),
        (f"{LONG}See {{#var#}}.", "tag-untyped"),
        (f"{LONG}See #var#.", "tag-untyped"),
        (f"{LONG}{{a:name}}", "tag-unknown"),
        (f"{LONG}https://short.example/x", "link-not-whitelisted"),
        (f"{LONG}health.gov.in/x", "link-not-whitelisted"),
        (f"{LONG}Call +91 55501 23456.", "number-not-whitelisted"),
        (f"{LONG}Call 108.", "number-not-whitelisted"),
        (f"{LONG}See 10.2.3.4/x", "link-not-whitelisted"),
        (f"{LONG}See goo.gl/x", "link-not-whitelisted"),
        (f"{LONG}Your #numeric is ready.", "tag-malformed"),
        (f"{LONG}Your numeric# is ready.", "tag-malformed"),
        (f"{LONG}Your {{#numeric is ready.", "tag-malformed"),
        (f"{LONG}Your ???? is ready.", "letters-lost"),
        ("{a:alphanumeric}", "no-fixed-text"),
        ("a" * 2001, "too-long"),
    ],
)
def test_each_rule_refuses(text: str, rule: str) -> None:
    assert rule in [fault.rule for fault in dlt.lint("x", "en", text, REGISTRATION)]


@pytest.mark.parametrize(
    "said",
    [
        "A card costs Rs 1000 a year.",
        "It costs ₹1,200.",
        "Come on 22-11-2026.",
        "By 2026-11-22.",
        "In 100 days.",
        "15%",
    ],
)
def test_a_date_an_amount_or_a_count_is_no_number_to_call(said: str) -> None:
    assert list(dlt.lint("x", "en", f"{LONG}{said}", REGISTRATION)) == []
    assert [fault.rule for fault in dlt.lint("x", "en", f"{LONG}{said} Call 1075.", REGISTRATION)] == [
        "number-not-whitelisted"
    ]


@pytest.mark.parametrize("header", ["", "HILHL", "HILHLTS", "XY-HILHLT-S", "HIL123"])
def test_a_header_of_another_form_is_refused(header: str) -> None:
    registration = REGISTRATION.model_copy(update={"header": header})
    assert [fault.rule for fault in dlt.lint_all(WORDING, [], registration)] == ["header-form"]


def test_what_is_whitelisted_passes() -> None:
    registration = REGISTRATION.model_copy(
        update={"links": ("https://health.example/",), "callback_numbers": ("+91 5550 104104",)}
    )
    text = f"{LONG}See https://health.example/feed or call +915550104104."
    assert list(dlt.lint("x", "en", text, registration)) == []


@pytest.mark.parametrize(
    ("link", "allowed"),
    [
        ("https://health.example", True),
        ("https://health.example/", True),
        ("https://health.example/feed?x=1.", True),
        ("https://health.example?x=1", True),
        ("https://health.example.evil.example/x", False),
        ("https://health.example@evil.example/", False),
        ("http://health.example/", False),
    ],
)
def test_what_only_begins_like_a_whitelisted_link_is_none(link: str, allowed: bool) -> None:
    for known in ("https://health.example", "https://health.example/"):
        assert REGISTRATION.model_copy(update={"links": (known,)}).allows_link(link) is allowed


def test_registered_texts_carry_typed_tags_in_either_style() -> None:
    assert dlt.registered_text(f"To {A} no {{n:numeric}}") == "To {#alphanumeric#} no {#numeric#}"
    assert dlt.registered_text(f"To {A}", "#%s#") == "To #alphanumeric#"


@pytest.mark.parametrize("name", SMS)
@pytest.mark.parametrize("language", sorted(WORDING.languages))
def test_what_we_render_keeps_to_what_is_registered(name: str, language: str) -> None:
    values = {"facility": "District Hospital Kargil (Kurbathang)", "number": "17", "counter": "OPD1"}
    values |= {"ticket": "GRV-26-0001", "due": "27-11-2026", "date": "27-11-2026"}
    language = WORDING.choose(name, language)
    text = WORDING.languages[language].templates[name].text
    rendered = WORDING.render(name, language, values, limit=30).text
    assert dlt.keeps_to(text, rendered)
    assert not dlt.keeps_to(text, rendered + " ")
    assert not dlt.keeps_to(text, rendered.replace(Template(text=text).fixed.strip()[-2], "*"))


@pytest.mark.parametrize(
    ("value", "kept"), [("7", True), ("x", False), ("", False), ("1" * 30, True), ("1" * 31, False), ("١", True)]
)
def test_a_value_outside_its_tag_does_not_pass(value: str, kept: bool) -> None:
    text = "Your number is {n:numeric} today."
    assert dlt.keeps_to(text, text.replace("{n:numeric}", value)) is kept


@given(st.text(min_size=1, max_size=60))
def test_any_name_of_a_facility_is_trimmed_into_its_tag(name: str) -> None:
    """Whatever a directory calls a facility: what we render passes, unless nothing is left of the name."""
    rendered = WORDING.render("registered", "en", {"facility": name}, limit=30).text
    text = WORDING.languages["en"].templates["registered"].text
    nothing_left = rendered == text.replace("{facility:alphanumeric}", "")
    assert dlt.keeps_to(text, rendered) is not nothing_left


def test_the_command_prints_the_sheet_and_the_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main(["--sheet"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == sum(name in file.templates for name in SMS for file in WORDING.languages.values())
    assert all("{#alphanumeric#}" in row["text"] for row in rows if row["template"] != "mental-health-support")
    assert lint.main(["--cost"]) == 0
    assert "gsm-7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("CHC Sankoo", None),
        ("See www.evil.example/x", "link-in-alphanumeric"),
        ("10.2.3.4/x", "link-in-alphanumeric"),
        ("  ", "variables-empty"),
    ],
)
def test_what_a_caller_puts_into_a_text_is_what_the_operators_take(value: str, code: str | None) -> None:
    """Before anything is journaled: they would drop it unseen, and count it against the header."""
    post: Any = SimpleNamespace(wording=WORDING, registration=REGISTRATION)
    if code is None:
        check_variables(post, "report-ready", {"facility": value}, "variables")
        return
    with pytest.raises(Refused) as refusal:
        check_variables(post, "report-ready", {"facility": value}, "items.3.variables")
    assert (refusal.value.code, refusal.value.field) == (code, "items.3.variables")
    for variables in ({}, {"facility": "CHC Sankoo", "surprise": "x"}):
        with pytest.raises(Refused):
            check_variables(post, "report-ready", variables, "variables")
