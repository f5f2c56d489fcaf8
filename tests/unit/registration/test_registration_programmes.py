"""What each screening programme that ships says of measurements, and that a bad file is refused with its line."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.lined import BadFile
from libs.common.refusal import Refused
from services.registration import programme_files
from services.registration.domain import screening
from services.registration.domain.assessment import Assessment, Person, assess
from services.registration.domain.formula import Formula
from services.registration.domain.programmes import Programme
from services.registration.programme_files import read_programmes

PROGRAMMES = read_programmes()
WOMAN, MAN = Person(30, None, "female"), Person(30, None, "male")


def told(programme: str, person: Person = WOMAN, **measures: Any) -> Assessment:
    return assess(PROGRAMMES[programme], person, measures)


def test_the_programmes_of_the_issue_ship() -> None:
    assert set(PROGRAMMES) == {
        "t3-anaemia", "nafld", "oral-cancer", "breast-cancer", "cervical-cancer", "depression", "hypertension",
        "diabetes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("altitude", "off"),
    [
        (0, 0), (499, 0), (500, 0.4), (999, 0.4), (1000, 0.8), (1500, 1.1), (2000, 1.4), (2500, 1.8), (3000, 2.1),
        (3500, 2.5), (4000, 2.9), (4180, 2.9), (4499, 2.9), (4500, 3.3), (5200, 3.3),
    ],
)  # fmt: skip
def test_whos_altitude_table_of_2024(altitude: int, off: float) -> None:
    values = told("t3-anaemia", haemoglobin=14, altitude_m=altitude).values
    assert values["adjustment"] == off
    assert values["adjusted"] == round(14 - off, 1)


@given(st.integers(500, 4999))
def test_whos_table_follows_its_own_curve_at_the_middle_of_each_band(altitude: int) -> None:
    """Adjustment in g/L = 0.0056384 e + 0.0000003 e² (Sharma 2019), which the guideline's table rounds."""
    middle = altitude // 500 * 500 + 250
    curve = 0.0056384 * middle + 0.0000003 * middle**2
    off = told("t3-anaemia", haemoglobin=14, altitude_m=altitude).values["adjustment"]
    assert abs(off * 10 - curve) < 0.6


def test_at_4180_metres_it_changes_who_is_anaemic() -> None:
    def result(altitude: int, person: Person = WOMAN, haemoglobin: float = 14.5) -> str:
        return told("t3-anaemia", person, haemoglobin=haemoglobin, altitude_m=altitude).result.result

    assert (result(200), result(3500), result(4180)) == ("not-anaemic", "not-anaemic", "mild-anaemia")
    assert (result(200, MAN), result(4180, MAN)) == ("not-anaemic", "mild-anaemia")
    # A cut-off is the first value that is not anaemic.
    assert (result(4180, haemoglobin=14.9), result(4180, haemoglobin=14.8)) == ("not-anaemic", "mild-anaemia")


@pytest.mark.parametrize(
    ("person", "more", "group", "mild"),
    [
        (Person(0, 11), {}, "child-6-23-months", 10.5),
        (Person(1, 23), {}, "child-6-23-months", 10.5),
        (Person(2, 24), {}, "child-24-59-months", 11.0),
        (Person(4, None), {}, "child-24-59-months", 11.0),
        (Person(5, 60), {}, "child-5-11-years", 11.5),
        (Person(12, None, "male"), {}, "child-12-14-years", 12.0),
        (Person(15, None, "male"), {}, "man", 13.0),
        (Person(15, None, "female"), {}, "woman", 12.0),
        (WOMAN, {"pregnant": True}, "pregnant", 11.0),
        (WOMAN, {"pregnant": True, "trimester": 1}, "pregnant", 11.0),
        (WOMAN, {"pregnant": True, "trimester": 2}, "pregnant-second-trimester", 10.5),
        (WOMAN, {"pregnant": True, "trimester": 3}, "pregnant", 11.0),
    ],
)
def test_whos_cut_offs_of_2024(person: Person, more: dict[str, Any], group: str, mild: float) -> None:
    found = told("t3-anaemia", person, haemoglobin=mild, altitude_m=0, **more)
    assert (found.group.group, found.result.result) == (group, "not-anaemic")
    assert (
        told("t3-anaemia", person, haemoglobin=round(mild - 0.1, 1), altitude_m=0, **more).result.result
        == "mild-anaemia"
    )


def test_the_facility_gives_the_altitude_where_nobody_said_it() -> None:
    found = assess(PROGRAMMES["t3-anaemia"], WOMAN, {"haemoglobin": 14.5}, facility_altitude=4180)
    assert (found.result.result, found.taken) == ("mild-anaemia", ("altitude_m",))
    with pytest.raises(Refused) as refused:
        told("t3-anaemia", haemoglobin=14.5)
    assert refused.value.field == "measures.adjusted"


def test_severe_anaemia_is_referred_at_once_and_mild_is_treated_there() -> None:
    severe = told("t3-anaemia", haemoglobin=7.9, altitude_m=0)
    assert (severe.result.result, severe.urgent) == ("severe-anaemia", True)
    assert [(f.do, f.service, f.urgency) for f in severe.suggests if f.do == "referral"] == [
        ("referral", "general-medicine", "urgent")
    ]
    mild = told("t3-anaemia", haemoglobin=11.5, altitude_m=0)
    assert {follow.do for follow in mild.suggests} == {"treatment", "talk"}


@pytest.mark.parametrize(
    ("age", "ast", "alt", "platelets", "fib_4", "result"),
    [
        (50, 20, 25, 250, 0.8, "fibrosis-unlikely"),
        (50, 32.5, 25, 250, 1.3, "fibrosis-not-excluded"),
        (65, 25, 25, 250, 1.3, "fibrosis-unlikely"),
        (65, 38.5, 25, 250, 2.0, "fibrosis-not-excluded"),
        (60, 90, 36, 150, 6.0, "advanced-fibrosis-likely"),
    ],
)
def test_fib_4(age: int, ast: float, alt: float, platelets: float, fib_4: float, result: str) -> None:
    found = told("nafld", Person(age), ast=ast, alt=alt, platelets=platelets)
    assert found.values["fib_4"] == pytest.approx(fib_4, abs=0.005)
    assert found.values["fib_4"] == pytest.approx(age * ast / (platelets * math.sqrt(alt)), abs=0.005)
    assert found.result.result == result


def phq(*answers: int) -> dict[str, int]:
    return {f"phq_{number}": answer for number, answer in enumerate(answers, 1)}


@pytest.mark.parametrize(
    ("score", "result"),
    [
        (0, "minimal"), (4, "minimal"), (5, "mild-depression"), (9, "mild-depression"), (10, "moderate-depression"),
        (14, "moderate-depression"), (15, "moderately-severe-depression"), (19, "moderately-severe-depression"),
        (20, "severe-depression"), (24, "severe-depression"),
    ],
)  # fmt: skip
def test_phq_9_bands(score: int, result: str) -> None:
    answers = [3] * (score // 3) + ([score % 3] if score % 3 else [])
    found = told("depression", **phq(*answers, *[0] * (9 - len(answers))))
    assert (found.values["score"], found.result.result) == (score, result)
    assert found.alerts == ()


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.integers(1, 3))
def test_item_9_above_0_is_urgent_whatever_the_score(others: list[int], ninth: int) -> None:
    found = told("depression", **phq(*others, ninth))
    assert found.urgent
    assert [alert.alert for alert in found.alerts] == ["thoughts-of-self-harm"]
    assert [(f.do, f.urgency) for f in found.suggests if f.code == "refer-self-harm"] == [("referral", "urgent")]
    assert found.values["score"] == sum(others) + ninth


@pytest.mark.parametrize(
    ("programme", "person", "measures", "result"),
    [
        ("hypertension", WOMAN, {"systolic": 139, "diastolic": 89}, "raised"),
        ("hypertension", WOMAN, {"systolic": 120, "diastolic": 95}, "hypertension"),
        ("hypertension", WOMAN, {"systolic": 140, "diastolic": 70}, "hypertension"),
        ("hypertension", WOMAN, {"systolic": 150, "diastolic": 110}, "severe-hypertension"),
        ("hypertension", WOMAN, {"systolic": 110, "diastolic": 70}, "normal"),
        ("diabetes", WOMAN, {"glucose": 126, "fasting": True}, "diabetes-likely"),
        ("diabetes", WOMAN, {"glucose": 126, "fasting": False}, "normal"),
        ("diabetes", WOMAN, {"glucose": 140, "fasting": False}, "raised"),
        ("diabetes", WOMAN, {"glucose": 200, "fasting": False}, "diabetes-likely"),
        ("diabetes", WOMAN, {"glucose": 300, "fasting": False}, "very-high"),
        ("diabetes", WOMAN, {"glucose": 60, "fasting": True}, "very-low"),
        ("oral-cancer", MAN, {"finding": "red-patch"}, "suspicious"),
        ("oral-cancer", MAN, {"finding": "white-patch", "tobacco": True}, "premalignant"),
        ("breast-cancer", WOMAN, {"finding": "lump"}, "suspicious"),
        ("breast-cancer", WOMAN, {"finding": "pain-only"}, "normal"),
        ("cervical-cancer", WOMAN, {"via": "positive"}, "via-positive"),
        ("cervical-cancer", WOMAN, {"via": "suspicious"}, "suspicious"),
    ],
)
def test_results(programme: str, person: Person, measures: dict[str, Any], result: str) -> None:
    assert told(programme, person, **measures).result.result == result


@pytest.mark.parametrize(
    ("programme", "person", "measures", "field"),
    [
        ("t3-anaemia", WOMAN, {"altitude_m": 0}, "measures.haemoglobin"),
        ("t3-anaemia", WOMAN, {"haemoglobin": "low", "altitude_m": 0}, "measures.haemoglobin"),
        ("t3-anaemia", WOMAN, {"haemoglobin": True, "altitude_m": 0}, "measures.haemoglobin"),
        ("t3-anaemia", WOMAN, {"haemoglobin": 120, "altitude_m": 0}, "measures.haemoglobin"),
        ("t3-anaemia", WOMAN, {"haemoglobin": 12, "altitude_m": 0, "pregnant": "yes"}, "measures.pregnant"),
        ("t3-anaemia", WOMAN, {"haemoglobin": 12, "altitude_m": 0, "trimester": 2.5}, "measures.trimester"),
        ("t3-anaemia", WOMAN, {"haemoglobin": math.nan, "altitude_m": 0}, "measures.haemoglobin"),
        ("t3-anaemia", WOMAN, {"haemoglobin": 10**400, "altitude_m": 0}, "measures.haemoglobin"),
        ("t3-anaemia", WOMAN, {"haemoglobin": 12, "altitude_m": 0, "trimester": math.inf}, "measures.trimester"),
        ("t3-anaemia", WOMAN, {"haemoglobin": 12, "altitude_m": 0, "iq": 2}, "measures.iq"),
        ("t3-anaemia", Person(0, 5), {"haemoglobin": 12, "altitude_m": 0}, "patient"),
        ("oral-cancer", MAN, {"finding": "horns"}, "measures.finding"),
        ("breast-cancer", MAN, {"finding": "lump"}, "patient"),
        ("cervical-cancer", Person(66, None, "female"), {"via": "negative"}, "patient"),
        ("nafld", Person(None), {"ast": 20, "alt": 20, "platelets": 200}, "patient"),
    ],
)
def test_wrong_input_names_its_field(programme: str, person: Person, measures: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        told(programme, person, **measures)
    assert refused.value.field == field


# what becomes of suggestions


def recorded() -> screening.Screening:
    command = screening.Record(
        "p1", "LA-LEH-CHC-NYOMA", PROGRAMMES["depression"], told("depression", **phq(*[0] * 8, 1)),
        dt.date(2026, 11, 20), None,
    )  # fmt: skip
    [event] = screening.decide(None, command)
    return screening.evolve(None, event)


HERE_OFFERED = ("psychiatry", "general-medicine")


def test_a_suggested_referral_is_accepted_once() -> None:
    state = recorded()
    accepted = screening.Accept("refer-self-harm", "LA-LEH-DH-SNM", None, HERE_OFFERED)
    [event] = screening.decide(state, accepted)
    assert event.model_dump(include={"to", "service", "urgency", "programme", "result"}) == {
        "to": "LA-LEH-DH-SNM",
        "service": "psychiatry",
        "urgency": "urgent",
        "programme": "depression",
        "result": "minimal",
    }
    state = screening.evolve(state, event)
    with pytest.raises(Refused) as refused:
        screening.decide(state, accepted)
    assert (refused.value.code, refused.value.allowed) == ("suggestion-settled", ("talk-safety-now",))
    [given_talk] = screening.decide(state, screening.Accept("talk-safety-now"))
    state = screening.evolve(state, given_talk)
    assert [each.status for each in state.suggestions] == ["given", "referred"]


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (screening.Accept("no-such"), "suggestion"),
        (screening.Accept("refer-self-harm"), "to"),
        (screening.Accept("refer-self-harm", "LA-LEH-CHC-NYOMA", None, HERE_OFFERED), "to"),
        (screening.Accept("refer-self-harm", "NOWHERE", None, None), "to"),
        (screening.Accept("refer-self-harm", "LA-LEH-PHC-TURTUK", None, ("general-medicine",)), "to"),
        (screening.Accept("refer-self-harm", "LA-LEH-DH-SNM", "oncology", HERE_OFFERED), "service"),
        (screening.Accept("talk-safety-now", "LA-LEH-DH-SNM", None, HERE_OFFERED), "to"),
    ],
)
def test_an_acceptance_that_cannot_be_names_its_field(command: screening.Accept, field: str) -> None:
    with pytest.raises(Refused) as refused:
        screening.decide(recorded(), command)
    assert refused.value.field == field


def test_the_published_events_carry_no_measurement() -> None:
    contract = screening.ScreeningRecorded
    assert "measures" not in contract.model_fields
    assert set(recorded().measures) >= {"phq_9", "score"}


# files

SHIPPED = (programme_files.PROGRAMMES / "t3-anaemia.yaml").read_text(encoding="utf-8")

LAST_OF_SOME = "when: [[{value: adjusted, at_least: mild}]]"
MODERATE = "when: [[{value: adjusted, below: moderate}]]"


@pytest.mark.parametrize(
    ("was", "becomes", "at", "why"),
    [
        ("when: otherwise", LAST_OF_SOME, LAST_OF_SOME, "gap: the last"),
        (MODERATE, "when: [{value: adjustd, below: moderate}]", "adjustd", "nothing of that name"),
        (MODERATE, "when: otherwise", "result: moderate", "contradiction: otherwise comes last"),
        ("{at_least: 500, gives", "{at_least: 0, gives", "{at_least: 0, gives: 0.4", "contradiction: must be above"),
        ("      - {at_least: 0, gives: 0}\n", "", "bands:", "gap: no band for altitude_m from 0"),
        ("below: severe", "below: grave", "below: grave", "no such cut-off: grave"),
        ("{mild: 13.0, moderate: 11.0, ", "{mild: 13.0, ", "group: man", "gap: needs the cut-offs"),
        ("formula: haemoglobin - adjustment", "formula: haemoglobin - x", "adjusted: {", "x is no number"),
        ("formula: haemoglobin - adjustment", "formula: __import__('os')", "adjusted: {", "numbers, names"),
        ("in: [male]", "in: [man]", "in: [man]", "sex is never man"),
        ("value: age_months, at_least: 6", "value: shoe_size, at_least: 6", "shoe_size", "nothing of that name"),
        ("value: pregnant, is: true", "value: pregnant, at_least: 1", "value: pregnant, at_least", "is a yes-no"),
        ("service: general-medicine, urgency: urgent, ", "", "refer-severe-anaemia", "needs service and urgency"),
        ("least: 2, most: 25", "least: 25, most: 2", "haemoglobin: {", "must be more than least"),
        ("result: mild-anaemia", "result: severe-anaemia", "results:", "result severe-anaemia stands twice"),
        ("programme: t3-anaemia", "programe: t3-anaemia", "programe", "Extra inputs"),
        ("least: 2, most: 25", "least: 2, most: .nan", "haemoglobin: {", "finite number"),
        ("least: 2, most: 25", "least: yes, most: 25", "haemoglobin: {", "valid number"),
        ("{mild: 13.0, moderate: 11.0, ", "{mild: yes, moderate: 11.0, ", "group: man", "valid number"),
        (MODERATE, "when: [[{value: adjusted, below: moderate, above: mild}]]", "above: mild", "is never so"),
        (MODERATE, "when: [[{value: haemoglobin, below: 2}]]", "haemoglobin, below: 2", "is never so"),
        ("value: age_months, at_least: 6", "value: age_months, at_least: 6, at_most: 5", "at_most: 5", "is never so"),
        ("programme: t3-anaemia", "? [programme]\n: t3-anaemia", "? [programme]", "must be a word"),
        ("version: ", "version: !!timestamp ", "version", "is no timestamp"),
    ],
)  # fmt: skip
def test_a_bad_programme_is_refused_with_its_line(tmp_path: Path, was: str, becomes: str, at: str, why: str) -> None:
    assert was in SHIPPED
    text = SHIPPED.replace(was, becomes, 1)
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as bad:
        read_programmes(tmp_path)
    _, number, reason = str(bad.value).removeprefix(str(tmp_path)).split(":", 2)
    assert why in reason
    lines = text.splitlines()
    wanted = next(index for index, line in enumerate(lines, 1) if at in line)
    assert abs(int(number) - wanted) <= 2, (number, wanted, reason)


def test_one_list_of_conditions_may_stand_alone(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(SHIPPED.replace(MODERATE, MODERATE.replace("[[", "[").replace("]]", "]")))
    assert read_programmes(tmp_path)["t3-anaemia"] == read_programmes()["t3-anaemia"]


def test_a_new_programme_needs_a_file_and_no_code(tmp_path: Path) -> None:
    (tmp_path / "goitre.yml").write_text(
        """\
programme: goitre
version: palpation
name: Goitre
about: Feeling the neck.
source: Nobody, it is a test
confidence: low
whom: children of 6 to 12
groups:
  - {group: child, says: Children, when: [{value: age_years, at_least: 6, at_most: 12}]}
measures:
  grade: {kind: whole-number, least: 0, most: 2, says: Grade}
results:
  - result: goitre
    says: Goitre
    when: [[{value: grade, at_least: 1}]]
    follows: [{do: talk, code: talk-salt, says: Iodised salt}]
  - {result: none, says: None, when: otherwise}
""",
        encoding="utf-8",
    )
    programmes = read_programmes(tmp_path)
    assert isinstance(programmes["goitre"], Programme)
    found = assess(programmes["goitre"], Person(8), {"grade": 2})
    assert (found.result.result, [each.code for each in found.suggests]) == ("goitre", ["talk-salt"])


@given(st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_a_formula_is_what_it_says(a: float, b: float) -> None:
    formula = Formula("-(a + 2*b) / sqrt(b) - 1.5")
    assert formula.names == {"a", "b"}
    assert formula.value({"a": a, "b": b}) == pytest.approx(-(a + 2 * b) / math.sqrt(b) - 1.5)
    assert formula.value({"a": a}) is None
    assert Formula("a / b").value({"a": a, "b": 0}) is None
    assert Formula("sqrt(a)").value({"a": -a}) is None


@pytest.mark.parametrize(
    "text", ["", "a +", "a ** b", "f(a)", "a.b", "a[0]", "'x'", "a if b else 1", "True", "a and b"]
)
def test_a_formula_does_nothing_but_arithmetic(text: str) -> None:
    with pytest.raises(ValueError, match=r"formula|numbers"):
        Formula(text)
