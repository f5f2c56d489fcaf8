"""The checker's comparing functions, in memory: every fault of `tests/plants.py`, and the edges of each rule."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.planting import NOON, P1, R1, STARTED, Made, consistent_world, write_files
from tests.plants import PLANTS, Plant
from tools.checking.against_topics import same
from tools.checking.expected import AGGREGATES, CLOSED_DEAD_LETTER, REPLICAS, TOPICS
from tools.checking.figures import all_differences, figures, holds, read_day, seconds, totals
from tools.checking.inboxes import read_inboxes, to_mail, to_on_share
from tools.checking.stores import to_aggregate, to_replica
from tools.checking.world import Difference, Receipt, Record, World, tally

AT_NOON = int(NOON.timestamp() * 1000)


def as_world(made: Made, folder: Path) -> World:
    """What the checker would read, without store and broker."""
    world = World()
    past: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for _, collection, document in made.extra:
        if collection.endswith("_archive"):
            past[collection][document["aggregate"]].append((document["position"], document["entry"]))
    for service, collections in AGGREGATES.items():
        for collection in collections:
            documents = made.stores.get((service, collection), {})
            world.aggregates[(service, collection)] = {
                id: to_aggregate((service, collection), document, past[f"{collection}_archive"])
                for id, document in documents.items()
            }
    for service, name in REPLICAS:
        copies = made.stores.get((service, name), {})
        world.replicas[(service, name)] = {id: to_replica(service, name, copy) for id, copy in copies.items()}
    world.records = {topic: [] for topic in TOPICS}
    for offset, sent in enumerate(made.records):
        world.records[sent.topic].append(
            Record(sent.topic, 0, offset, AT_NOON, sent.key, sent.id, sent.type, sent.sequence, sent.value)
        )
    world.dead_letters = [
        (service, str(document["_id"]))
        for service, collection, document in made.extra
        if collection == "dead_letters" and document["status"] not in CLOSED_DEAD_LETTER
    ]
    write_files(made, folder)
    read_inboxes(folder / "inbox", world)
    return world


@pytest.mark.parametrize("plant", PLANTS, ids=str)
def test_each_fault_is_counted_as_that(plant: Plant, tmp_path: Path) -> None:
    made = consistent_world()
    plant.plant(made)
    world = as_world(made, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    answer, found = figures(world, read_day(tmp_path / "day.jsonl"), result)
    counted = {name: answer[name] for name in ("lost", "doubled", "reordered", "dead_letters", "unexpected")}
    assert counted == {name: getattr(plant, name) for name in counted}, found
    assert tally(found, "ghost") == plant.ghosts, found
    assert {difference.id for difference in found if difference.kind == "totals"} == plant.wrong_totals
    assert holds(answer, found) == (not any(counted.values()) and not plant.ghosts and not plant.wrong_totals)


def test_totals_count_only_what_the_days_own_keys_created(tmp_path: Path) -> None:
    made = consistent_world()
    made.patient("of another day", "k-another", phone=None)
    counted = totals(as_world(made, tmp_path), read_day(tmp_path / "day.jsonl").keys)
    assert counted == {name: made.totals[name] for name in counted}


def test_another_day_on_the_same_state_is_not_held_against_this_one(tmp_path: Path) -> None:
    made = consistent_world()
    made.patient("of another day", "k-another", phone="+915550000007")
    world = as_world(made, tmp_path)
    assert all_differences(world) == []


def test_two_faults_are_two(tmp_path: Path) -> None:
    made = consistent_world()
    made.sms.append(made.sms[0])
    made.sms.append(made.sms[0])
    assert tally(all_differences(as_world(made, tmp_path)), "doubled") == 2


def test_a_number_given_to_a_patient_later_may_or_may_not_be_used(tmp_path: Path) -> None:
    """Every card had a phone: must be used. Some had: may be used."""
    made = consistent_world()
    made.correct(P1, phone=None)
    assert all_differences(as_world(made, tmp_path)) == []
    message = next(
        id
        for id, document in made.stores[("notifications", "messages")].items()
        if document["state"]["recipient"] == f"patient:{P1}" and document["state"]["channel"] == "sms"
    )
    made.untell(message)
    assert all_differences(as_world(made, tmp_path)) == []


@pytest.mark.parametrize("status", ["lapsed", "failed", "outcome-unknown"])
def test_a_message_that_was_not_sent_says_so_and_is_not_lost(status: str, tmp_path: Path) -> None:
    made = consistent_world()
    sms = str(made.sms[0]["reference"])
    made.sms = made.sms[1:]
    made.state("notifications", "messages", sms, status=status)
    assert all_differences(as_world(made, tmp_path)) == []


def test_a_lapsed_message_that_was_received_is_a_ghost(tmp_path: Path) -> None:
    made = consistent_world()
    made.state("notifications", "messages", str(made.sms[0]["reference"]), status="lapsed")
    assert [(d.kind, d.what) for d in all_differences(as_world(made, tmp_path))] == [
        ("ghost", "sms received, though lapsed")
    ]


def test_a_key_on_two_partitions_cannot_be_ordered(tmp_path: Path) -> None:
    world = as_world(consistent_world(), tmp_path)
    records = world.records["referral.referral.v1"]
    last = records[-1]
    moved = Record(last.topic, 1, 0, last.timestamp, last.key, last.id, last.type, last.sequence, last.value)
    world.records["referral.referral.v1"] = [*records[:-1], moved]
    assert tally(all_differences(world), "reordered") == 1


def test_an_erased_persons_compacted_topic_may_hold_nothing(tmp_path: Path) -> None:
    made = consistent_world()
    erased = next(record.key for record in made.records if record.value is None)
    made.records = [record for record in made.records if record.key != erased]
    assert all_differences(as_world(made, tmp_path)) == []


def test_older_cards_may_have_been_compacted_away(tmp_path: Path) -> None:
    made = consistent_world()
    made.records = [record for record in made.records if record.key != P1 or record.sequence != 1]
    assert all_differences(as_world(made, tmp_path)) == []


def test_private_fields_stay_in_the_journal() -> None:
    assert same({"a": 1, "secret": 2, "card": {"x": 1, "y": 2}}, {"a": 1, "card": {"x": 1}})
    assert not same({"a": 1}, {"a": 2})
    assert not same({"a": 1}, {"b": 1})
    assert not same({"list": [1, 2]}, {"list": [2, 1]})


def test_seconds_run_to_the_newest_trace(tmp_path: Path) -> None:
    world = as_world(consistent_world(), tmp_path)
    result = {"started_at": STARTED.isoformat(), "finished_at": STARTED.isoformat()}
    assert seconds(world, result) == 1800.0
    world.sms.append(Receipt("m", "m", NOON + dt.timedelta(seconds=5)))
    assert seconds(world, result) == 1805.0


def test_seconds_of_a_day_played_again_run_to_the_players_end() -> None:
    result = {"started_at": STARTED.isoformat(), "finished_at": (STARTED + dt.timedelta(seconds=7)).isoformat()}
    assert seconds(World(), result) == 7.0


def test_a_day_without_totals_is_refused(tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_text('{"verb": "opd.token", "key": "k", "expect": "ok"}\n')
    with pytest.raises(ValueError, match="no totals line"):
        read_day(tmp_path / "day.jsonl")


def test_a_key_refused_with_another_body_is_still_the_accepted_ones(tmp_path: Path) -> None:
    lines = [
        {"verb": "patient.register", "key": "k", "expect": "ok"},
        {"verb": "patient.register", "key": "k", "expect": "rejected"},
        {"verb": "patient.register", "key": "bad", "expect": "rejected"},
        {"verb": "totals", "body": {"patients": 1}},
    ]
    (tmp_path / "day.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    day = read_day(tmp_path / "day.jsonl")
    assert (day.lines, day.keys, day.refused) == (3, {"k", "bad"}, {"bad"})


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "sms.jsonl").write_text('{"reference": "a"}\n{"refer')
    world = World()
    read_inboxes(tmp_path, world)
    assert [receipt.reference for receipt in world.sms] == ["a"]
    assert world.mails == []


def test_a_mails_message_is_the_local_part_of_its_message_id() -> None:
    assert to_mail({"message_id": " <m-1@hillhealth.example>"}).reference == "m-1"


def test_an_on_share_without_acknowledgement_is_read_too() -> None:
    failed = to_on_share({"request_id": "own", "body": {"error": {"code": "1"}, "response": {"requestId": "r"}}})
    assert (failed.reference, failed.id, failed.number) == ("r", "own", "")


def test_differences_name_no_person(tmp_path: Path) -> None:
    made = consistent_world()
    for plant in PLANTS:
        if plant.name in ("record says otherwise", "replica with a stale card"):
            plant.plant(made)
    text = "".join(str(difference) for difference in all_differences(as_world(made, tmp_path)))
    assert text
    assert "Made Up" not in text
    assert "5550" not in text


def test_a_total_over_nothing_is_nought() -> None:
    assert set(totals(World(), frozenset()).values()) == {0}
    assert tally([Difference("lost", "", "", R1)], "doubled") == 0
