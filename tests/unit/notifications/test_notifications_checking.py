"""Texts out of any file, held against the operators' rules by the command; each fault with its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from libs.common import lined
from services.notifications import catalogue, lint, released
from services.notifications.domain import dlt
from services.notifications.domain.template import Template
from services.notifications.settings import Settings

GOOD = "Your token number is {#numeric#} at counter {#alphanumeric#} today. Please wait until it is called."
FIELDS = Settings.model_fields
ROUTING, WORDING = catalogue.read(FIELDS["routing_file"].default, FIELDS["templates_dir"].default)
REGISTRATION = catalogue.read_registration(FIELDS["dlt_file"].default)


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = lint.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_plain_file_has_a_text_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "texts.txt"
    file.write_text(f"{GOOD}\n\nDear {{#var#}}, welcome to the clinic of the town.\n", encoding="utf-8")
    code, said, _ = run(capsys, file)
    assert code == 1
    assert f"{file}:1: gsm-7" in said
    assert "1 segments at its longest: ok" in said
    assert f"{file}:3: tag-untyped" in said


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.yaml", "language: hi\ntemplates:\n  one:\n    text: '{}'\n", 4),
        ("a.yaml", "- text: '{}'\n", 1),
        ("a.yml", "one: '{}'\n", 1),
        ("a.json", '[\n {{"text": "{}", "template": "one"}}\n]', 2),
        ("a.jsonl", '{{"text": "x y z"}}\n{{"text": "{}"}}\n', 2),
        ("a.csv", 'template,text\none,"{}"\n', 2),
    ],
)
def test_every_form_of_file_says_where_a_fault_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, line: int
) -> None:
    file = tmp_path / name
    bad = "Call 18005550199 for your appointment, it is free."
    file.write_text(content.format(bad), encoding="utf-8")
    code, said, _ = run(capsys, file)
    assert code == 1
    assert f"{file}:{line}: " in said
    assert "number-not-whitelisted: 18005550199" in said
    code, said, _ = run(capsys, "--json", file)
    told = [json.loads(one) for one in said.splitlines()]
    assert [fault["rule"] for one in told for fault in one["faults"]] == ["number-not-whitelisted"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", "- text: [\n", ":2: "),
        ("a.yaml", "- 1\n", ":1: neither a text"),
        ("a.yaml", "- text: x\n- txt: y\n  text: z\n", ":3: unknown: txt"),
        ("a.csv", "template\none\n", ":1: no column text"),
        ("a.jsonl", '{"text": "x"}\n{"text"\n', ":2: not JSON"),
        ("a.txt", "", ":1: no text in it"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    code, _, error = run(capsys, file)
    assert code == 2
    assert f"{file}{said}" in error
    assert run(capsys, tmp_path / "absent.txt")[0] == 2


@pytest.mark.parametrize(
    ("rendered", "rules"),
    [
        ("Your token number is 7 at counter OPD1 today. Please wait until it is called.", []),
        ("Your token number is 7 at counter OPD1 today. Please wait until it is called!", ["text-differs"]),
        ("Your token number is 7a at counter OPD1 today. Please wait until it is called.", ["variable-not-numeric"]),
        (
            "Your token number is  at counter OPD1 today. Please wait until it is called.",
            ["variable-empty", "variable-not-numeric"],
        ),
        (
            f"Your token number is 7 at counter {'x' * 31} today. Please wait until it is called.",
            ["variable-too-long"],
        ),
        (
            "Your token number is 7 at counter www.x.example today. Please wait until it is called.",
            ["link-in-alphanumeric"],
        ),
    ],
)
def test_a_rendered_message_is_held_against_its_text(rendered: str, rules: list[str]) -> None:
    assert [fault.rule for fault in dlt.lint_rendered("x", "en", GOOD, rendered, REGISTRATION)] == rules


def test_where_a_message_departs_from_its_text() -> None:
    (fault,) = dlt.lint_rendered("x", "en", "Dear patient, {#alphanumeric#} is ready.", "Dear pAtient", REGISTRATION)
    assert "from character 7 on" in fault.detail


def test_what_allows_forty_characters_allows_forty_and_no_more() -> None:
    wide = REGISTRATION.model_copy(update={"variable_limit": 40})
    for length, rules in ((40, []), (41, ["variable-too-long"])):
        rendered = GOOD.replace("{#numeric#}", "7").replace("{#alphanumeric#}", "x" * length)
        assert [fault.rule for fault in dlt.lint_rendered("x", "en", GOOD, rendered, wide)] == rules


@pytest.mark.parametrize(
    ("tag", "value", "rules"),
    [
        ("url", "https://health.example/feed", []),
        ("url", "https://evil.example/", ["link-not-whitelisted"]),
        ("cbn", "14416", []),
        ("cbn", "18001234567", ["number-not-whitelisted"]),
        ("email", "desk@health.example", []),
        ("email", "desk", ["variable-not-email"]),
        ("number", "12", []),
    ],
)
def test_each_tag_has_values_of_its_kind(tag: str, value: str, rules: list[str]) -> None:
    registration = REGISTRATION.model_copy(update={"links": ("https://health.example/",)})
    text = f"For all your questions please use {{#{tag}#}} at any time of the day."
    assert list(dlt.lint("x", "en", text, registration)) == []
    rendered = text.replace(f"{{#{tag}#}}", value)
    assert [fault.rule for fault in dlt.lint_rendered("x", "en", text, rendered, registration)] == rules


@pytest.mark.parametrize(
    ("header", "promotional", "good"),
    [
        ("HILHLT", False, True),
        ("XY-HILHLT-S", False, False),
        ("HILHLT-G", False, False),
        ("123456", True, True),
        ("12345", True, False),
        ("HILHLT", True, False),
    ],
)
def test_headers_by_their_kind(header: str, promotional: bool, good: bool) -> None:
    assert (not list(dlt.lint_header(header, promotional=promotional))) is good


@pytest.mark.parametrize(
    "text", ["??????? ??? ??? your papers are ready at the desk", "Your \ufffd\ufffd papers are ready at the desk"]
)
def test_letters_that_were_lost_on_the_way_are_seen(text: str) -> None:
    assert "letters-lost" in [fault.rule for fault in dlt.lint("x", "hi", text, REGISTRATION)]


def test_no_letter_of_ours_is_lost() -> None:
    for file in WORDING.languages.values():
        for template in file.templates.values():
            assert not {"?", "\ufffd"} & set(template.fixed), (file.language, template.text)


def test_a_comparison_ends_however_many_variables_there_are() -> None:
    text = "".join(f"#a{number}#" for number in range(200))
    assert [fault.rule for fault in dlt.lint_rendered("x", "en", text, "a" * 4000, REGISTRATION)] == [
        "too-many-variables"
    ]


def test_a_text_that_changes_takes_a_new_version(tmp_path: Path) -> None:
    file = tmp_path / "released.yaml"
    released.write(WORDING, file)
    assert released.faults(WORDING, file) == []
    english = WORDING.languages["en"]
    for version, rule in ((1, "version-unchanged"), (2, "version-not-released")):
        texts = english.templates | {"digest": Template(text="Something else is said here.", version=version)}
        changed = WORDING.model_copy(
            update={"languages": WORDING.languages | {"en": english.model_copy(update={"templates": texts})}}
        )
        (fault,) = released.faults(changed, file)
        assert (fault.template, fault.rule) == ("digest", rule)


def test_our_own_versions_are_released() -> None:
    assert released.faults(WORDING) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("useful_hours: 12", "useful_hours: 0", "useful_hours: 0", "greater than 0"),
        ("template: token-issued", "template: token-lost", "template: token-lost", "no template token-lost"),
        ("channels: [in-app, sms, email]", "channels: [pigeon]", "channels: [pigeon]", "Input should be"),
        ("  health-camp:", "  health-fair:", "health-fair", "no template health-fair"),
    ],
)
def test_a_bad_routing_file_is_refused_with_its_line(tmp_path: Path, old: str, new: str, line: str, said: str) -> None:
    text = FIELDS["routing_file"].default.read_text(encoding="utf-8").replace(old, new)
    file = tmp_path / "routing.yaml"
    file.write_text(text, encoding="utf-8")
    number = next(n for n, one in enumerate(text.splitlines(), 1) if line in one)
    with pytest.raises((lined.BadFile, catalogue.CatalogueInvalid)) as refused:
        catalogue.read(file, FIELDS["templates_dir"].default)
    assert f"routing.yaml:{number}: " in str(refused.value)
    assert said in str(refused.value)


def test_a_bad_template_is_refused_with_its_line(tmp_path: Path) -> None:
    for path in FIELDS["templates_dir"].default.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if path.name == "ur.yaml":
            text = text.replace("{number:numeric}", "{number:alphanumeric}")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    with pytest.raises(catalogue.CatalogueInvalid, match=r"ur\.yaml:8: ur: token-issued has other placeholders"):
        catalogue.read(FIELDS["routing_file"].default, tmp_path)
