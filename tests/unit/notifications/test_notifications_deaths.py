"""Of a death nobody hears from a phone: what says so, what it means, and what takes it back."""

from __future__ import annotations

import asyncio
import datetime as dt
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from libs.common.cause import Cause
from libs.common.journal import NotFound
from libs.contracts import referral
from libs.contracts.event import Event
from libs.contracts.notifications import Channel, MessageLapsed
from services.notifications import catalogue, deaths, usecases
from services.notifications.domain import message
from services.notifications.domain.audience import Audience
from services.notifications.domain.message import Accepted, Lapse, Message, Plan, Render, decide, evolve
from services.notifications.domain.person import Person
from services.notifications.domain.preference import NoteDeath, Preferences, WithdrawDeath, joined
from services.notifications.domain.preference import decide as prefer
from services.notifications.domain.preference import evolve as preferred
from services.notifications.settings import Settings
from services.notifications.store import MESSAGE, Known, Recipients

ROUTING, _ = catalogue.read(
    Settings.model_fields["routing_file"].default, Settings.model_fields["templates_dir"].default
)
NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)
OF: dict[str, Any] = {"patient": "p1", "origin": "A-B", "destination": "C-D", "service": "x", "urgency": "urgent"}


@pytest.mark.parametrize(
    ("event", "dead"),
    [
        (referral.PatientDeceased(**OF, place="home"), True),
        (referral.OutcomeRecorded(**OF, outcome="died"), True),
        (referral.OutcomeRecorded(**OF, outcome="admitted"), False),
        (referral.ReferralCancelled(**OF, reason="patient-died"), True),
        (referral.ReferralCancelled(**OF, reason="other"), False),
        (referral.PatientBackReferred(**OF, deceased=True), True),
        (referral.PatientBackReferred(**OF), False),
        (referral.ReferralClosed(**OF, deceased=True), True),
        (referral.PatientArrived(**OF), False),
    ],
)
def test_what_says_that_somebody_died(event: Event, dead: bool) -> None:
    assert ROUTING.says_death(event) is dead
    told = {target.recipient for target in ROUTING.targets(event, NOW)}
    assert not dead or not any(who.startswith(("patient:", "family:", "asha:")) for who in told)


def test_another_outcome_after_all_takes_a_death_back_and_that_of_a_death_does_not() -> None:
    assert referral.OutcomeRecorded.TYPE in ROUTING.deaths_withdrawn
    assert ROUTING.says_death(referral.OutcomeRecorded(**OF, outcome="died")), "which is asked first"


@pytest.mark.parametrize(
    "event", [referral.ReferralVoided(**OF, reason="duplicate"), referral.OutcomeRecorded(**OF, outcome="admitted")]
)
def test_of_whom_nothing_was_ever_said_nothing_is_taken_back(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is no dead letter behind which what else is told of the referral would wait."""
    asked = []

    async def state_preference(post: Any, recipient: str, command: Any, *_: Any) -> None:
        asked.append(command)
        raise NotFound

    monkeypatch.setattr(usecases, "state_preference", state_preference)
    received: Any = SimpleNamespace(event=event, key="r1", type=event.TYPE, cause=lambda: Cause("c", "referral", NOW))
    post: Any = SimpleNamespace(routing=ROUTING)
    asyncio.run(deaths.heard(post, received))
    assert asked == [WithdrawDeath("patient:p1", "r1")]


def stated(*commands: NoteDeath | WithdrawDeath) -> Preferences | None:
    state: Preferences | None = None
    for command in commands:
        for event in prefer(state, command):
            state = preferred(state, event)
    return state


def test_a_death_stands_until_every_case_that_said_it_is_withdrawn() -> None:
    one, other = NoteDeath("patient:p1", "r1"), NoteDeath("patient:p1", "r2")
    state = stated(one, other, one)
    assert state is not None
    assert state.deaths == ("r1", "r2")
    assert Known(("en",), preferences=state).deceased
    state = stated(one, other, WithdrawDeath("patient:p1", "r1"))
    assert state is not None
    assert Known(("en",), preferences=state).deceased
    state = stated(one, WithdrawDeath("patient:p1", "r1"))
    assert state is not None
    assert not Known(("en",), preferences=state).deceased
    assert stated(WithdrawDeath("patient:p1", "r1")) is None


def test_it_holds_for_every_record_of_the_person() -> None:
    together = joined([Preferences(recipient="patient:p1"), Preferences(recipient="patient:p2", deaths=("r1",))])
    assert together is not None
    assert together.deaths == ("r1",)


def at(*commands: message.Command) -> Message:
    state: Message | None = None
    for command in commands:
        for event in decide(state, command, NOW):
            state = evolve(state, event)
    assert state is not None
    return state


def test_what_an_asha_was_to_say_is_withdrawn_from_their_list_and_fails_nobody() -> None:
    plan = Plan(
        event="e1",
        event_type="referral.PatientNoShow.v1",
        occurred_at=NOW,
        recipient="patient:p1",
        template="referral-no-show",
        channels=("in-app", "relay"),
        useful_until=NOW + dt.timedelta(days=1),
    )
    relayed = Render(
        plan,
        "relay",
        language="en",
        text="…",
        subject="",
        encoding="gsm-7",
        segments=1,
        at=NOW,
        lease_until=NOW + dt.timedelta(minutes=1),
        via="person:a1",
    )
    state = at(relayed, Accepted(1))
    assert (state.waits_for_relay, state.awaiting) == (True, "relay:person:a1")
    [event] = decide(state, Lapse("recipient-deceased"), NOW)
    assert isinstance(event, MessageLapsed), "a failure would open a case"
    state = evolve(state, event)
    assert (state.status, state.awaiting, MESSAGE.operational(state)[0].get("due")) == ("lapsed", None, None)
    assert decide(state, Lapse("recipient-deceased"), NOW) == ()


TO_FAMILY = Plan(
    event="e1",
    event_type="referral.TransportHeld.v1",
    occurred_at=NOW,
    recipient="person:f1",
    patient="p1",
    template="family-referral-held",
    channels=("in-app", "sms"),
    useful_until=NOW + dt.timedelta(days=1),
)


async def nobody(*_: str) -> None:
    return None


@pytest.mark.parametrize(("deaths", "gone"), [((), None), (("r1",), "patient-deceased")])
async def test_whoever_is_told_because_of_a_patient_is_asked_about_again_before_each_attempt(
    deaths: tuple[str, ...], gone: str | None
) -> None:
    """What was at a provider when the patient died, and did not get through, is not tried again."""

    async def stated(recipient: str) -> Preferences | None:
        return Preferences(recipient=recipient, deaths=deaths) if recipient == "patient:p1" else None

    people, cards = AsyncMock(), Mock()
    people.get.return_value = Person(kind="family", phone="+915550100001")
    channels: frozenset[Channel] = frozenset({"in-app", "sms"})
    recipients = Recipients(cards, cards, cards, stated, people, nobody, nobody, lambda: NOW, channels)
    known = await recipients.look(TO_FAMILY)
    assert isinstance(known, Known)
    assert known.gone == gone
    assert known.usable("sms"), "nobody failed to be reached"
    of_their_own = await recipients.look(TO_FAMILY.model_copy(update={"patient": ""}))
    assert isinstance(of_their_own, Known)
    assert of_their_own.gone is None


@pytest.mark.parametrize(("group", "patient"), [("family:p1", "p1"), ("asha:p1", "p1"), ("duty:doctor@A-B", "")])
async def test_a_message_to_family_or_asha_knows_whom_it_is_about(
    monkeypatch: pytest.MonkeyPatch, group: str, patient: str
) -> None:
    post, create = Mock(journal=AsyncMock(), recipients=AsyncMock()), AsyncMock()
    post.journal.read.return_value = Audience(event="e1", group=group, members=("person:f1",))
    post.recipients.look.return_value = Known(("en",), gone="recipient-erased")
    monkeypatch.setattr(usecases, "create", create)
    plan = TO_FAMILY.model_copy(update={"recipient": group, "patient": ""})
    await usecases.tell(post, plan, Cause("e1", "referral", NOW))
    told = create.await_args_list[0].args[1]
    assert (told.recipient, told.patient) == ("person:f1", patient)
