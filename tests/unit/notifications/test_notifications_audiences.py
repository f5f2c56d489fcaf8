"""Who is told: groups, duty rosters, ladders of channels, languages by order and by budget, campaigns' places."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.aggregate import AggregateType
from libs.common.clock import machine_now
from libs.common.refusal import Refused
from libs.contracts import referral
from services.notifications import campaigns, catalogue, store, usecases
from services.notifications.domain import campaign, preference, roster
from services.notifications.domain.message import Hold, Message, Plan, Release
from services.notifications.domain.routing import Routing, Tell
from services.notifications.domain.segments import EXTENSION, count, units_of
from services.notifications.domain.timing import IST, next_at
from services.notifications.people_routes import ShiftBody, ShiftCancelBody
from services.notifications.saying import usable
from services.notifications.settings import Settings
from services.notifications.store import Known, _reach
from services.notifications.usecases import plans

FIELDS = Settings.model_fields
ROUTING, WORDING = catalogue.read(FIELDS["routing_file"].default, FIELDS["templates_dir"].default)
NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
HERE, THERE = "LA-KGL-CHC-SANKOO", "LA-KGL-DH-KARGIL"


def told(kind: type[referral.ReferralEvent], urgency: str = "routine", **more: Any) -> list[Plan]:
    event = kind(patient="p1", origin=HERE, destination=THERE, service="surgery", urgency=urgency, **more)
    return plans(ROUTING, "e1", event, NOW)


def test_groups_are_named_and_looked_up_later() -> None:
    assert {plan.recipient for plan in told(referral.ReferralDeclined, reason="no-bed")} == {
        "patient:p1",
        f"duty:doctor@{HERE}",
    }
    assert "family:p1" in {plan.recipient for plan in told(referral.TransportHeld, reason="road")}
    assert "asha:p1" in {plan.recipient for plan in told(referral.PatientNoShow)}


def test_an_emergency_is_one_where_its_override_holds() -> None:
    assert {plan.urgency for plan in told(referral.TransportHeld, "emergency", reason="road")} == {"emergency"}
    assert {plan.urgency for plan in told(referral.TransportHeld, "urgent", reason="road")} == {"routine"}
    assert ROUTING.unknown_outcome == {"routine": "never-repeat", "emergency": "may-repeat"}


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({"audience": "role", "role": "nodal-officer", "at": "destination"}, True),
        ({"audience": "role", "role": "nodal-officer"}, False),
        ({"audience": "family", "role": "doctor", "at": "origin"}, False),
        ({"channels": ["in-app", ["whatsapp", "sms"]]}, True),
        ({"channels": ["in-app", ["whatsapp", "sms"], "sms"]}, False),
        ({"channels": [["sms", "in-app"]]}, False),
        ({"audience": "receiving-desk", "channels": ["email"]}, True),
        ({"audience": "officer", "channels": ["sms"]}, False),
        ({"channels": ["in-app", ["sms", "relay"]]}, True),
        ({"channels": ["in-app", ["sms", "relay"]], "audience": "reporter", "purpose": "complaint"}, False),
    ],
)
def test_what_an_audience_may_be(changed: dict[str, Any], good: bool) -> None:
    tell = {"audience": "patient", "channels": ["in-app"], "template": "registered", "useful_hours": 1} | changed
    if good:
        Tell.model_validate(tell)
    else:
        with pytest.raises(ValueError, match="validation error"):
            Tell.model_validate(tell)


def test_a_role_of_an_event_without_that_facility_is_a_fault() -> None:
    tell = {"audience": "role", "role": "doctor", "at": "hospital", "channels": ["in-app"], "template": "digest"}
    tell |= {"useful_hours": 1}
    routing = Routing.model_validate({"events": {"referral.PatientArrived.v1": [tell]}})
    faults = {str(fault): fault.place for fault in routing.faults(catalogue.heard_events(), WORDING)}
    assert faults["referral.PatientArrived.v1: no field hospital"][-1] == "at"


PLAN = Plan(
    event="e1",
    event_type="x",
    occurred_at=NOW,
    recipient="patient:p1",
    template="report-ready",
    channels=("in-app", "whatsapp", "sms", "relay"),
    ladders=(("whatsapp", "sms", "relay"),),
    useful_until=NOW + HOUR,
)
ALL = {"in-app": "p1", "whatsapp": "+91", "sms": "+91", "relay": "person:a"}


@pytest.mark.parametrize(
    ("addresses", "refused", "marked", "used"),
    [
        (("in-app", "whatsapp", "sms", "relay"), (), (), ("in-app", "whatsapp")),
        (("in-app", "sms", "relay"), (), (), ("in-app", "sms")),
        (("in-app", "relay"), (), (), ("in-app", "relay")),
        (("in-app", "sms", "relay"), (), ("sms",), ("in-app", "relay")),
        (("in-app", "whatsapp", "sms"), ("whatsapp",), (), ("in-app", "sms")),
        (("in-app", "sms"), ("sms",), (), ("in-app", "sms")),  # so that the refusal is written down
        (("in-app",), (), (), ("in-app",)),
    ],
)
def test_of_a_ladder_the_first_that_works_is_used(
    addresses: tuple[str, ...], refused: tuple[str, ...], marked: tuple[str, ...], used: tuple[str, ...]
) -> None:
    known = Known(
        ("en",),
        {channel: ALL[channel] for channel in addresses},  # type: ignore[misc]
        refused=frozenset(refused),  # type: ignore[arg-type]
        marked=dict.fromkeys(marked, "barred"),  # type: ignore[arg-type]
    )
    assert usable(PLAN, known) == used


FACILITY = {"facility": "District Hospital Kargil", "number": "12", "counter": "OPD1"}


@pytest.mark.parametrize(
    ("order", "budget", "language", "because"),
    [
        (("bo", "en"), 4, "bo", ()),
        (("bo", "en"), 1, "en", ("segment-budget",)),
        (("bo", "hi"), 1, "bo", ("over-segment-budget",)),
        (("bo",), 1, "bo", ("over-segment-budget",)),
        (("ta", "ur"), 4, "ur", ("language-stand-in",)),
        (("doi",), 4, "doi", ()),
        ((), 4, "en", ()),
    ],
)
def test_languages_by_order_and_by_budget(
    order: tuple[str, ...], budget: int, language: str, because: tuple[str, ...]
) -> None:
    said, reasons = WORDING.say("token-issued", order, FACILITY, limit=30, budget=budget)
    assert (said.language, reasons) == (language, because)


def test_languages_and_digests_are_stated() -> None:
    stated = preference.Languages("patient:p1", ("ks", "ur"), NOW)
    state = preference.evolve(None, preference.decide(None, stated)[0])
    wanted = preference.Together("patient:p1", "email", dt.time(8), NOW)
    state = preference.evolve(state, preference.decide(state, wanted)[0])
    allowed = preference.State("patient:p1", "whatsapp", "care", True, NOW)
    state = preference.evolve(state, preference.decide(state, allowed)[0])
    assert (state.languages, state.digest_of("email"), state.digest_of("sms")) == (("ks", "ur"), dt.time(8), None)
    assert (state.agreed("care"), state.agreed("complaint")) == (frozenset({"whatsapp"}), frozenset())
    none = preference.Together("patient:p1", "email", None, NOW)
    assert preference.evolve(state, preference.decide(state, none)[0]).digest_of("email") is None


@given(st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 1, 1)), st.times())
def test_the_next_time_of_day_is_within_a_day(now: dt.datetime, time: dt.time) -> None:
    moment = now.replace(tzinfo=dt.UTC)
    following = next_at(time, moment)
    assert moment < following <= moment + dt.timedelta(days=1)
    assert following.astimezone(IST).time() == time


@pytest.mark.parametrize("begins", ["9999-12-31T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_shift_at_the_end_of_the_calendar_is_refused(begins: str) -> None:
    """A week cannot be added there, nor can it be said in UTC."""
    with pytest.raises(ValueError, match="validation error"):
        ShiftBody(person="a1", begins=begins, ends=begins)
    with pytest.raises(ValueError, match="validation error"):
        ShiftCancelBody(person="a1", begins=begins)


def test_who_is_on_duty() -> None:
    state: roster.Roster | None = None
    for person, begins, hours in (("a", NOW, 8), ("b", NOW + 8 * HOUR, 8), ("c", NOW + 7 * HOUR, 2)):
        for event in roster.decide(state, roster.PlanShift(HERE, person, begins, begins + hours * HOUR)):
            state = roster.evolve(state, event)
    assert state is not None
    assert state.on_duty(NOW - HOUR) == ()
    assert state.on_duty(NOW) == ("a",)
    assert state.on_duty(NOW + 7 * HOUR) == ("a", "c")
    assert state.on_duty(NOW + 8 * HOUR) == ("c", "b")
    (cancelled,) = roster.decide(state, roster.CancelShift("c", NOW + 7 * HOUR))
    assert roster.evolve(state, cancelled).on_duty(NOW + 8 * HOUR) == ("b",)
    for wrong in (
        roster.PlanShift(HERE, "a", NOW, NOW + HOUR),
        roster.PlanShift(HERE, "d", NOW, NOW),
        roster.PlanShift(HERE, "d", NOW, NOW + 169 * HOUR),
        roster.CancelShift("d", NOW),
    ):
        with pytest.raises(Refused):
            roster.decide(state, wrong)


@pytest.mark.parametrize(
    ("at", "reached"),
    [
        ("2026-11-20T19:00", "night@hospital.example"),  # Friday evening, Indian time
        ("2026-11-21T05:59", "night@hospital.example"),  # and the Saturday morning it runs into
        ("2026-11-21T06:00", None),
        ("2026-11-21T19:00", None),  # on Saturdays there is nobody
        ("2026-11-20T12:00", None),  # a switchboard takes no mail
    ],
)
def test_a_facilitys_own_duty_list_has_its_mailbox(at: str, reached: str | None) -> None:
    night = {"role": "doctor", "days": ["fri"], "starts": "18:00", "ends": "06:00", "reach": "night@hospital.example"}
    day = {"role": "doctor", "days": ["fri"], "starts": "09:00", "ends": "17:00", "reach": "01985 232013"}
    now = dt.datetime.fromisoformat(at).replace(tzinfo=IST)
    assert _reach({"duty": [night, day]}, "doctor", now) == reached
    assert _reach({"duty": [night, day]}, "nurse", now) is None


CARD = {
    "registered_at": HERE,
    "district_lgd": 6,
    "village": "Barsoo",
    "sex": "female",
    "birth_date": "1960-11-21",
    "status": "active",
}


@pytest.mark.parametrize(
    ("audience", "fits"),
    [
        ({"district_lgd": 6}, True),
        ({"district_lgd": 9}, False),
        ({"village": "Barsoo", "sex": "female"}, True),
        ({"village": "Barsoo", "sex": "male"}, False),
        ({"district_lgd": 6, "age_from": 66}, False),  # tomorrow
        ({"district_lgd": 6, "age_from": 65, "age_to": 65}, True),
        ({"facility": HERE, "who": "ashas"}, False),
    ],
)
def test_whom_a_campaign_is_for(audience: dict[str, Any], fits: bool) -> None:
    today = dt.date(2026, 11, 20)
    assert campaign.Audience.model_validate(audience).fits(CARD, today) is fits
    assert not campaign.Audience.model_validate(audience).fits(CARD | {"status": "entered-in-error"}, today)


HERDER = CARD | {
    "state_lgd": 37,
    "second_place": {"months": [11, 12, 1], "village": "Kharnak", "district_lgd": 9, "state_lgd": 37},
}


@pytest.mark.parametrize(
    ("audience", "in_winter", "in_summer"),
    [
        ({"district_lgd": 6}, False, True),
        ({"district_lgd": 9}, True, False),
        ({"village": "Kharnak", "district_lgd": 9}, True, False),
        ({"village": "Barsoo"}, False, True),
        ({"state_lgd": 37}, True, True),
        ({"facility": HERE}, True, True),
    ],
)
def test_who_moves_with_the_seasons_is_told_where_they_are(
    audience: dict[str, Any], in_winter: bool, in_summer: bool
) -> None:
    wanted = campaign.Audience.model_validate(audience)
    assert wanted.fits(HERDER, dt.date(2026, 11, 20)) is in_winter
    assert wanted.fits(HERDER, dt.date(2026, 7, 20)) is in_summer


def test_a_second_place_without_a_code_lies_in_the_home_s_district() -> None:
    near = CARD | {"second_place": {"months": [7], "village": "The upper pasture", "district_lgd": None}}
    assert campaign.Audience(district_lgd=6).fits(near, dt.date(2026, 7, 1))
    assert campaign.Audience(village="The upper pasture").fits(near, dt.date(2026, 7, 1))
    assert not campaign.Audience(village="Barsoo").fits(near, dt.date(2026, 7, 1))


def test_ages_the_wrong_way_round_fit_nobody_and_are_refused() -> None:
    with pytest.raises(ValueError, match="nobody would fit"):
        campaign.Audience(district_lgd=6, age_from=60, age_to=20)
    assert campaign.Audience(district_lgd=6, age_from=60, age_to=60).age_to == 60


def test_of_two_records_of_one_person_a_campaign_reaches_the_one_that_lives_on() -> None:
    assert not campaign.Audience(district_lgd=6).fits(CARD | {"merged_into": "another"}, dt.date(2026, 11, 20))


def test_what_one_person_said_under_two_records_is_heeded_the_newest_first() -> None:
    def said(recipient: str, allowed: bool, hour: int) -> preference.Preferences:
        at = NOW + hour * HOUR
        choice = preference.Choice(channel="sms", scope="all", allowed=allowed, stated_at=at)
        return preference.Preferences(recipient=recipient, choices=(choice,))

    lives_on, other = said("patient:b", True, 1), said("patient:a", False, 2)
    joined = preference.joined([lives_on, other])
    assert joined is not None
    assert joined.refused("care") == {"sms"}
    assert joined.recipient == "patient:b"
    swapped = preference.joined([said("patient:b", True, 3), other])
    assert swapped is not None
    assert swapped.refused("care") == frozenset()


def drafted() -> campaign.Campaign:
    draft = campaign.Draft("t", "health-camp", campaign.Audience(district_lgd=6), 60, 72.0, "one")
    return campaign.evolve(None, campaign.decide(None, draft)[0])


def moved(state: campaign.Campaign, *commands: campaign.Command) -> campaign.Campaign:
    for command in commands:
        for event in campaign.decide(state, command):
            state = campaign.evolve(state, event)
    return state


PREVIEW, APPROVE = campaign.Preview(campaign.Reach(people=3)), campaign.Approve("two", NOW)


def test_a_campaign_needs_a_preview_and_a_second_person() -> None:
    with pytest.raises(Refused, match="move-not-allowed"):
        moved(drafted(), APPROVE)
    with pytest.raises(Refused, match="second-person"):
        moved(drafted(), PREVIEW, campaign.Approve("one", NOW))
    assert moved(drafted(), PREVIEW, APPROVE).status == "running"


def test_its_messages_hear_of_a_resumption_and_of_a_stop_so_many_at_a_time() -> None:
    told = campaign.Advance(2, "p2", NOW + HOUR, True)
    running = moved(drafted(), PREVIEW, APPROVE)
    resumed = moved(running, campaign.Pause("x"), campaign.Resume(NOW))
    stopped = moved(running, told, campaign.Stop("x", NOW))
    for state, ends_at in ((resumed, NOW + HOUR), (stopped, None)):
        assert (state.unheard, state.next_at) == (True, NOW)
        assert campaign.decide(state, campaign.Hear(NOW + HOUR, False, NOW)) == (), "it was decided anew meanwhile"
        more = moved(state, campaign.Hear(NOW, True, NOW + HOUR))
        assert (more.unheard, more.next_at) == (True, NOW + HOUR)
        all_have = moved(more, campaign.Hear(NOW + HOUR, False, NOW + HOUR))
        assert (all_have.unheard, all_have.next_at) == (False, ends_at)
        assert campaign.decide(all_have, campaign.Hear(NOW + HOUR, False, NOW)) == ()


@pytest.mark.parametrize(("status_after", "does"), [("paused", [Hold]), ("running", [Hold, Release])])
async def test_a_paused_campaign_holds_its_message_unless_it_is_resumed_meanwhile(
    monkeypatch: pytest.MonkeyPatch, status_after: str, does: list[type]
) -> None:
    plan = PLAN.model_copy(update={"event_type": "campaign", "case": "c1", "ladders": ()})
    state = Message(**plan.model_dump(), channel="sms", status="queued", retry_at=NOW)
    step = AsyncMock(return_value=Mock(state=state, repeated=True))
    monkeypatch.setattr(usecases, "_step", step)
    monkeypatch.setattr(store, "campaign_status", AsyncMock(side_effect=["paused", "paused", status_after]))
    monkeypatch.setattr(usecases, "quiet_until", Mock(return_value=NOW + 9 * HOUR))
    post = Mock(recipients=Mock(look=AsyncMock(return_value=Known(("en",), {"sms": "+91"}))))
    post.stops.reason_of.return_value = None
    post.domain_now.return_value = NOW
    before = machine_now()
    await usecases.step(post, "m1", {"state": state.model_dump(mode="json")})
    commands = [call.args[2] for call in step.await_args_list]
    assert [type(command) for command in commands] == does
    assert all(command.at - before >= 9 * HOUR for command in commands[1:]), "by day"


class Journals:
    """Campaign and messages in memory, decided and folded as the journal does."""

    def __init__(self, of: campaign.Campaign, messages: dict[str, Message]) -> None:
        self.campaign, self.messages, self.appended = of, messages, 0

    async def append(self, kind: AggregateType[Any], id: str, decide: Any, *_: object) -> Any:
        states: dict[str, Any] = self.messages if id in self.messages else {id: self.campaign}
        events = decide(states[id])
        self.appended += len(events)
        for event in events:
            states[id] = kind.evolve(states[id], event)
        self.campaign = states.get("c1", self.campaign)
        return Mock(id=id, state=states[id], events=events, repeated=False)

    async def of_case(self, *_: object) -> AsyncIterator[tuple[str, Message]]:
        for id in sorted(self.messages):
            yield id, self.messages[id]

    async def status(self, *_: object) -> str:
        return self.campaign.status


@pytest.mark.parametrize("ends", ["resumed", "stopped"])
async def test_a_pause_writes_once_for_each_message_and_its_end_reaches_them_all(
    monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    at = machine_now()
    plan = PLAN.model_copy(update={"event_type": "campaign", "case": "c1", "ladders": ()})
    queued = Message(**plan.model_dump(), channel="sms", status="queued", retry_at=NOW)
    campaign_ = moved(drafted(), PREVIEW, APPROVE, campaign.Pause("x"))
    journals = Journals(campaign_, {f"m{number}": queued for number in range(5)})
    monkeypatch.setattr(store, "of_case", journals.of_case)
    monkeypatch.setattr(store, "campaign_status", journals.status)
    monkeypatch.setattr(store, "AT_A_TIME", 2)
    post = Mock(recipients=Mock(look=AsyncMock(return_value=Known(("en",), {"sms": "+91"}))), journal=journals)
    post.stops.reason_of.return_value = None
    post.domain_now.return_value = post.clock.now.return_value = NOW
    post.routing.own, post.routing.quiet_hours.ends_at.return_value = {}, None
    post.chance.return_value, post.settings.retry_base_seconds = 0.0, 1.0
    for _ in range(10):
        for id, state in journals.messages.items():
            if state.retry_at is not None and state.retry_at <= machine_now():
                await usecases.step(post, id, {"state": state.model_dump(mode="json")})
    assert journals.appended == 5, "however long it lasts"
    end = campaign.Resume(at) if ends == "resumed" else campaign.Stop("x", at)
    journals.campaign = moved(journals.campaign, end)
    for _ in range(3):
        assert journals.campaign.unheard
        await campaigns.step(post, "c1", {"state": journals.campaign.model_dump(mode="json")})
    assert not journals.campaign.unheard
    ended = {(state.status, state.reason) for state in journals.messages.values()}
    assert ended == {("queued", "released") if ends == "resumed" else ("lapsed", "campaign-stopped")}
    assert (journals.campaign.next_at is None) == (ends == "stopped")


def test_a_stopped_campaign_tells_nobody_more() -> None:
    state = moved(drafted(), PREVIEW, APPROVE, campaign.Advance(2, "p2", NOW + HOUR, False))
    assert (state.told, state.cursor, state.next_at) == (2, "p2", NOW + HOUR)
    paused = moved(state, campaign.Pause("x"))
    assert paused.next_at is None
    assert moved(paused, campaign.Resume(NOW)).status == "running"
    stopped = moved(state, campaign.Stop("x"), campaign.Advance(2, "p4", NOW, True))
    assert (stopped.status, stopped.told) == ("stopped", 2)
    with pytest.raises(Refused):
        moved(stopped, campaign.Resume(NOW))
    assert moved(state, campaign.Advance(1, "p3", NOW, True)).status == "done"


@given(st.text(alphabet=st.sampled_from("aé€[कཀ😀"), max_size=400))
def test_segments_are_counted_as_letter_by_letter(text: str) -> None:
    """The short ways of counting agree with the long one."""
    gsm = all(letter in "aé€[" for letter in text)
    sizes = [(2 if letter in EXTENSION else 1) if gsm else units_of(letter) for letter in text]
    single, part = (160, 153) if gsm else (70, 67)
    parts, room = 1, part
    for size in sizes:
        if size > room:
            parts, room = parts + 1, part
        room -= size
    wanted = 1 if sum(sizes) <= single else parts
    assert count(text) == ("gsm-7" if gsm else "ucs-2", sum(sizes), wanted)
