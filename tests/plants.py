"""Faults to plant into the consistent world, each with what the checker must then count: that, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from tests.planting import BY_P1, C1, G1, P1, P2, P3, R1, Made, Sent, answer, id_of


@dataclass(frozen=True)
class Plant:
    name: str
    plant: Callable[[Made], None]
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    dead_letters: int = 0
    unexpected: int = 0
    ghosts: int = 0
    wrong_totals: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name


def event(made: Made, service: str, collection: str, id: str, name: str) -> str:
    """The id of the aggregate's (last) event of that name, wherever in the journal it stands."""
    archived = [document["entry"] for _, _, document in made.extra if document.get("aggregate") == id]
    journal = [*archived, *made.doc(service, collection, id)["journal"]]
    return next(str(entry["id"]) for entry in reversed(journal) if name in entry["type"])


def message(made: Made, of: str, channel: str) -> str:
    """The id of the message of that event through that channel."""
    return next(
        id
        for id, document in made.stores[("notifications", "messages")].items()
        if document["state"]["event"] == of and document["state"]["channel"] == channel
    )


def accepted(made: Made) -> str:
    return event(made, "referral", "referrals", R1, "ReferralAccepted")


def nothing(made: Made) -> None:
    pass


def repeats_on_a_topic(made: Made) -> None:
    """The relay was killed between acknowledgement and mark: the same ids again, in order."""
    made.records.extend([record for record in made.records if record.key in (R1, P1)])


def on_share_sent_again(made: Made) -> None:
    made.on_shares.append(answer("k-s2", "2"))


def settled_letters(made: Made) -> None:
    for status in ("redriven", "discarded"):
        made.extra.append(("grievance", "dead_letters", {"_id": id_of(status), "status": status}))


def journal_entry_not_on_its_topic(made: Made) -> None:
    made.drop_record(accepted(made))


def newest_card_not_on_its_topic(made: Made) -> None:
    made.drop_record(event(made, "registration", "patients", P1, "PatientCorrected"))


def older_card_last_on_its_topic(made: Made) -> None:
    first = event(made, "registration", "patients", P1, "PatientRegistered")
    made.records.append(next(record for record in made.records if record.id == first))


def tombstone_not_on_its_topic(made: Made) -> None:
    made.drop_record(event(made, "registration", "patients", P3, "PatientErased"))


def record_says_otherwise(made: Made) -> None:
    record = next(record for record in made.records if record.id == accepted(made))
    assert record.value is not None
    record.value = record.value | {"destination": "F9"}


def record_under_another_key(made: Made) -> None:
    next(record for record in made.records if record.id == accepted(made)).key = "another"


def gap_in_a_journal(made: Made) -> None:
    document = made.doc("referral", "referrals", R1)
    document["journal"] = [entry for entry in document["journal"] if "OutcomeRecorded" not in entry["type"]]


def event_without_its_in_app_message(made: Made) -> None:
    made.untell(message(made, accepted(made), "in-app"))


def event_without_its_sms(made: Made) -> None:
    made.untell(message(made, accepted(made), "sms"))


def request_without_the_desks_mail(made: Made) -> None:
    made.untell(message(made, event(made, "referral", "referrals", R1, "ReferralRequested"), "email"))


def contact_without_a_mail(made: Made) -> None:
    of = [
        id
        for id, document in made.stores[("notifications", "messages")].items()
        if document["state"]["recipient"] == f"contact:{C1}" and document["state"]["channel"] == "email"
    ]
    made.untell(of[0])


def sms_marked_as_sent_never_received(made: Made) -> None:
    made.sms.pop()


def mail_marked_as_sent_never_received(made: Made) -> None:
    made.mails.pop()


def replica_without_a_card(made: Made) -> None:
    del made.stores[("referral", "patients")][P1]


def replica_with_a_stale_card(made: Made) -> None:
    made.doc("notifications", "patients", P1)["sequence"] = 1


def replica_with_another_card(made: Made) -> None:
    copied = made.doc("notifications", "patients", P1)
    copied["card"] = copied["card"] | {"village": "Elsewhere"}


def replica_that_did_not_follow_an_erasure(made: Made) -> None:
    made.stores[("referral", "patients")][P3] = {"_id": P3, "epoch": 1, "sequence": 1, "card": {"id": P3}}


def directory_not_copied(made: Made) -> None:
    del made.stores[("grievance", "facilities")]["F1"]


def gap_in_a_queue(made: Made) -> None:
    made.take(4, "k-later")
    made.visit(P1, 4, "k-later", phone=True)


def number_without_its_visit(made: Made) -> None:
    made.take(3, "k-later")


def visit_whose_number_was_never_taken(made: Made) -> None:
    made.visit(P1, 3, "k-later", phone=True)


def share_without_its_on_share(made: Made) -> None:
    made.on_shares.clear()


def share_that_left_nothing(made: Made) -> None:
    made.line("k-forgotten", "opd.share")


def patient_created_twice(made: Made) -> None:
    made.patient("P1 again", "k-p1", phone="+915550000001")


def person_with_two_records(made: Made) -> None:
    made.patient("P2 again", "k-other-day", address="P2@sbx")


def two_tokens_with_one_number(made: Made) -> None:
    made.visit(P1, 2, "k-other-day", phone=True)


def token_twice_by_one_key(made: Made) -> None:
    made.take(3, "k-t1")
    made.visit(P1, 3, "k-t1", phone=True)


def two_live_tokens_by_scan(made: Made) -> None:
    made.take(3, "k-other-day")
    made.visit(P2, 3, "k-other-day", phone=False, door="scan-and-share")


def message_made_twice(made: Made) -> None:
    made.tell(accepted(made), f"patient:{P1}", "in-app", name="again")


def sms_received_twice(made: Made) -> None:
    made.sms.append(made.sms[0])


def mail_received_twice(made: Made) -> None:
    made.mails.append(made.mails[0])


def second_on_share(made: Made) -> None:
    made.on_shares.append(answer("k-s2", "2", own="own-2"))


def move_made_twice_by_one_key(made: Made) -> None:
    made.move(R1, "ReferralClosed", "k-r6", "closed", "in-app", "sms")


def journal_entry_written_twice(made: Made) -> None:
    journal = made.doc("grievance", "grievances", G1)["journal"]
    journal.append(copy.deepcopy(journal[-1]))


def escalated_twice(made: Made) -> None:
    for _ in range(2):
        escalated = made.complain(G1, "GrievanceEscalated", BY_P1, None, "closed", step=1, due_at="2026-12-20")
        made.tell(escalated, f"patient:{P1}", "in-app", "sms")
        made.tell(escalated, "officer@F2", "email")


def facility_listed_twice(made: Made) -> None:
    made.facility("F1-AGAIN", "IN9900000001", desk_email="desk.f1@hospital.example")


def sequence_backwards(made: Made) -> None:
    of = [index for index, record in enumerate(made.records) if record.key == R1]
    one, two = of[1], of[2]
    made.records[one], made.records[two] = made.records[two], made.records[one]


def dead_letter(made: Made) -> None:
    made.extra.append(("notifications", "dead_letters", {"_id": id_of("letter"), "status": "waiting"}))


def wrong_total(made: Made) -> None:
    made.totals["patients"] += 1


def closed_in_the_journal_only(made: Made) -> None:
    made.state("referral", "referrals", R1, status="back-referred")


def refused_yet_done(made: Made) -> None:
    made.move(R1, "OutcomeRecorded", "k-refused", "closed", outcome="admitted")


def event_out_of_nowhere(made: Made) -> None:
    made.records.append(Sent("referral.referral.v1", id_of("nobody"), "ghost", "referral.ReferralAccepted.v1", 1, {}))


def message_out_of_nowhere(made: Made) -> None:
    made.tell(id_of("no event"), f"patient:{P1}", "in-app")


def sms_out_of_nowhere(made: Made) -> None:
    made.sms.append({"reference": "stranger"})


PLANTS = [
    Plant("nothing", nothing),
    Plant("repeats by id", repeats_on_a_topic),
    Plant("on-share sent again after a lost answer", on_share_sent_again),
    Plant("settled dead letters", settled_letters),
    Plant("journal entry not on its topic", journal_entry_not_on_its_topic, lost=1),
    Plant("newest card not on its topic", newest_card_not_on_its_topic, lost=1),
    Plant("tombstone not on its topic", tombstone_not_on_its_topic, lost=1),
    Plant("record says otherwise", record_says_otherwise, lost=1),
    Plant("record under another key", record_under_another_key, lost=1),
    Plant("gap in a journal", gap_in_a_journal, lost=1),
    Plant("event without its in-app message", event_without_its_in_app_message, lost=1),
    Plant("event without its sms", event_without_its_sms, lost=1),
    Plant("request without the desk's mail", request_without_the_desks_mail, lost=1),
    Plant("contact without a mail", contact_without_a_mail, lost=1),
    Plant("sms never received", sms_marked_as_sent_never_received, lost=1),
    Plant("mail never received", mail_marked_as_sent_never_received, lost=1),
    Plant("replica without a card", replica_without_a_card, lost=1),
    Plant("replica with a stale card", replica_with_a_stale_card, lost=1),
    Plant("replica with another card", replica_with_another_card, lost=1),
    Plant("replica that did not follow an erasure", replica_that_did_not_follow_an_erasure, lost=1),
    Plant("directory not copied", directory_not_copied, lost=1),
    Plant("gap in a queue", gap_in_a_queue, lost=1),
    Plant("number without its visit", number_without_its_visit, lost=1),
    Plant("visit whose number was never taken", visit_whose_number_was_never_taken, lost=1),
    Plant("share without its on-share", share_without_its_on_share, lost=1),
    Plant("share that left nothing", share_that_left_nothing, lost=1),
    Plant("patient created twice", patient_created_twice, doubled=1, wrong_totals=frozenset({"patients"})),
    Plant("person with two records", person_with_two_records, doubled=1),
    Plant("two tokens with one number", two_tokens_with_one_number, doubled=1),
    Plant("token twice by one key", token_twice_by_one_key, doubled=1, wrong_totals=frozenset({"tokens"})),
    Plant("two live tokens by scan", two_live_tokens_by_scan, doubled=1),
    Plant("message made twice", message_made_twice, doubled=1),
    Plant("sms received twice", sms_received_twice, doubled=1),
    Plant("mail received twice", mail_received_twice, doubled=1),
    Plant("second on-share", second_on_share, doubled=1),
    Plant("move made twice by one key", move_made_twice_by_one_key, doubled=1),
    Plant("journal entry written twice", journal_entry_written_twice, doubled=1),
    Plant("escalated twice", escalated_twice, doubled=1),
    Plant("facility listed twice", facility_listed_twice, doubled=1),
    Plant("sequence backwards", sequence_backwards, reordered=1),
    Plant("older card last on its topic", older_card_last_on_its_topic, lost=1),
    Plant("dead letter", dead_letter, dead_letters=1),
    Plant("wrong total", wrong_total, wrong_totals=frozenset({"patients"})),
    Plant("closed in the journal only", closed_in_the_journal_only, wrong_totals=frozenset({"referrals_closed"})),
    Plant("refused, yet done", refused_yet_done, unexpected=1),
    Plant("event out of nowhere", event_out_of_nowhere, ghosts=1),
    Plant("message out of nowhere", message_out_of_nowhere, ghosts=1),
    Plant("sms out of nowhere", sms_out_of_nowhere, ghosts=1),
]  # fmt: skip
"""Each of them is tried on a world in memory."""

ON_THE_REAL_THING = {
    "nothing",
    "repeats by id",
    "settled dead letters",
    "journal entry not on its topic",
    "newest card not on its topic",
    "tombstone not on its topic",
    "gap in a journal",
    "event without its sms",
    "mail never received",
    "replica with a stale card",
    "gap in a queue",
    "share without its on-share",
    "patient created twice",
    "two tokens with one number",
    "message made twice",
    "sms received twice",
    "mail received twice",
    "second on-share",
    "sequence backwards",
    "dead letter",
    "wrong total",
    "refused, yet done",
    "event out of nowhere",
}
"""One of each kind of trace (journal, topic, tombstone, replica, queue, inbox, letter) in real stores and topics."""
