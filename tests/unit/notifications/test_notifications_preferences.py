"""What a person refused is heeded, the newest word stands, and a named emergency overrides it."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import grievance, referral
from services.notifications import catalogue
from services.notifications.domain.preference import Choice, Preferences, State, decide, evolve
from services.notifications.settings import Settings
from services.notifications.store import PREFERENCES
from services.notifications.usecases import plans

NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)
ROUTING, _ = catalogue.read(
    Settings.model_fields["routing_file"].default, Settings.model_fields["templates_dir"].default
)
REFERRAL = {"patient": "p1", "origin": "A-B", "destination": "C-D", "service": "surgery"}


def said(*words: tuple[str, str, bool, int]) -> Preferences | None:
    state: Preferences | None = None
    for channel, scope, allowed, minute in words:
        command = State("patient:p1", channel, scope, allowed, NOW + dt.timedelta(minutes=minute))  # type: ignore[arg-type]
        for event in decide(state, command):
            state = evolve(state, event)
    return state


def test_what_was_never_said_is_allowed() -> None:
    assert Preferences(recipient="patient:p1").refused("care") == frozenset()


def test_a_refusal_counts_for_its_purpose_and_channel() -> None:
    state = said(("sms", "care", False, 0))
    assert state is not None
    assert state.refused("care") == {"sms"}
    assert state.refused("complaint") == frozenset()


def test_the_newest_word_that_covers_it_stands() -> None:
    state = said(("sms", "all", False, 0), ("sms", "complaint", True, 1))
    assert state is not None
    assert (state.refused("care"), state.refused("complaint")) == ({"sms"}, frozenset())
    state = said(("sms", "complaint", True, 0), ("sms", "all", False, 1))
    assert state is not None
    assert state.refused("complaint") == {"sms"}


def test_a_paper_that_comes_late_changes_nothing_newer() -> None:
    assert said(("sms", "all", False, 5), ("sms", "all", True, 1)) == said(("sms", "all", False, 5))


words = st.tuples(
    st.sampled_from(["sms", "email"]), st.sampled_from(["care", "complaint", "all"]), st.booleans(), st.integers(0, 9)
)


@given(st.lists(words, max_size=12))
def test_state_is_the_fold_and_one_choice_stands_per_channel(
    spoken: list[tuple[str, str, bool, int]],
) -> None:
    state: Preferences | None = None
    entries = []
    for channel, scope, allowed, minute in spoken:
        command = State("patient:p1", channel, scope, allowed, NOW + dt.timedelta(minutes=minute))  # type: ignore[arg-type]
        for event in decide(state, command):
            state = evolve(state, event)
            entries.append({"type": event.TYPE, "data": event.model_dump(mode="json")})
    assert PREFERENCES.fold(entries) == state
    choices: tuple[Choice, ...] = state.choices if state else ()
    assert len({(choice.channel, choice.scope) for choice in choices}) == len(choices)


def test_only_a_named_emergency_overrides() -> None:
    urgent = referral.ReferralAccepted(**REFERRAL, urgency="emergency")  # type: ignore[arg-type]
    routine = referral.ReferralAccepted(**REFERRAL, urgency="routine")  # type: ignore[arg-type]
    assert [plan.override for plan in plans(ROUTING, "e", urgent, NOW)] == ["emergency-referral"]
    assert [plan.override for plan in plans(ROUTING, "e", routine, NOW)] == [None]


def test_purposes_follow_from_the_routing() -> None:
    for type_, tells in ROUTING.events.items():
        for tell in tells:
            assert tell.purpose == ("complaint" if type_.startswith("grievance.") else "care")
    closed = grievance.GrievanceConfirmed(
        ticket="T",
        category="long-wait",
        about_facility="A-B",
        handled_by="C-D",
        reporter=grievance.Reporter(kind="patient", id="p1"),
        rating=3,
    )
    assert [plan.purpose for plan in plans(ROUTING, "e", closed, NOW)] == ["complaint"]
