"""Who is told of what: the table, and files that make no sense."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.common import lined
from libs.contracts import grievance, referral, registration
from libs.contracts.event import PUBLIC, Event
from services.notifications import catalogue
from services.notifications.domain.routing import Routing
from services.notifications.settings import Settings
from services.notifications.usecases import plans

FILE: Path = Settings.model_fields["routing_file"].default
TEMPLATES: Path = Settings.model_fields["templates_dir"].default
ROUTING, WORDING = catalogue.read(FILE, TEMPLATES)
NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)

REFERRAL = {
    "patient": "p1",
    "origin": "LA-KGL-CHC-SANKOO",
    "destination": "LA-KGL-DH",
    "service": "surgery",
    "urgency": "urgent",
}
COMPLAINT: dict[str, Any] = {
    "ticket": "T-1",
    "category": "long-wait",
    "about_facility": "A-B",
    "handled_by": "C-D",
    "reporter": {"kind": "patient", "id": "p1"},
}


def told(event: Event) -> set[tuple[str, str, str]]:
    """(recipient, channel, template) of everything this event makes us tell."""
    found = plans(ROUTING, "e1", event, NOW)
    return {(plan.recipient, channel, plan.template) for plan in found for channel in plan.channels}


def test_every_public_event_we_hear_is_named() -> None:
    heard = {type_ for type_, event in PUBLIC.items() if event.TOPIC in catalogue.HEARD}
    assert heard == set(ROUTING.events)
    assert len(heard) >= 20


def test_the_table() -> None:
    """Who is told of what, written down once more by hand."""
    by_patient = {
        "registration.PatientRegistered.v1",
        "registration.TokenIssued.v1",
        "registration.RecordOpened.v1",
        *(
            f"referral.{name}.v1"
            for name in (
                "ReferralRequested",
                "ReferralAccepted",
                "ReferralDeclined",
                "ReferralCancelled",
                "PatientNoShow",
                "TransportHeld",
                "PatientArrived",
                "PatientBackReferred",
                "ReferralClosed",
                "AppointmentScheduled",
                "AppointmentCancelled",
                "ReferralRedirected",
                "ReferralVoided",
            )
        ),
    }
    by_reporter = {
        f"grievance.Grievance{n}.v1" for n in ("Acknowledged", "Resolved", "Confirmed", "Reopened", "Escalated")
    }
    by_receiving_desk = {
        f"referral.{n}.v1"
        for n in ("CancellationRequested", "ReferralRedirected", "TravelRefused", "PatientDeceased", "ReferralVoided")
    }
    by_role = {
        f"referral.{n}.v1"
        for n in ("ReferralRedirected", "PatientDeceased", "OutcomeRecorded", "StepOwed", "ReferralBreached")
    } | {"grievance.GrievancePaged.v1"}
    by_officers = {f"grievance.Grievance{n}.v1" for n in ("Filed", "Escalated", "Paged")}
    for type_, tells in ROUTING.events.items():
        audiences = {tell.audience for tell in tells}
        assert ("patient" in audiences) == (type_ in by_patient), type_
        assert ("reporter" in audiences) == (type_ in by_reporter), type_
        assert ("officers" in audiences) == (type_ in by_officers), type_
        assert ("desk-of-destination" in audiences) == (type_ == "referral.ReferralRequested.v1"), type_
        assert ("receiving-desk" in audiences) == (type_ in by_receiving_desk), type_
        assert ("role" in audiences) == (type_ in by_role), type_


def test_a_request_tells_the_patient_and_the_desk_of_the_destination() -> None:
    assert told(referral.ReferralRequested(**REFERRAL)) == {
        ("patient:p1", "in-app", "referral-requested"),
        ("patient:p1", "sms", "referral-requested"),
        ("desk@LA-KGL-DH", "email", "desk-referral-requested"),
    }
    assert told(referral.TransportDeparted(**REFERRAL, mode="ambulance-108")) == set()


@pytest.mark.parametrize(("broken", "template"), [(False, "record-opened"), (True, "record-opened-in-emergency")])
def test_whose_record_was_opened_elsewhere_is_told_where_and_whether_they_were_asked(
    broken: bool, template: str
) -> None:
    card = registration.PatientCard(id="p1", registered_at="LA-KGL-CHC-SANKOO", name="Marked Name")
    event = registration.RecordOpened(card=card, facility="LA-KGL-DH", break_glass=broken)
    assert told(event) == {("patient:p1", "in-app", template), ("patient:p1", "sms", template)}
    [plan] = plans(ROUTING, "e1", event, NOW)
    assert [(one.form, one.value) for one in plan.variables] == [("facility", "LA-KGL-DH")]
    assert (plan.purpose, plan.override, plan.when) == ("care", None, "daytime"), "may be refused, wakes nobody"
    for language in ("en", "hi", "ur", "bo", "lbj", "doi", "ks"):
        texts = [WORDING.languages[language].templates[name].text for name in ("record-opened", template)]
        assert all("{facility:alphanumeric}" in text for text in texts)
        assert (texts[0] != texts[1]) is broken


@pytest.mark.parametrize(
    ("event", "also_alive"),
    [
        (referral.PatientDeceased(**REFERRAL, place="on-the-way"), None),
        (referral.OutcomeRecorded(**REFERRAL, outcome="died"), None),
        (referral.ReferralCancelled(**REFERRAL, reason="patient-died"), {"reason": "patient-improved"}),
        (referral.PatientBackReferred(**REFERRAL, deceased=True), {"deceased": False}),
        (referral.ReferralClosed(**REFERRAL, deceased=True), {"deceased": False}),
    ],
)
def test_nobody_learns_of_a_death_from_a_phone(event: Event, also_alive: dict[str, Any] | None) -> None:
    assert all(who.startswith(("duty:", "desk@")) for who, _, _ in told(event))
    if also_alive is not None:
        assert ("patient:p1", "sms") in {
            (who, channel) for who, channel, _ in told(event.model_copy(update=also_alive))
        }


def test_what_must_never_be_told_is_a_fault_whoever_writes_the_row() -> None:
    row = {"audience": "family", "channels": ["in-app"], "template": "digest", "useful_hours": 1}
    assert "referral.PatientDeceased.v1: family must never be told of it" in faults(
        **{"referral.PatientDeceased.v1": [row]}
    )


def test_a_reminder_reaches_who_owes_the_step_and_a_breach_the_next_level() -> None:
    owed = referral.StepOwed(
        **REFERRAL,
        step="acknowledge",
        owed_by="doctor@LA-KGL-CHC-SANKOO",
        owed_since=NOW,
        reminder=1,
        role="doctor",
        facility="LA-KGL-CHC-SANKOO",
    )
    assert {who for who, _, _ in told(owed)} == {"duty:doctor/desk@LA-KGL-CHC-SANKOO"}
    for role, step in (("transport", "depart"), ("desk", "reschedule")):
        other = owed.model_copy(update={"step": step, "role": role, "owed_by": f"{role}@LA-KGL-CHC-SANKOO"})
        assert {who for who, _, _ in told(other)} == {f"duty:{role}/desk@LA-KGL-CHC-SANKOO"}
    assert told(owed.model_copy(update={"facility": None})) == set(), "one of before says it only in words"
    breached = referral.ReferralBreached(
        **REFERRAL, promise="answer", escalated_to="nodal-officer@LA-STATE-CELL", facility="LA-STATE-CELL"
    )
    assert {who for who, _, _ in told(breached)} == {"duty:nodal-officer/officer@LA-STATE-CELL"}


def test_a_move_elsewhere_is_told_to_all_three_and_one_made_twice_to_the_desk_only() -> None:
    gone = referral.ReferralRedirected(**REFERRAL, to="LA-LEH-DH-SNM", next="r2", reason="no-bed")
    assert told(gone) == {
        ("patient:p1", "in-app", "referral-redirected"),
        ("patient:p1", "sms", "referral-redirected"),
        ("duty:doctor/desk@LA-KGL-CHC-SANKOO", "in-app", "doctor-referral-redirected"),
        ("duty:doctor/desk@LA-KGL-CHC-SANKOO", "sms", "doctor-referral-redirected"),
        ("desk@LA-KGL-DH", "email", "desk-referral-withdrawn"),
    }
    voided = referral.ReferralVoided(**REFERRAL, reason="duplicate")
    assert {who for who, _, _ in told(voided)} == {"desk@LA-KGL-DH"}
    assert "patient:p1" in {who for who, _, _ in told(voided.model_copy(update={"reason": "wrong-person"}))}


def test_each_rung_of_an_emergency_calls_its_own_office_and_who_is_on_duty_there() -> None:
    paged = grievance.GrievancePaged(**COMPLAINT, to="nodal-officer@E-F", at="E-F", rung=2, due_at=NOW)
    assert told(paged) == {
        ("officer@E-F", "email", "officers-grievance-paged"),
        ("duty:nodal-officer@E-F", "in-app", "officers-grievance-paged"),
        ("duty:nodal-officer@E-F", "sms", "officers-grievance-paged"),
    }
    on_duty = next(plan for plan in plans(ROUTING, "e1", paged, NOW) if plan.recipient.startswith("duty:"))
    assert (on_duty.urgency, on_duty.when) == ("emergency", "at-once"), "at night too, and once more if in doubt"


def test_a_token_says_number_counter_and_place() -> None:
    token = registration.TokenIssued(
        patient="p1",
        facility="LA-KGL-CHC-SANKOO",
        counter="OPD1",
        date="2026-11-20",
        number=7,
        expires_at=NOW,
        door="walk-in",
    )
    (plan,) = plans(ROUTING, "e1", token, NOW)
    assert [(v.name, v.form, v.value) for v in plan.variables] == [
        ("number", "text", "7"),
        ("counter", "text", "OPD1"),
        ("facility", "facility", "LA-KGL-CHC-SANKOO"),
    ]
    assert plan.useful_until == NOW + dt.timedelta(hours=12)


def test_reporters_by_kind() -> None:
    confirmed = grievance.GrievanceConfirmed
    assert {who for who, _, _ in told(confirmed(**COMPLAINT, rating=5))} == {"patient:p1"}
    contact = COMPLAINT | {"reporter": {"kind": "contact", "id": "c1"}}
    assert {(who, channel) for who, channel, _ in told(confirmed(**contact, rating=5))} == {
        ("contact:c1", "in-app"),
        ("contact:c1", "sms"),
        ("contact:c1", "email"),
    }
    (plan,) = plans(ROUTING, "e1", confirmed(**COMPLAINT, rating=5), NOW)
    assert plan.channels == ("in-app", "sms", "email"), "no word of mouth: it may be about whoever passes it on"
    assert told(confirmed(**COMPLAINT | {"reporter": {"kind": "anonymous"}}, rating=5)) == set()


def test_an_anonymous_complaint_still_reaches_the_officers_of_who_handles_it() -> None:
    filed = grievance.GrievanceFiled(**COMPLAINT | {"reporter": {"kind": "anonymous"}})
    assert told(filed) == {("officer@C-D", "email", "officers-grievance-filed")}


def test_a_due_date_is_an_indian_day() -> None:
    late = dt.datetime(2026, 11, 26, 20, 0, tzinfo=dt.UTC)  # half past one in the morning of the 27th
    (plan,) = plans(ROUTING, "e1", grievance.GrievanceAcknowledged(**COMPLAINT, due_at=late), NOW)
    assert ("due", "27-11-2026") in [(v.name, v.value) for v in plan.variables]


def faults(**changed: Any) -> str:
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    raw["events"] |= changed
    return "; ".join(map(str, Routing.model_validate(raw).faults(catalogue.heard_events(), WORDING)))


TELL = {"audience": "patient", "channels": ["in-app", "sms"], "template": "registered", "useful_hours": 1}


@pytest.mark.parametrize(
    ("type_", "tell", "fault"),
    [
        ("referral.PatientArrived.v1", TELL | {"template": "nonsense"}, "no template nonsense"),
        ("referral.PatientArrived.v1", TELL, r"has placeholders \['facility'\], given are \[\]"),
        ("referral.PatientArrived.v1", TELL | {"variables": {"facility": {"from": "hospital"}}}, "no field hospital"),
        ("referral.PatientArrived.v1", TELL | {"audience": "reporter"}, "reporter needs reporter"),
        ("grievance.GrievanceFiled.v1", TELL, "patient needs patient or card"),
        ("referral.PatientVanished.v1", TELL, "there is no such event"),
        ("referral.PatientArrived.v1", TELL | {"only": {"weather": "snow"}}, "no field weather"),
        ("referral.PatientArrived.v1", TELL | {"unless": {"weather": "snow"}}, "no field weather"),
        (
            "referral.PatientArrived.v1",
            TELL | {"variables": {"facility": {"from": "origin", "as": "date"}}},
            "origin is no date",
        ),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(type_: str, tell: dict[str, Any], fault: str) -> None:
    assert re.search(f"{type_}: .*{fault}", faults(**{type_: [tell]}))


def test_an_event_nobody_decided_about_is_a_fault() -> None:
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    del raw["events"]["referral.OutcomeRecorded.v1"]
    found = Routing.model_validate(raw).faults(catalogue.heard_events(), WORDING)
    assert [str(fault) for fault in found] == ["referral.OutcomeRecorded.v1: not named (say [] for nobody)"]


@pytest.mark.parametrize(
    "changed",
    [
        {"channels": ["sms", "in-app"]},
        {"channels": ["in-app", "in-app"]},
        {"channels": []},
        {"audience": "officers"},
        {"useful_hours": 0},
        {"surprise": 1},
        {"otherwise": "desk"},
    ],
)
def test_a_tell_that_makes_no_sense_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Routing.model_validate({"events": {"x": [TELL | changed]}})


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    twice = tmp_path / "routing.yaml"
    twice.write_text("events:\n  a: []\n  a: []\n", encoding="utf-8")
    with pytest.raises(lined.BadFile, match=r"routing\.yaml:3: a stands twice"):
        catalogue.read(twice, TEMPLATES)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("routing.yaml", "    - audience: patient", "    - audience: martian", "audience"),
        ("routing.yaml", "channels: [in-app, sms]", "channels: [in-app, pigeon]", "channels.1"),
        ("routing.yaml", "useful_hours: 72\n      variables", "useful_hours: .inf\n      variables", "useful_hours"),
        ("routing.yaml", "  doi: [hi, ur]", "  doi: [klingon]", "klingon"),
        ("routing.yaml", "mailbox_language: en", "mailbox_language: xx", "xx"),
        ("routing.yaml", "  appointment-reminder:", "  appointment-remindr:", "remindr"),
        ("routing.yaml", 'from: "21:00"', 'from: "25:00"', "quiet_hours.from"),
        ("routing.yaml", 'from: "21:00"', 'from: "21:00Z"', "zone"),
        ("routing.yaml", "template: family-referral-arrived", "template: family-referal-arrived", "no template"),
        ("routing.yaml", "number: {from: number}", "number: {from: nombre}", "no field nombre"),
        ("routing.yaml", "variables: {ticket: {", "variables: {tickets: {", "has placeholders"),
        ("routing.yaml", "due: {from: due_at, as: date}", "due: {from: ticket, as: date}", "ticket is no date"),
        ("routing.yaml", "only: {outcome: died}", "only: {outcom: died}", "no field outcom"),
        ("routing.yaml", "unless: {deceased:", "unless: {desceased:", "no field desceased"),
        ("routing.yaml", "when: {urgency: emergency}", "when: {urgence: emergency}", "no field urgence"),
        ("routing.yaml", "      at: origin", "      at: orign", "no field orign"),
        ("routing.yaml", "    - audience: sending-doctor", "    - audience: reporter", "reporter needs reporter"),
        ("routing.yaml", "  referral.PatientNoShow.v1:", "  referral.PatientShow.v1:", "no such event"),
        ("routing.yaml", "  referral.OutcomeRecorded.v1: [", "  referral.OutcomRecorded.v1: [", "no such event"),
        ("templates/en.yaml", "language: en", "language: english", "must be en"),
        ("templates/hi.yaml", "  registered:", "  registerd:", "not there in en"),
        ("templates/hi.yaml", "  registered:\n    text:", "  registered:\n    txt:", "txt"),
    ],
)
def test_a_bad_data_file_is_refused_with_its_line(tmp_path: Path, file: str, old: str, new: str, says: str) -> None:
    shutil.copy(FILE, tmp_path / "routing.yaml")
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises((lined.BadFile, catalogue.CatalogueInvalid)) as refusal:
        catalogue.read(tmp_path / "routing.yaml", tmp_path / "templates")
    found = re.fullmatch(r"(.*):(\d+): (.*)", str(refusal.value).splitlines()[0])
    assert found is not None
    assert says in found[3]
    wrong = Path(found[1]).read_text(encoding="utf-8").splitlines()[int(found[2]) - 1]
    assert wrong.strip() in new or new.splitlines()[-1] in wrong


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("dlt.yaml", "header: HILHLT", "header: JD-HILHLT-S", "header-form"),
        ("dlt.yaml", 'promotional_header: ""', 'promotional_header: "HILHLT"', "six digits"),
        ("dlt.yaml", "templates: {}", "templates: {registerd: {en: '1107'}}", "no text registerd in en"),
        ("dlt.yaml", "templates: {}", "templates: {registered: {xx: '1107'}}", "no text registered in xx"),
        ("dlt.yaml", "variable_limit: 30", "variable_limit: 41", "variable_limit"),
        ("dlt.yaml", 'tag_style: "{#%s#}"', 'tag_style: "<%s>"', "tag_style"),
        ("routing.yaml", "  health-camp:", "  health-camp:\n    promotional: true", "promotional_header"),
        ("templates/en.yaml", "  registered:\n    text: ", "  registered:\n    text: Call 1800112233. ", "whitelisted"),
        ("codes.yaml", "  - absent-sub\n", "  - template-inactive\n", "stands under stop too"),
        ("codes.yaml", "  - 600-699", "  - 699-600", "ends before"),
        ("codes.yaml", "  - mob-off", "  - MOB_OFF", "written as mob-off"),
        ("codes.yaml", "refused:", "rejected:", "rejected"),
    ],
)
def test_what_the_operators_would_not_take_is_refused_at_the_start_with_its_line(
    tmp_path: Path, file: str, old: str, new: str, says: str
) -> None:
    for name in ("routing.yaml", "dlt.yaml", "codes.yaml"):
        shutil.copy(FILE.parent / name, tmp_path / name)
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises((lined.BadFile, catalogue.CatalogueInvalid)) as refusal:
        catalogue.read_all(
            tmp_path / "routing.yaml", tmp_path / "templates", tmp_path / "dlt.yaml", tmp_path / "codes.yaml"
        )
    found = re.fullmatch(r"(.*):(\d+): (.*)", str(refusal.value).splitlines()[0])
    assert found is not None
    assert says in found[3]
    lines = Path(found[1]).read_text(encoding="utf-8").splitlines()[int(found[2]) - 1 : int(found[2]) + 1]
    assert any(line.strip() and line.strip() in new for line in lines)
