"""What comes after the sending: receipts, unknown outcomes by class, stopped templates, ladders, digests."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.event import Event
from libs.contracts.notifications import Channel, MessageFailed
from services.notifications.domain.campaign import CAMPAIGN_PAUSED
from services.notifications.domain.message import (
    ASKS_BEFORE_REPEATING,
    MAY_REPEAT,
    NOT_PASSED_ON,
    REDELIVERIES,
    TEMPLATE_STOPPED,
    TOO_LATE,
    Accepted,
    Await,
    Claim,
    Command,
    Digest,
    GiveUp,
    Hold,
    Lapse,
    Message,
    PassOn,
    Plan,
    Postpone,
    Receipt,
    Rejected,
    Release,
    Render,
    Resolve,
    Settle,
    Stopped,
    Troubled,
    Unanswered,
    decide,
    evolve,
    next_due,
)
from services.notifications.sending import reference_of
from services.notifications.standing import name_for
from services.notifications.store import MESSAGE, newer_of_case

NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
PLAN = Plan(
    event="e1",
    event_type="referral.PatientArrived.v1",
    occurred_at=NOW,
    recipient="patient:p1",
    template="referral-arrived",
    channels=("in-app", "whatsapp", "sms", "relay"),
    ladders=(("whatsapp", "sms", "relay"),),
    useful_until=NOW + 24 * HOUR,
)
SENDING = Render(PLAN, "sms", "hi", "आप", "", "ucs-2", 1, at=NOW, lease_until=NOW, slot="p1:2026-11-20:1")
CLAIM = Claim(NOW, NOW)
LOST = Unanswered(1, 1, None)


def run(*commands: Command, state: Message | None = None, now: dt.datetime = NOW) -> tuple[Message, list[str]]:
    told: list[str] = []
    for command in commands:
        for event in decide(state, command, now):
            state = evolve(state, event)
            told.append(type(event).__name__)
    assert state is not None
    return state, told


def delivered(**more: object) -> Receipt:
    return Receipt(True, at=NOW, **more)  # type: ignore[arg-type]


def undelivered(reason: str = "absent-sub", **more: object) -> Receipt:
    return Receipt(False, reason, at=NOW, **more)  # type: ignore[arg-type]


def test_a_receipt_is_noted_once() -> None:
    state, told = run(SENDING, Accepted(1), delivered(), delivered(), undelivered())
    assert told[-2:] == ["MessageSent", "MessageDelivered"]
    assert (state.status, state.delivery) == ("sent", "delivered")


@pytest.mark.parametrize("before", [(), (LOST,), (Unanswered(1, 1, NOW + HOUR),)])
def test_a_receipt_settles_what_nobody_knew_and_nothing_is_sent_again(before: tuple[Command, ...]) -> None:
    state, told = run(SENDING, *before, delivered(), CLAIM)
    assert told[-2:] == ["MessageSent", "MessageDelivered"]
    assert told.count("SendAttempted") == 1
    assert state.status == "sent"


def test_not_there_for_now_is_tried_again_under_a_reference_of_its_own_and_not_for_ever() -> None:
    state, _ = run(SENDING, Accepted(1))
    references = {reference_of("m", state)}
    for attempt in range(2, REDELIVERIES + 2):
        state, told = run(undelivered(retry_at=NOW), CLAIM, Accepted(attempt), state=state)
        assert told == ["MessageUndelivered", "RetryScheduled", "SendAttempted", "MessageSent"]
        references.add(reference_of("m", state))
    assert len(references) == REDELIVERIES + 1
    state, told = run(undelivered(retry_at=NOW), state=state)
    assert told[:2] == ["MessageUndelivered", "MessageFailed"]
    assert state.status == "failed"


def test_past_its_usefulness_it_is_not_tried_again() -> None:
    state, _ = run(SENDING, Accepted(1))
    state, told = run(undelivered(retry_at=NOW), state=state, now=NOW + 25 * HOUR)
    assert told[0:2] == ["MessageUndelivered", "MessageFailed"]


def test_a_routine_message_is_never_repeated_and_an_emergency_once() -> None:
    assert run(SENDING, LOST)[0].status == "outcome-unknown"
    again = Unanswered(1, 1, None, repeat_at=NOW)
    state, told = run(SENDING, again)
    assert (state.status, state.reason, told[-1]) == ("queued", MAY_REPEAT, "RetryScheduled")
    assert reference_of("m", state) == "m.1"
    state, told = run(Claim(NOW, NOW, "p1:2026-11-20:2"), Unanswered(2, 1, None, repeat_at=NOW), state=state)
    assert (state.status, told[-1]) == ("outcome-unknown", "MessageOutcomeUnknown")
    # Both took a place of the person's day.
    assert sorted(MESSAGE.claims(state)) == ["sms-of-day:p1:2026-11-20:1", "sms-of-day:p1:2026-11-20:2"]


def test_while_somebody_can_be_asked_an_emergency_asks_first() -> None:
    state, _ = run(SENDING)
    for asks in range(1, ASKS_BEFORE_REPEATING + 1):
        state, told = run(Unanswered(1, asks, NOW + HOUR, repeat_at=NOW), state=state)
        assert told == ["AnswerAwaited"]
    _, told = run(Unanswered(1, ASKS_BEFORE_REPEATING + 1, NOW + HOUR, repeat_at=NOW), state=state)
    assert told == ["RetryScheduled"]


def test_without_a_place_left_an_emergency_stays_unknown() -> None:
    state, told = run(SENDING, Unanswered(1, 1, None, repeat_at=NOW), GiveUp())
    assert (state.status, told[-1]) == ("outcome-unknown", "MessageOutcomeUnknown")


def test_a_refused_template_holds_the_message_until_it_is_released() -> None:
    state, told = run(SENDING, Stopped(1, "dlt-640"), CLAIM)
    assert told[-1] == "MessageHeld"
    assert (state.status, state.reason, state.held_until) == ("queued", TEMPLATE_STOPPED, PLAN.useful_until)
    state, told = run(Release(TEMPLATE_STOPPED, NOW), CLAIM, Accepted(2), state=state)
    assert told == ["RetryScheduled", "SendAttempted", "MessageSent"]
    assert run(Release(TEMPLATE_STOPPED, NOW), state=state)[1] == []


def test_what_a_pause_holds_is_written_once_and_waits_for_its_release() -> None:
    queued = dataclasses.replace(SENDING, lease_until=None)
    state, told = run(queued, Hold(CAMPAIGN_PAUSED), CLAIM, Release(TEMPLATE_STOPPED, NOW))
    assert told[-1] == "MessageHeld"
    assert (state.held_until, state.retry_at) == (PLAN.useful_until, None)
    assert run(Release(CAMPAIGN_PAUSED, NOW), CLAIM, state=state)[1] == ["RetryScheduled", "SendAttempted"]
    assert run(Hold(CAMPAIGN_PAUSED), state=run(SENDING)[0])[1] == [], "what is at a provider is not called back"


def test_what_was_refused_too_late_to_be_of_use_lapses() -> None:
    state, _ = run(SENDING)
    assert run(Stopped(1, "dlt-640"), state=state, now=NOW + 25 * HOUR)[1] == ["MessageLapsed", "PassingOn"]


def test_a_failure_is_passed_on_to_the_next_channel_of_its_ladder_once() -> None:
    state, told = run(SENDING, Rejected(1, "barred", NOW))
    assert told[-2:] == ["MessageFailed", "PassingOn"]
    assert (state.status, state.passing_on, state.retry_at) == ("failed", True, NOW)
    assert state.after("sms") == ("relay",)
    state, told = run(PassOn("relay"), PassOn("relay"), state=state)
    assert told == ["PassedOn"]
    assert (state.status, state.retry_at) == ("failed", None)


@pytest.mark.parametrize(("reached", "told"), [(True, ["PassedOn"]), (False, ["PassedOn", "RecipientNotReached"])])
def test_after_the_last_of_a_ladder_the_others_say_whether_anybody_was_reached(reached: bool, told: list[str]) -> None:
    last = Render(PLAN, "relay", "hi", "आप", "", "ucs-2", 1, at=NOW, lease_until=NOW, via="person:a1")
    failed, before = run(last, Rejected(1, "x", NOW))
    assert before[-2:] == ["MessageFailed", "PassingOn"]
    asked = PassOn("", reached)
    assert run(asked, asked, state=failed)[1] == told
    assert PLAN.after("in-app") == PLAN.after("relay") == ()


@pytest.mark.parametrize(
    ("channels", "last"), [(("in-app", "sms"), True), (("in-app", "sms", "relay"), False), (("sms", "email"), False)]
)
def test_a_failure_says_whether_another_channel_may_still_tell_it(channels: tuple[Channel, ...], last: bool) -> None:
    plan = PLAN.model_copy(update={"channels": channels, "ladders": ()})
    state, _ = run(Render(plan, "sms", "hi", "आप", "", "ucs-2", 1, at=NOW, lease_until=NOW))
    for ended, command in (
        (state, Rejected(1, "barred", NOW)),
        (run(Accepted(1), state=state)[0], undelivered()),
        (run(LOST, state=state)[0], Resolve("failed")),
        (None, Settle(plan, "sms", "failed", "number-marked")),
    ):
        [failed] = [event for event in decide(ended, command, NOW) if isinstance(event, MessageFailed)]
        assert failed.last is last


@pytest.mark.parametrize(("reached", "told"), [(True, ["PassedOn"]), (False, ["PassedOn", "RecipientNotReached"])])
def test_of_what_lapsed_on_its_way_it_is_asked_whether_anybody_was_reached(reached: bool, told: list[str]) -> None:
    held = Render(PLAN, "sms", "hi", "आप", "", "ucs-2", 1, at=NOW, hold_until=NOW + HOUR)
    for on_its_way in (run(SENDING, Troubled(1, "gateway-away", NOW))[0], run(held)[0]):
        lapsed, before = run(Lapse(TOO_LATE), state=on_its_way, now=PLAN.useful_until)
        assert before == ["MessageLapsed", "PassingOn"]
        assert MESSAGE.operational(lapsed)[0]["retry_at"] < dt.datetime.now(dt.UTC), "whatever day is played"
        assert run(PassOn("", reached), PassOn("", reached), state=lapsed)[1] == told
        assert run(Lapse("opted-out"), state=on_its_way)[1] == ["MessageLapsed"], "as they wanted"
    only = PLAN.model_copy(update={"channels": ("in-app", "sms"), "ladders": ()})
    alone, _ = run(Render(only, "sms", "hi", "आप", "", "ucs-2", 1, at=NOW))
    assert run(Lapse(TOO_LATE), state=alone)[1] == ["MessageLapsed", "RecipientNotReached"]


def test_what_was_never_on_its_way_or_may_have_arrived_is_nobodys_failure() -> None:
    never = Await(PLAN, "in-app", "patient:p1", NOW)
    assert run(never, Lapse(TOO_LATE))[1] == ["CardAwaited", "MessageLapsed"]
    doubtful, _ = run(SENDING, Unanswered(1, 1, None, repeat_at=NOW))
    assert run(Lapse(TOO_LATE), state=doubtful)[1] == ["MessageLapsed"]
    stale = run(Render(PLAN, "sms", "hi", "आप", "", "ucs-2", 1, at=NOW), now=NOW + 25 * HOUR)
    assert stale[1] == ["MessagePlanned", "MessageLapsed"]


def test_what_is_relayed_waits_for_the_receipt_of_who_tells_it() -> None:
    relayed = Render(PLAN, "relay", "hi", "आप", "", "ucs-2", 1, at=NOW, lease_until=NOW, via="person:a1")
    state, _ = run(relayed, Accepted(1))
    assert (state.status, state.awaiting) == ("sent", "relay:person:a1")
    assert run(delivered(), state=state)[0].awaiting is None
    assert run(undelivered("moved-away"), state=state)[0].status == "failed"


def test_what_nobody_passed_on_in_time_is_a_failure_and_a_word_that_comes_late_still_counts() -> None:
    relayed = Render(PLAN, "relay", "hi", "आप", "", "ucs-2", 1, at=NOW, lease_until=NOW, via="person:a1")
    state, _ = run(relayed, Accepted(1))
    assert next_due(state) == PLAN.useful_until
    over, told = run(undelivered(NOT_PASSED_ON), state=state, now=PLAN.useful_until)
    assert (told, over.reason) == (["MessageUndelivered", "MessageFailed", "PassingOn"], "not-passed-on")
    assert next_due(over) is None
    late, told = run(delivered(), state=over)
    assert (told, late.status, next_due(late)) == (["MessageSent", "MessageDelivered"], "sent", None)
    assert next_due(run(delivered(), state=state)[0]) is None


def test_a_digest_takes_what_is_held_and_nothing_else() -> None:
    held = Render(PLAN, "email", "en", "x", "s", "gsm-7", 1, at=NOW, hold_until=NOW + HOUR, hold_reason="digest")
    state, told = run(held, Digest("d1"), CLAIM)
    assert told[-1] == "MessageDigested"
    assert state.status == "digested"
    sent, _ = run(SENDING, Accepted(1))
    assert run(Digest("d1"), state=sent)[1] == []


def test_what_waits_for_a_card_again_is_postponed_and_not_held() -> None:
    held = Render(PLAN, "sms", "hi", "आप", "", "ucs-2", 1, at=NOW, hold_until=NOW + HOUR)
    state, told = run(held, Postpone("card-awaited", NOW + HOUR))
    assert (told[-1], state.held_until, state.retry_at) == ("RetryScheduled", None, NOW + HOUR)


COMMANDS: st.SearchStrategy[Command] = st.sampled_from(
    [
        CLAIM,
        *(Accepted(attempt) for attempt in (1, 2)),
        *(Rejected(attempt, "x", NOW) for attempt in (1, 2)),
        *(Unanswered(attempt, 1, None) for attempt in (1, 2)),
        Stopped(1, "dlt-640"),
        Release(TEMPLATE_STOPPED, NOW),
        Hold(CAMPAIGN_PAUSED),
        Release(CAMPAIGN_PAUSED, NOW),
        delivered(),
        undelivered(),
        undelivered(retry_at=NOW),
        PassOn("sms"),
        Digest("d1"),
    ]
)


@settings(max_examples=300)
@given(st.lists(COMMANDS, max_size=12))
def test_whatever_comes_in_whatever_order_a_routine_message_is_sent_once_unless_told_that_it_was_not(
    commands: list[Command],
) -> None:
    """A second attempt needs a reason that says that the first did not arrive; what was delivered stays so."""
    state: Message | None = None
    since_last: list[Event] | None = None
    was_delivered = False
    for command in [SENDING, *commands]:
        for event in decide(state, command, NOW):
            name = type(event).__name__
            if name == "SendAttempted":
                assert not was_delivered
                if since_last is not None:
                    names = {type(one).__name__ for one in since_last}
                    assert names & {"RetryScheduled", "MessageHeld"}, names
                    # A refused template (held) is the provider's late word that nothing was sent, as a receipt is.
                    assert "MessageOutcomeUnknown" not in names or names & {"MessageUndelivered", "MessageHeld"}
                since_last = []
            elif since_last is not None:
                since_last.append(event)
            was_delivered = was_delivered or name == "MessageDelivered"
            state = evolve(state, event)
    assert state is not None
    if was_delivered:
        assert (state.status, state.delivery) == ("sent", "delivered")


def test_a_template_that_one_channel_refuses_is_not_stopped_for_another() -> None:
    assert name_for("sms", "report-ready") == "report-ready"
    assert name_for("whatsapp", "report-ready") == "whatsapp-report-ready"
    state, _ = run(Render(PLAN, "whatsapp", "hi", "आप", "", "ucs-2", 1, at=NOW, lease_until=NOW))
    state, told = run(Rejected(1, "whatsapp-132001", NOW), state=state)
    assert (told, state.after("whatsapp")) == (["MessageFailed", "PassingOn"], ("sms", "relay"))


def test_a_late_word_that_the_template_was_refused_settles_an_unknown_outcome() -> None:
    lost, _ = run(SENDING, Unanswered(1, 1, None))
    assert lost.status == "outcome-unknown"
    state, told = run(Stopped(1, "dlt-640"), Release(TEMPLATE_STOPPED, NOW), CLAIM, state=lost)
    assert told == ["MessageHeld", "RetryScheduled", "SendAttempted"]
    assert (state.status, state.attempt) == ("sending", 2)


class Told:
    """A collection that holds these states."""

    def __init__(self, *states: dict[str, str | None]) -> None:
        self._states = states

    def __getitem__(self, name: str) -> Told:
        return self

    async def find(self, *query: object) -> AsyncIterator[dict[str, dict[str, str | None]]]:
        for state in self._states:
            yield {"state": state}


@pytest.mark.parametrize(
    ("status", "reason", "overtaken"),
    [
        ("sent", None, True),
        ("queued", None, True),
        ("outcome-unknown", "answer-lost", True),
        ("lapsed", "superseded", True),
        ("lapsed", "too-late", False),
        ("failed", "template-mismatch", False),
    ],
)
async def test_news_that_came_to_nothing_overtakes_nothing(status: str, reason: str | None, overtaken: bool) -> None:
    state, _ = run(SENDING)
    newer = {"status": status, "reason": reason, "channel": "sms", "occurred_at": "2026-11-20T05:00:01.000Z"}
    assert await newer_of_case(Told(newer), state) is overtaken  # type: ignore[arg-type]
    older = newer | {"occurred_at": "2026-11-20T04:59:59.000Z"}
    by_mail = newer | {"channel": "email"}
    assert not await newer_of_case(Told(older, by_mail), state)  # type: ignore[arg-type]
