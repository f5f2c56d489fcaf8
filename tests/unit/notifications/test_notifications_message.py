"""The message machine: any sequence of commands keeps the laws."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.common.journal import redact
from libs.common.refusal import Refused
from libs.contracts.event import PUBLIC, Event
from services.notifications.domain import message
from services.notifications.domain.message import (
    Accepted,
    Await,
    Claim,
    Command,
    Lapse,
    Message,
    Plan,
    Rejected,
    Render,
    Resolve,
    SendAttempted,
    Settle,
    Troubled,
    Unanswered,
    back_off,
    decide,
    evolve,
)
from services.notifications.store import MESSAGE

NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)
PLAN = Plan(
    event="e1",
    event_type="referral.PatientArrived.v1",
    occurred_at=NOW,
    recipient="patient:p1",
    template="referral-arrived",
    channels=("in-app", "sms"),
    useful_until=NOW + 24 * HOUR,
)
SETTLED = {"sent", "failed", "lapsed"}


def render(**changed: object) -> Render:
    said = Render(PLAN, "sms", language="hi", text="आप", subject="", encoding="ucs-2", segments=1, at=NOW)
    return Render(**{**vars(said), **changed})  # type: ignore[arg-type]


def run(*commands: Command, now: dt.datetime = NOW, state: Message | None = None) -> tuple[Message | None, list[Event]]:
    events: list[Event] = []
    for command in commands:
        decided = decide(state, command, now)
        for event in decided:
            state = evolve(state, event)
        events += decided
    return state, events


def types(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_what_is_held_goes_out_when_the_quiet_is_over() -> None:
    until = NOW + 9 * HOUR
    held, events = run(render(hold_until=until, lease_until=NOW))
    assert types(events) == ["MessageRendered", "MessageHeld"]
    assert held is not None
    assert (held.status, held.retry_at, message.next_due(held)) == ("queued", None, until)
    assert run(Claim(NOW, NOW + HOUR), state=held, now=until - SECOND)[1] == []
    going, events = run(Claim(NOW, NOW + HOUR), state=held, now=until)
    assert types(events) == ["SendAttempted"]
    assert going is not None
    assert going.held_until is None


def test_from_claim_to_sent() -> None:
    state, events = run(render(lease_until=NOW + HOUR), Accepted(1))
    assert types(events) == ["MessageRendered", "SendAttempted", "MessageSent"]
    assert state is not None
    assert (state.status, state.attempt, state.retry_at, message.next_due(state)) == ("sent", 1, None, None)


def test_in_app_is_sent_as_it_is_rendered() -> None:
    state, events = run(render(channel="in-app", sent=True, also=("sms",)))
    assert types(events) == ["MessageRendered", "MessageSent"]
    assert state is not None
    assert state.also == ("sms",)
    assert events[-1].language == "hi"  # type: ignore[attr-defined]


def test_what_waits_is_completed_once() -> None:
    waiting, _ = run(Await(PLAN, "in-app", "patient:p1", NOW + SECOND))
    assert waiting is not None
    assert (waiting.status, waiting.awaiting, waiting.looks) == ("waiting", "patient:p1", 1)
    assert message.next_due(waiting) == PLAN.useful_until
    done, events = run(render(channel="in-app", sent=True), render(channel="in-app", sent=True), state=waiting)
    assert types(events) == ["MessageRendered", "MessageSent"]
    assert done is not None
    assert done.awaiting is None


@pytest.mark.parametrize("command", [render(), render(lease_until=NOW + HOUR), Await(PLAN, "sms", "patient:p1", NOW)])
def test_a_fact_older_than_its_usefulness_is_recorded_as_lapsed(command: Command) -> None:
    state, events = run(command, now=PLAN.useful_until)
    assert types(events) == ["MessagePlanned", "MessageLapsed"]
    assert state is not None
    assert (state.status, state.reason, state.language) == ("lapsed", "too-late", "und")


def test_no_address_is_a_failure_with_its_reason() -> None:
    state, events = run(Settle(PLAN, "email", "failed", message.NO_ADDRESS))
    assert types(events) == ["MessagePlanned", "MessageFailed"]
    assert state is not None
    assert state.reason == "no-address"


def test_one_attempt_at_a_time() -> None:
    state, _ = run(render(), Claim(NOW, NOW + HOUR))
    assert run(Claim(NOW + HOUR, NOW + 2 * HOUR), state=state)[1] == []


def test_an_answer_to_an_older_attempt_changes_nothing() -> None:
    state, _ = run(render(lease_until=NOW + HOUR), Troubled(1, "gateway-429", NOW), Claim(NOW, NOW + HOUR))
    assert state is not None
    assert state.attempt == 2
    for late in (Accepted(1), Rejected(1, "x"), Troubled(1, "x", NOW), Unanswered(1, 1, NOW)):
        assert run(late, state=state)[1] == []


def test_trouble_past_its_usefulness_lapses() -> None:
    state, _ = run(render(lease_until=NOW + HOUR))
    late, events = run(Troubled(1, "gateway-away", NOW), state=state, now=PLAN.useful_until)
    assert types(events) == ["MessageLapsed", "RecipientNotReached"]
    assert late is not None
    assert late.reason == "too-late"


def test_questions_end_in_unknown_and_a_late_answer_settles_it() -> None:
    state, _ = run(render(lease_until=NOW + HOUR))
    for asks in range(1, message.ASKS_BEFORE_UNKNOWN + 1):
        state, events = run(Unanswered(1, asks, NOW + asks * SECOND), state=state)
        assert types(events) == ["AnswerAwaited"]
    state, events = run(Unanswered(1, message.ASKS_BEFORE_UNKNOWN + 1, NOW), state=state)
    assert types(events) == ["MessageOutcomeUnknown"]
    assert types(run(Claim(NOW + HOUR, NOW + 2 * HOUR), state=state)[1]) == []
    assert types(run(Accepted(1), state=state)[1]) == ["MessageSent"]


def test_where_nobody_can_be_asked_it_is_unknown_at_once() -> None:
    state, events = run(render(lease_until=NOW + HOUR), Unanswered(1, 1, None))
    assert types(events)[-1] == "MessageOutcomeUnknown"
    assert types(run(Resolve("sent"), state=state)[1]) == ["MessageSent"]
    assert types(run(Resolve("failed"), state=state)[1]) == ["MessageFailed"]


@pytest.mark.parametrize("state", [run(render())[0], run(render(lease_until=NOW))[0], run(render(sent=True))[0]])
def test_a_person_settles_only_what_is_in_doubt(state: Message) -> None:
    with pytest.raises(Refused) as refused:
        decide(state, Resolve("sent"), NOW)
    assert refused.value.code == "not-unknown"


def test_who_was_erased_is_sent_nothing_more() -> None:
    state, _ = run(render(lease_until=NOW + HOUR))
    assert state is not None
    erased = evolve(state, message.MessageErased(**state.facts))
    assert erased.text == ""
    gone, events = run(Troubled(1, "gateway-away", NOW), state=erased)
    assert types(events) == ["MessageLapsed"]
    assert gone is not None
    assert gone.reason == "recipient-erased"


def test_an_erased_journal_says_nothing() -> None:
    _, events = run(render(text="secret", subject="secret", lease_until=NOW + HOUR))
    for event in events:
        entry = {"type": event.TYPE, "data": event.model_dump(mode="json")}
        assert "secret" not in str(redact(MESSAGE, entry))


def test_what_leaves_the_journal_carries_no_text() -> None:
    for event in message.EVENTS:
        if event.TOPIC is not None:
            assert not {"text", "subject", "to", "phone", "email"} & set(PUBLIC[event.TYPE].model_fields)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_grows_and_is_bounded(attempt: int, chance: float) -> None:
    rest = back_off(attempt, chance).total_seconds()
    most = min(900.0, 2.0 ** min(attempt - 1, 20))
    assert 0.1 * most <= rest + 1e-6
    assert rest <= most


instants = st.integers(0, 60 * 60 * 48).map(lambda seconds: NOW + dt.timedelta(seconds=seconds))
attempts = st.integers(0, 4)
commands = st.one_of(
    st.builds(Await, st.just(PLAN), st.just("in-app"), st.sampled_from(["patient:p1", "facility:F"]), instants),
    st.builds(render, lease_until=st.none() | instants, sent=st.booleans(), hold_until=st.none() | instants),
    st.builds(Settle, st.just(PLAN), st.just("sms"), st.sampled_from(["lapsed", "failed"]), st.just("no-address")),
    st.builds(Claim, instants, instants),
    st.builds(Accepted, attempts),
    st.builds(Rejected, attempts, st.just("gateway-400")),
    st.builds(Troubled, attempts, st.just("gateway-500"), instants),
    st.builds(Unanswered, attempts, st.integers(1, 30), st.none() | instants),
    st.builds(Lapse, st.just("too-late")),
    st.builds(Resolve, st.sampled_from(["sent", "failed"])),
)


class Machine(RuleBasedStateMachine):
    """Whatever is asked in whatever order."""

    @initialize()
    def begin(self) -> None:
        self.state: Message | None = None
        self.journal: list[Event] = []

    def take(self, command: Command, now: dt.datetime) -> list[Event]:
        before = self.state
        try:
            decided = list(decide(self.state, command, now))
        except Refused:
            assert isinstance(command, Resolve)
            assert before is not None
            assert before.status != "outcome-unknown"
            return []
        for event in decided:
            self.state = evolve(self.state, event)
        self.journal += decided
        return decided

    @rule(command=commands, now=instants)
    def anything(self, command: Command, now: dt.datetime) -> None:
        before = self.state
        decided = self.take(command, now)
        if before is not None and before.status in SETTLED:
            assert not decided, "what is settled stays so"
        if any(isinstance(event, SendAttempted) for event in decided):
            assert before is None or before.status in ("waiting", "queued"), "one attempt at a time"
            assert now < PLAN.useful_until, "nothing is sent too late"

    @precondition(lambda self: self.state is not None and self.state.status == "queued")
    @rule()
    def the_timer_comes(self) -> None:
        assert self.state is not None
        held, machine = self.state.held_until, self.state.retry_at or NOW
        if held is not None:
            assert types(self.take(Claim(machine, machine + HOUR), held - SECOND)) == []
        decided = self.take(Claim(machine, machine + HOUR), held or NOW)
        too_late = held is not None and held >= PLAN.useful_until
        # A feed is read when somebody looks: that it ran out of time says nothing of who was reached.
        lapsed = ["MessageLapsed"] if self.state.channel in message.FEEDS else ["MessageLapsed", "RecipientNotReached"]
        assert types(decided) == (lapsed if too_late else ["SendAttempted"])

    @invariant()
    def state_is_the_fold_of_the_journal(self) -> None:
        entries = [{"type": event.TYPE, "data": event.model_dump(mode="json")} for event in self.journal]
        assert MESSAGE.fold(entries) == self.state

    @invariant()
    def stored_and_read_it_is_the_same(self) -> None:
        if self.state is not None:
            assert Message.model_validate(self.state.model_dump(mode="json")) == self.state

    @invariant()
    def nothing_lies_about_unseen(self) -> None:
        """Whatever is not settled has a moment at which somebody looks at it again, or waits for a person."""
        if self.state is not None and self.state.status not in SETTLED | {"outcome-unknown"}:
            assert (self.state.retry_at is None) == (self.state.held_until is not None)
            if self.state.held_until is not None:
                due = message.next_due(self.state)
                assert due is not None
                assert due <= self.state.held_until

    @invariant()
    def sent_at_most_once_and_never_without_an_attempt(self) -> None:
        sent = [event for event in self.journal if type(event).__name__ == "MessageSent"]
        assert len(sent) <= 1
        attempts = [event.attempt for event in self.journal if isinstance(event, SendAttempted)]
        assert attempts == list(range(1, len(attempts) + 1))


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestMachine = Machine.TestCase
