"""The monthly audit: against a slow recomputation from journals, and for the sample day by hand from its file."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.event import Event
from services.referral import auditing, directory, promises
from services.referral.domain import audit, moves
from services.referral.domain import commands as machine
from services.referral.domain.commands import By
from services.referral.domain.referral import Referral, decide, due, evolve, overdue

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HERE, THERE, ALSO = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO", "HP-SML-MC-IGMC"
DAY = [json.loads(line) for line in Path("data/day.jsonl").read_text(encoding="utf-8").splitlines()]
CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}

STEPS: dict[str, machine.Step] = {
    "accept": machine.Accept(),
    "decline": machine.Decline("no-bed"),
    "cancel": machine.Cancel("patient-improved"),
    "depart": machine.Depart("army-convoy"),
    "hold": machine.Hold("pass-closed"),
    "arrive": machine.Arrive(),
    "no-show": machine.NoShow(),
    "outcome": machine.RecordOutcome("treated-and-discharged", procedure=False),
    "back-refer": machine.BackRefer("rest"),
    "acknowledge": machine.Acknowledge(),
    "advise": machine.Advise("treat-there", "rest"),
    "treat-here": machine.TreatHere(),
    "advise-unsure": machine.Advise("tell-more", "fever?"),
    "tell-more": machine.TellMore("fever since yesterday"),
    "convert": machine.Convert(dt.timedelta(hours=1)),
    "redirect": machine.Redirect(ALSO, "no-bed", next="n"),
    "schedule": machine.Schedule(NOW + dt.timedelta(days=300)),
    "reschedule": machine.Reschedule(NOW + dt.timedelta(days=301)),
}

Journal = list[Event]
walks = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["routine", "urgent", "emergency"]),
        st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 900)), max_size=14),
    ),
    max_size=12,
)


def fold(journal: Journal) -> Referral:
    state: Referral | None = None
    for event in journal:
        state = evolve(state, event)
    assert state is not None
    return state


def walked(question: bool, urgency: Any, walk: list[tuple[str, int]]) -> Journal:
    """A journal as the machine writes it; a move that is not open is passed over."""
    kind = machine.Ask if question else machine.Request
    asked = kind("p", THERE, "surgery", urgency, "x", answer_within=dt.timedelta(minutes=240))
    now = NOW
    journal = decide(None, asked, By("doctor", HERE), now)
    for name, minutes in walk:
        now += dt.timedelta(minutes=minutes)
        state = fold(journal)
        promised = due(state)
        if promised is not None and promised <= now:
            journal += overdue(state, f"nodal-officer@{ALSO}", None, now)
            state = fold(journal)
        row = moves.find(state.status, name)
        if row is not None and row.fits(state):
            actor = row.who[0]
            journal += decide(state, STEPS[name], By(actor.role, getattr(state, actor.side)), now)
    return journal


def slowly(journals: list[Journal]) -> dict[str, Any]:
    """The same figures from journals alone, one question after the other."""

    def at(journal: Journal, *names: str) -> list[dt.datetime]:
        return [event.at for event in journal if type(event).__name__ in names]  # type: ignore[attr-defined]

    sent = [journal for journal in journals if at(journal, "ReferralRequested")]
    answers, legs, lost = [], defaultdict(list), Counter[str]()
    for journal in sent:
        asked = at(journal, "ReferralRequested")[-1]
        told = at(journal, "ReferralAccepted", "ReferralDeclined", "ReferralRedirected")
        if told:
            promise = [e.answer_due for e in journal if type(e).__name__ == "ReferralRequested"][-1]  # type: ignore[attr-defined]
            answers.append((told[0] - asked, told[0] <= promise))
        first = {
            "ReferralAccepted": at(journal, "ReferralAccepted")[-1:],
            "departed": at(_last_way(journal), "TransportDeparted")[:1],
            "PatientArrived": at(journal, "PatientArrived")[-1:],
            "OutcomeRecorded": at(journal, "OutcomeRecorded")[-1:],
            "PatientBackReferred": at(journal, "PatientBackReferred")[-1:],
            "ReferralClosed": at(journal, "ReferralClosed")[-1:],
        }
        for name, (since,), (until,) in audit.LEGS:
            if first[since] and first[until] and first[until][0] >= first[since][0]:
                legs[name].append((first[until][0] - first[since][0]).total_seconds() / 60)
        held: tuple[dt.datetime, str] | None = None
        for event in journal:
            name = type(event).__name__
            ends = {"TransportDeparted", "TransportHeld", "PatientArrived", "ReferralDeclined", "ReferralCancelled"}
            ends |= {"PatientNoShow", "ReferralRedirected", "OutcomeRecorded"}
            if held is not None and name in ends:
                lost[held[1]] += int((event.at - held[0]).total_seconds())  # type: ignore[attr-defined]
                held = None
            if name == "TransportHeld":
                held = (event.at, event.reason)  # type: ignore[attr-defined]
    last = [fold(journal).status for journal in sent]
    return {
        "sent": len(sent),
        "answered": len(answers),
        "answered_in_time": sum(kept for _, kept in answers),
        "median_minutes_to_answer": (
            round(median(took.total_seconds() / 60 for took, _ in answers), 1) if answers else None
        ),
        "accepted": sum(bool(at(journal, "ReferralAccepted")) for journal in sent),
        "arrived": sum(bool(at(journal, "PatientArrived")) for journal in sent),
        "treated": sum(bool(at(journal, "OutcomeRecorded")) for journal in sent),
        "back_referred": sum(bool(at(journal, "PatientBackReferred")) for journal in sent),
        "closed": sum(bool(at(journal, "ReferralClosed")) for journal in sent),
        "avoidable": sum(any(getattr(event, "avoidable", None) is True for event in journal) for journal in sent),
        "declined": {"no-bed": last.count("declined")} if "declined" in last else {},
        "cancelled": {"patient-improved": last.count("cancelled")} if "cancelled" in last else {},
        "redirected": sum(bool(at(journal, "ReferralRedirected")) for journal in sent),
        "no_show": sum(bool(at(journal, "PatientNoShow")) for journal in sent),
        "lapsed": sum(bool(at(journal, "ReferralLapsed")) for journal in sent),
        "held": sum(bool(at(journal, "TransportHeld")) for journal in sent),
        "median_minutes_by_leg": {name: round(median(minutes), 1) for name, minutes in sorted(legs.items())},
        "minutes_lost_by_cause": {cause: seconds // 60 for cause, seconds in lost.items()},
        "journeys_avoided": sum(
            bool(at(journal, "TreatedAtOrigin")) and not at(journal, "ReferralRequested") for journal in journals
        ),
    }


def _last_way(journal: Journal) -> Journal:
    """From the appointment that was made after the last way had ended; all of it where there was one way only."""
    travelled, over, since = False, False, 0
    for number, event in enumerate(journal):
        name = type(event).__name__
        travelled |= name in ("TransportDeparted", "TransportHeld")
        over |= travelled and name in ("PatientNoShow", "PatientArrived", "OutcomeRecorded")
        if over and name == "AppointmentScheduled":
            travelled, over, since = False, False, number
    return journal[since:]


@given(walks)
@settings(max_examples=120, deadline=None)
def test_the_figures_are_those_of_the_journals(walks: list[tuple[bool, str, list[tuple[str, int]]]]) -> None:
    journals = [walked(*walk) for walk in walks]
    found = vars(audit.figures(fold(journal) for journal in journals))
    for name, value in slowly(journals).items():
        assert found[name] == value, name


def test_every_figure_has_its_definition() -> None:
    assert set(vars(audit.figures([]))) | {"load"} == set(audit.DEFINITIONS)


def test_a_month_is_that_of_india() -> None:
    since, until = audit.bounds("2026-11")
    assert (since, until) == (
        dt.datetime(2026, 10, 31, 18, 30, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 30, 18, 30, tzinfo=dt.UTC),
    )
    assert audit.bounds("2026-12")[1] == dt.datetime(2026, 12, 31, 18, 30, tzinfo=dt.UTC)
    assert audit.month_of(since) == "2026-11"
    assert audit.month_of(since - dt.timedelta(milliseconds=1)) == "2026-10"
    with pytest.raises(ValueError, match="unconverted"):
        audit.bounds("2026-13-1")


def day_states() -> dict[str, Referral]:
    """The sample day's referrals, moved by the machine line by line."""
    states: dict[str, Referral] = {}
    done: set[str] = set()
    within = promises.read()
    for line in DAY:
        verb = line.get("verb", "")
        if not verb.startswith("referral.") or line["key"] in done or line["expect"] != "ok":
            continue
        done.add(line["key"])
        now = dt.datetime.fromisoformat(line["at"]).astimezone(dt.UTC)
        by, body = By(line["actor"]["role"], line["actor"]["facility"]), line["body"]
        for label, state in states.items():
            promised = due(state)
            if promised is not None and promised <= now:
                for event in overdue(state, f"nodal-officer@{ALSO}", None, now):
                    states[label] = evolve(states[label], event)
        name = verb.removeprefix("referral.")
        if name == "request":
            wait = within.answer_within(body["urgency"], CARDS[body["to"]].level)
            asked = machine.Request(line["on"], **body, answer_within=wait)
            (event,) = decide(None, asked, by, now)
            states[line["label"]] = evolve(None, event)
            continue
        kinds = {step.verb: step for step in machine.Step.__args__}  # type: ignore[attr-defined]
        for event in decide(states[line["on"]], kinds[name](**body), by, now):
            states[line["on"]] = evolve(states[line["on"]], event)
    return states


def by_hand() -> dict[str, Any]:
    """What anybody counts in the day file, each line that is not a retry of one before."""
    lines = {line["key"]: line for line in reversed(DAY) if line.get("expect") == "ok" and "verb" in line}

    def of(verb: str) -> list[dict[str, Any]]:
        return [line for line in lines.values() if line["verb"] == f"referral.{verb}"]

    return {
        "sent": len(of("request")),
        "emergencies": sum(line["body"]["urgency"] == "emergency" for line in of("request")),
        "accepted": len(of("accept")),
        "answered": len(of("accept")) + len(of("decline")),
        "arrived": len(of("arrive")),
        "treated": len(of("outcome")),
        "avoidable": sum(line["body"]["outcome"] == "manageable-at-origin" for line in of("outcome")),
        "back_referred": len(of("back-refer")),
        "closed": len(of("acknowledge")),
        "closed_loop_percent": 100 * len(of("acknowledge")) // len(of("request")),
        "declined": dict(sorted(Counter(line["body"]["reason"] for line in of("decline")).items())),
        "cancelled": dict(sorted(Counter(line["body"]["reason"] for line in of("cancel")).items())),
        "no_show": len(of("no-show")),
        "held": len(of("hold")),
    }


def test_the_sample_day_can_be_followed_by_hand() -> None:
    states = day_states()
    found = vars(audit.figures(states.values()))
    expected = by_hand()
    assert {name: found[name] for name in expected} == expected
    assert found["sent"] == len(states) > 40
    assert sum(audit.load(states.values()).values()) == expected["arrived"]


def test_the_page_says_what_the_day_gives() -> None:
    whole = Path("docs/referral-audit.md").read_text(encoding="utf-8")
    page = whole.partition("## The sample day")[2]
    found = audit.flat(audit.figures(day_states().values()))
    said = dict(re.findall(r"^\| `([a-z_.\-]+)` \| ([^|]+?) \|", page, re.MULTILINE))
    shown = {name: str(found.get(name.removesuffix("."), 0)) for name in said}
    assert said == shown
    assert set(audit.DEFINITIONS) <= set(re.findall(r"`([a-z_]+)", whole))


def test_a_table_has_a_line_for_each_group_and_a_column_for_each_part() -> None:
    states = list(day_states().values())
    lines = auditing.table(states, ("month", "origin", "service"))
    read = list(csv.DictReader(io.StringIO(auditing.as_csv(lines))))
    assert len(read) == len({(state.origin, state.service) for state in states})
    assert sum(int(line["sent"]) for line in read) == len(states)
    assert sum(int(line["closed"]) for line in read) == by_hand()["closed"]
    for reason, count in by_hand()["declined"].items():
        assert sum(int(line[f"declined.{reason}"]) for line in read) == count
    assert {line["month"] for line in read} == {"2026-11"}


def test_a_table_of_nothing_has_its_header() -> None:
    [header] = auditing.as_csv([], None, ("month", "origin", "service")).splitlines()
    assert header.startswith("month,origin,service,sent,")
    assert "closed" in header.split(",")
