"""The data files: what is shipped holds together, and a bad one is refused with its line."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import cast

import pytest

from libs.common.journal import Journal
from libs.common.lined import BadFile
from services.grievance import catalogue
from services.grievance.catalogue import read_calendars, read_categories, read_jurisdictions
from services.grievance.domain.policy import NoJurisdiction, chosen, policy
from services.grievance.hours import WorkingTime

CATEGORIES = read_categories()
JURISDICTIONS = read_jurisdictions(known=CATEGORIES)
DAY = dt.date(2026, 11, 20)
HIMACHAL, JAMMU_KASHMIR, LADAKH, ELSEWHERE = 2, 1, 37, 27


def promised(state: int, category: str, day: dt.date = DAY) -> tuple[str, str, list[str]]:
    """Jurisdiction, redress and ladder, as written."""
    found = policy(*chosen(JURISDICTIONS, day, state, category), category, CATEGORIES[category].emergency)
    return (
        found.jurisdiction,
        found.promises.redress.model_dump(),
        [span.model_dump() for span in found.promises.ladder],
    )


@pytest.mark.parametrize(
    ("state", "category", "expected"),
    [
        (ELSEWHERE, "long-wait", ("cpgrams", "21 days", ["30 days"])),
        (HIMACHAL, "long-wait", ("himachal-1100", "14 days", ["7 days", "7 days"])),
        (JAMMU_KASHMIR, "long-wait", ("jammu-kashmir", "15 working days", ["15 working days"])),
        (LADAKH, "long-wait", ("ladakh", "21 days", ["30 days"])),
        (HIMACHAL, "scheme-enrolment", ("pm-jay", "30 days", ["30 days"])),
        (LADAKH, "denied-cashless-treatment", ("pm-jay", "4 hours", ["4 hours"])),
    ],
)
def test_who_promises_what(state: int, category: str, expected: tuple[str, str, list[str]]) -> None:
    assert promised(state, category) == expected


@pytest.mark.parametrize(
    ("day", "redress"),
    [("2020-05-01", "60 days"), ("2021-01-01", "45 days"), ("2022-07-26", "45 days"), ("2022-07-27", "30 days"),
     ("2024-08-22", "30 days"), ("2024-08-23", "21 days")],
)  # fmt: skip
def test_a_promise_is_that_of_its_day(day: str, redress: str) -> None:
    assert promised(ELSEWHERE, "long-wait", dt.date.fromisoformat(day))[1] == redress


def test_before_a_state_had_its_own_the_nation_s_holds() -> None:
    assert promised(LADAKH, "long-wait", dt.date(2023, 8, 16))[0] == "cpgrams"
    with pytest.raises(NoJurisdiction):
        promised(LADAKH, "long-wait", dt.date(2001, 1, 1))


def test_every_category_has_a_promise_everywhere_and_anonymity() -> None:
    for state in (HIMACHAL, JAMMU_KASHMIR, LADAKH, ELSEWHERE):
        for category in CATEGORIES:
            _, version = chosen(JURISDICTIONS, DAY, state, category)
            assert version.anonymous
            assert len(version.lanes["usual"].ladder) <= len(version.levels) - 2
    assert CATEGORIES["denied-cashless-treatment"].emergency


def test_himachal_closes_on_confirmation_only() -> None:
    _, version = chosen(JURISDICTIONS, DAY, HIMACHAL, "long-wait")
    assert version.unreachable is None
    assert len(version.levels) == 4


def test_calendars_know_their_days() -> None:
    calendars = read_calendars()
    leh = calendars.base(LADAKH, 9)
    assert leh.shifts(dt.date(2026, 11, 22)) == ()
    assert leh.shifts(dt.date(2026, 1, 26)) == ()
    assert len(leh.shifts(dt.date(2026, 11, 20))) == 2
    assert leh.shifts(dt.date(2026, 7, 20)) != leh.shifts(dt.date(2026, 11, 20))
    assert calendars.base(HIMACHAL, 21).shifts(dt.date(2026, 4, 15)) == ()
    assert calendars.base(ELSEWHERE, 1).shifts(dt.date(2026, 11, 20)) != ()


GOOD = "categories:\n  long-wait:\n    name: Long wait\n    emergency: false\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("# nothing\n\nkinds: {}\n", 3, "kinds"),
        ("categories: {}\n", 1, "categories"),
        ("- a\n", 1, "dict"),
        (GOOD.replace("false", "perhaps"), 4, "emergency"),
        (GOOD.replace("name:", "nmae:"), 3, "nmae"),
        (GOOD.replace("    name: Long wait\n", ""), 2, "name"),
        (GOOD + GOOD.split("\n", 1)[1], 5, "twice"),
        (GOOD.replace("long-wait", "Long Wait"), 2, "Long Wait"),
        (GOOD + "    name: again\n", 5, "twice"),
        (GOOD + "  other: [\n", 6, "expected"),
        (GOOD.replace("Long wait", "!!python/name:os.system x"), 3, "constructor"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "categories.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as refusal:
        read_categories(path)
    assert str(refusal.value).startswith(f"{path}:{line}: ")
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("ladakh.yaml", "redress: 21 days", "redress: 21 dais", "lanes.usual.redress"),
        ("ladakh.yaml", "redress: 21 days", "redress: soon", "lanes.usual.redress"),
        ("pm-jay.yaml", "asked-for-money", "asked-for-sweets", "no such category"),
        ("ladakh.yaml", "role: Adviser", "roll: Adviser", "roll"),
        ("ladakh.yaml", "{code: department", "{code: district", "another level"),
        ("ladakh.yaml", "valid_from: 2025-10-31", "valid_from: 2025-02-30", "day is out of range"),
        ("ladakh.yaml", "attempts: 3", "attempts: many", "attempts"),
        ("himachal-1100.yaml", "[7 days, 7 days]", "[7 days, 7 days, 7 days]", "ladder"),
        ("jammu-kashmir.yaml", "valid_from: 2018-09-10", "valid_from: once", "valid_from"),
        ("cpgrams.yaml", "valid_from: 2021-01-01", "valid_from: 2001-01-01", "follow each other"),
        ("himachal-1100.yaml", "ladder: [30 days]}", "ladder: [30 days, 30 days, 30 days]}", "appeal.ladder"),
        ("ladakh.yaml", "states: [37]", "states: [-37]", "takes.states.0"),
        ("ladakh.yaml", "states: [37]", "states: [Ladakh]", "takes.states.0"),
        ("ladakh.yaml", "takes:", "take:", "take"),
        ("ladakh.yaml", "window: 30 days", "window: 0 days", "appeal.window"),
        ("ladakh.yaml", "tell: 5 days", "tell: -5 days", "lanes.usual.tell"),
        ("ladakh.yaml", "3 working days", "3 working minutes", "lanes.usual.first_action"),
        ("jammu-kashmir.yaml", "15 working days, ladder", "15.5 working days, ladder", "whole number"),
        ("ladakh.yaml", "[30 minutes, 15 minutes", "[1 days, 15 minutes", "office hours"),
        ("ladakh.yaml", "confidence: low", "confidence: sure", "confidence"),
        ("ladakh.yaml", "code: ladakh", "code: La Dakh", "code"),
        ("jammu-kashmir.yaml", "code: jammu-kashmir", "code: ladakh", "another file"),
        ("cpgrams.yaml", "name: Centralised", "takes: {states: [9]}\nname: Centralised", "none takes"),
    ],
)
def test_a_bad_jurisdiction_is_refused_with_its_line(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    folder = tmp_path / "jurisdictions"
    shutil.copytree(catalogue.JURISDICTIONS, folder)
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadFile, match=r":\d+: ") as refusal:
        read_jurisdictions(folder, known=CATEGORIES)
    assert says in str(refusal.value)
    if says == "none takes":
        return
    file, line = str(refusal.value).split(":")[:2]
    at_fault = new.splitlines()[0]
    assert at_fault in Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("09:30-13:30", "13:30-09:30", "opens"), ("mon:", "moon:", "moon"), ("first: 11-01", "first: 13-01", "first"),
     ("last: 03-31", "last: 02-30", "last"), ("first: 11-01", "first: 11-31", "first"),
     ("  - first: 11-01", "  - {first: 10-15, last: 11-15, week: *summer}\n  - first: 11-01", "another season"),
     ("confidence: low", "confidence: maybe", "confidence"), ("09:30-13:30", "early", "week"),
     ("14:00-17:00", "13:00-17:00", "overlap"), ("[09:30-13:30]", "9", "list"), ("09:30-13:30", "09:30-13:30Z", "zone"),
     ("2026-12-10: Losar", "2026-02-30: Losar", "day is out of range"), ('code: "37"', 'code: "2"', "another file")],
)  # fmt: skip
def test_a_bad_calendar_is_refused_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    folder = tmp_path / "calendars"
    shutil.copytree(catalogue.CALENDARS, folder)
    text = (folder / "ladakh.yaml").read_text(encoding="utf-8")
    (folder / "ladakh.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadFile, match=r"ladakh.yaml:\d+: ") as refusal:
        read_calendars(folder)
    assert says in str(refusal.value)
    line = int(str(refusal.value).split(":")[1])
    wrong = (folder / "ladakh.yaml").read_text(encoding="utf-8").splitlines()[line - 1]
    assert new in wrong or wrong in new or says == "another file"


def test_a_calendar_that_never_opens_is_refused(tmp_path: Path) -> None:
    """Nothing would ever become due by it."""
    folder = tmp_path / "calendars"
    shutil.copytree(catalogue.CALENDARS, folder)
    text = 'code: "5"\nname: N\nsource: s\nconfidence: low\nweek:\n  mon: []\n'
    (folder / "uttarakhand.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match=r"uttarakhand.yaml:5: week: "):
        read_calendars(folder)


def test_of_two_that_take_the_same_state_the_newer_holds_from_its_day(tmp_path: Path) -> None:
    folder = tmp_path / "jurisdictions"
    shutil.copytree(catalogue.JURISDICTIONS, folder)
    text = (folder / "himachal-1100.yaml").read_text(encoding="utf-8")
    newer = text.replace("code: himachal-1100", "code: a-newer-order").replace("2019-09-16", "2026-11-01")
    (folder / "a-newer-order.yaml").write_text(newer, encoding="utf-8")
    found = read_jurisdictions(folder, known=CATEGORIES)
    days = {day: chosen(found, day, HIMACHAL, "long-wait")[0].code for day in (DAY, dt.date(2026, 10, 31))}
    assert list(days.values()) == ["a-newer-order", "himachal-1100"]


@pytest.mark.parametrize(
    ("takes", "clash"),
    [("{states: [2, 5]}", True), ("{states: [5]}", False), ("{states: [2], categories: [long-wait]}", False)],
)
def test_of_two_that_begin_on_one_day_one_must_be_closer(tmp_path: Path, takes: str, clash: bool) -> None:
    folder = tmp_path / "jurisdictions"
    shutil.copytree(catalogue.JURISDICTIONS, folder)
    text = (folder / "himachal-1100.yaml").read_text(encoding="utf-8")
    text = text.replace("code: himachal-1100", "code: zzz").replace("takes:\n  states: [2]", f"takes: {takes}")
    (folder / "zzz.yaml").write_text(text, encoding="utf-8")
    if not clash:
        assert "zzz" in {jurisdiction.code for jurisdiction in read_jurisdictions(folder, known=CATEGORIES)}
        return
    with pytest.raises(BadFile, match=r"zzz.yaml:\d+: himachal-1100 takes the same") as refusal:
        read_jurisdictions(folder, known=CATEGORIES)
    line = int(str(refusal.value).split(":")[1])
    assert "valid_from" in text.splitlines()[line - 1]


@pytest.mark.parametrize("code", ["37-x", "37-", "37-09", "x", "", "37-9-9", "٣٧", "37-9 "])
def test_what_is_no_code_of_a_place_is_not_known(code: str) -> None:
    working_time = WorkingTime(read_calendars(), cast(Journal, None))
    assert not working_time.knows(code)
    assert working_time.knows("37")
    assert working_time.knows("37-9")


def test_a_new_state_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "jurisdictions"
    shutil.copytree(catalogue.JURISDICTIONS, folder)
    text = (folder / "ladakh.yaml").read_text(encoding="utf-8")
    for name, code in (("sikkim.yaml", 11), ("assam.yml", 18)):
        state = text.replace("ladakh", name.partition(".")[0]).replace("[37]", f"[{code}]")
        (folder / name).write_text(state, encoding="utf-8")
        found = read_jurisdictions(folder, known=CATEGORIES)
        assert f"{chosen(found, DAY, code, 'long-wait')[0].code}" == name.partition(".")[0]


def test_the_jurisdiction_in_the_docs_is_one(tmp_path: Path) -> None:
    """Who adds one from the docs alone copies this."""
    docs = Path(catalogue.HERE).parents[1] / "docs" / "grievance.md"
    written = docs.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    folder = tmp_path / "jurisdictions"
    shutil.copytree(catalogue.JURISDICTIONS, folder)
    (folder / "uttarakhand.yaml").write_text(written)
    jurisdictions = read_jurisdictions(folder, known=CATEGORIES)
    found, version = chosen(jurisdictions, DAY, 5, "long-wait")
    assert (found.code, version.lanes["usual"].redress.model_dump()) == ("uttarakhand", "15 working days")
    assert [span.model_dump() for span in version.lanes["emergency"].on_call] == ["30 minutes", "15 minutes"]


def test_every_shipped_emergency_is_called_out_in_minutes() -> None:
    for jurisdiction in JURISDICTIONS:
        for version in jurisdiction.versions:
            rungs = version.lanes["emergency"].on_call
            assert rungs, jurisdiction.code
            assert {span.unit for span in rungs} == {"minutes"}
