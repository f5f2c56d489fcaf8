"""A rule file that contradicts itself, leaves a gap or is mistyped is refused, with its line and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.lined import BadFile
from services.registration import rulebook
from services.registration.rulebook import read_rulebook

SHIPPED = (rulebook.SCHEMES / "himcare.yaml").read_text(encoding="utf-8")

SMALL = """\
scheme: apple-pickers
name: Apple pickers' cover
about: A scheme that a file brings, and no code.
territory: [2]
cover_inr: 20000
cover: Rs 20,000 a year.
unit: {kind: him-parivar-family, says: The family.}
categories:
  apple-picker: {says: Picks apples, also: [orchard hand]}
asks:
  orchard_days: How many days in an orchard this year?
groups:
  picker:
    says: Family of an apple picker of 30 days or more
    when:
      - {fact: category, in: [apple-picker]}
      - {fact: orchard_days, at_least: 30}
versions:
  - code: apple-1
    valid_from: 2024-01-01
    valid_to: 2024-12-31
    says: The first rules.
    source: Nobody, it is a test
    confidence: low
    slabs:
      - {slab: only, premium_inr: 10, for: [picker]}
    not_for: [everybody-else]  # first
    enrolment: {new: {months: [8, 9]}, expired: never}
  - code: apple-2
    valid_from: 2025-01-01
    says: The second.
    source: Nobody, it is another test
    confidence: low
    slabs:
      - {slab: only, premium_inr: 20, for: [picker]}
    not_for: [everybody-else]  # second
    enrolment: {new: always, expired: always}
"""


def refused(tmp_path: Path, text: str) -> str:
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as bad:
        read_rulebook(tmp_path)
    said = str(bad.value)
    assert said.startswith(f"{tmp_path / 'rules.yaml'}:")
    return said.removeprefix(f"{tmp_path / 'rules.yaml'}:")


def line(text: str, part: str, nth: int = 1) -> int:
    """The number of the nth line with that part."""
    return [n for n, each in enumerate(text.splitlines(), 1) if part in each][nth - 1]


BOTH_HOLD, BOTH_SAY = (
    "contradiction: apple-1 and apple-2 both hold",
    "contradiction: picker is in slab only and in not_for",
)
ELSE = "not_for: [everybody-else]  # "


@pytest.mark.parametrize(
    ("was", "becomes", "at", "why"),
    [
        ("valid_to: 2024-12-31", "valid_to: 2025-01-15", ("valid_from: 2025", 1), BOTH_HOLD),
        ("valid_to: 2024-12-31", "valid_to: 2024-12-30", ("valid_from: 2025", 1), "gap: nothing holds from 2024-12-31"),
        ("    valid_to: 2024-12-31\n", "", ("valid_from: 2025", 1), BOTH_HOLD),
        ("valid_to: 2024-12-31", "valid_to: 2023-12-31", ("valid_to", 1), "ends before it begins"),
        (f"{ELSE}second", "not_for: []", ("slabs", 2), "gap: says nothing of everybody-else"),
        ("10, for: [picker]", "10, for: [pickers]", ("slabs", 1), "gap: says nothing of picker"),
        (f"{ELSE}first", "not_for: [everybody-else, picker]", ("not_for", 1), BOTH_SAY),
        (f"{ELSE}first", "not_for: [everybody-else, plumber]", ("slabs", 1), "no such group: plumber"),
        ("code: apple-2", "code: apple-1", ("code: apple-1", 1), "stands twice"),
        ("premium_inr: 10", "premium_inr: -1", ("premium_inr: -1", 1), "greater than or equal to 0"),
        ("premium_inr: 10", "premium_inr: yes", ("premium_inr: yes", 1), "valid integer"),
        ("at_least: 30}", "at_least: yes}", ("at_least: yes", 1), "valid integer"),
        ("months: [8, 9]", "months: [9, 8]", ("months: [9, 8]", 1), "once, in order"),
        ("months: [8, 9]", "months: [8, 13]", ("months: [8, 13]", 1), "12"),
        ("fact: orchard_days", "fact: orchard_dais", ("orchard_dais", 1), "no such fact: orchard_dais"),
        ("in: [apple-picker]", "in: [pear-picker]", ("pear-picker", 1), "no such category: pear-picker"),
        ("at_least: 30}", "at_least: 30, at_most: 40}", ("at_most", 1), "exactly one"),
        ("fact: category, in: [apple-picker]", "fact: pm_jay, at_least: 3", ("fact: pm_jay", 1), "yes-no"),
        ("    says: The second.\n", "", ("code: apple-2", 1), "Field required"),
        ("says: The second.", "sais: The second.", ("sais", 1), "Extra inputs"),
        ("    source: Nobody, it is another test\n", "", ("code: apple-2", 1), "Field required"),
        ("  apple-picker: {", "  daily-wage: {", ("  daily-wage", 1), "stands elsewhere too"),
        ("valid_from: 2024-01-01", "valid_from: 2024-02-30", ("valid_from: 2024-02-30", 1), "day is out of range"),
    ],
)
def test_a_bad_rule_file_is_refused_with_its_line(
    tmp_path: Path, was: str, becomes: str, at: tuple[str, int], why: str
) -> None:
    assert was in SMALL
    text = SMALL.replace(was, becomes, 1)
    said = refused(tmp_path, text)
    number, _, reason = said.partition(": ")
    assert why in reason
    assert int(number) == line(text, *at), said


def test_the_shipped_rules_with_a_day_cut_out_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, SHIPPED.replace("valid_from: 2024-09-01", "valid_from: 2024-09-03"))
    assert "gap: nothing holds from 2024-09-01 to 2024-09-02" in said


def test_a_window_outside_its_version_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, SHIPPED.replace("last: 2022-03-31}", "last: 2022-04-30}", 1))
    assert "lies outside the days of this version" in said


def test_a_new_scheme_needs_a_file_and_no_code(tmp_path: Path) -> None:
    import datetime as dt

    from services.registration.eligibility_api import AskEligibility, answered
    from services.registration.places import read_places

    (tmp_path / "apples.yaml").write_text(SMALL, encoding="utf-8")
    rules, places = read_rulebook(tmp_path), read_places()

    def told(**said: object) -> tuple[str, int | None]:
        asked = AskEligibility.model_validate({"on": "2024-07-01", "state_lgd": 2, "family_size": 3} | said)
        [answer] = answered(rules, places, asked, dt.date(2024, 7, 1)).schemes
        return answer.answer, answer.cost.total_inr if answer.cost else None

    assert told(category="orchard hand", facts={"orchard_days": 30}) == ("yes", 10)
    assert told(category="orchard hand", facts={"orchard_days": 29}) == ("no", None)
    assert told(category="orchard hand", facts={"orchard_days": 30}, on="2025-01-01") == ("yes", 20)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="there is no scheme"):
        read_rulebook(tmp_path)


def test_the_linter_says_what_a_start_would_and_a_start_says_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from libs.common import operate
    from services.registration import lint

    assert lint.main([]) == 0
    assert "himcare" in capsys.readouterr().out
    (tmp_path / "rules.yaml").write_text(SMALL.replace("2024-12-31", "2025-01-15"), encoding="utf-8")
    assert lint.main(["--schemes", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert BOTH_HOLD in said
    (tmp_path / "seal_key").write_text("00" * 32)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("SCHEMES", str(tmp_path))
    assert operate.main("registration", []) == 2
    said = capsys.readouterr().err
    assert said.startswith("registration: cannot start: ")
    assert f"rules.yaml:{line(SMALL, 'valid_from: 2025')}: " in said
    assert BOTH_HOLD in said
