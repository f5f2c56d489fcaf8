"""Each kind of fault, planted in a real store, real topics and inboxes, is counted as exactly that."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import MongoClient

from deploy.local.testing import TestStack
from tests.planting import (
    TOPICS,
    consistent_world,
    drop_topics,
    make_topics,
    write_files,
    write_stores,
    write_topics,
)
from tests.plants import ON_THE_REAL_THING, PLANTS, Plant
from tools import check_day
from tools.checking.expected import GROUPS
from tools.checking.expected import TOPICS as READ
from tools.checking.figures import figures, holds, read_day
from tools.checking.settle import Names, Unsettled, wait_until_settled
from tools.checking.stores import connect
from tools.checking.world import tally

REAL = [plant for plant in PLANTS if plant.name in ON_THE_REAL_THING]
OTHER_TESTS = 8


@pytest.fixture(scope="module")
async def topic_prefixes(stack: TestStack) -> AsyncIterator[list[str]]:
    prefixes = [f"plant{secrets.token_hex(4)}." for _ in range(len(REAL) + OTHER_TESTS)]
    await make_topics(stack.kafka_bootstrap, prefixes)
    yield list(prefixes)
    await drop_topics(stack.kafka_bootstrap, prefixes)


@pytest.fixture
def own_topics(topic_prefixes: list[str]) -> str:
    """A prefix for topics of this test's own."""
    return topic_prefixes.pop()


@pytest.mark.parametrize("plant", REAL, ids=str)
async def test_a_planted_fault_is_counted_as_that(
    plant: Plant, stack: TestStack, prefix: str, own_topics: str, tmp_path: Path
) -> None:
    made = consistent_world()
    plant.plant(made)
    write_stores(made, stack.mongodb_uri, prefix)
    await write_topics(made.records, stack.kafka_bootstrap, own_topics)
    write_files(made, tmp_path)

    names = Names(prefix, own_topics, own_topics)
    world = await check_day.read_world(stack.mongodb_uri, stack.kafka_bootstrap, names, tmp_path / "inbox")
    result = json.loads((tmp_path / "result.json").read_text())
    answer, found = figures(world, read_day(tmp_path / "day.jsonl"), result)

    counted = {name: answer[name] for name in ("lost", "doubled", "reordered", "dead_letters", "unexpected")}
    assert counted == {name: getattr(plant, name) for name in counted}, found
    assert tally(found, "ghost") == plant.ghosts, found
    assert {difference.id for difference in found if difference.kind == "totals"} == plant.wrong_totals
    assert holds(answer, found) == (not any(counted.values()) and not plant.ghosts and not plant.wrong_totals)


async def commit_everything(bootstrap: str, topic_prefix: str, less: int = 0) -> None:
    """Every subscription is at the end of its topic, or `less` records before."""
    for service, topics in GROUPS.items():
        for topic in topics:
            partitions = [TopicPartition(topic_prefix + topic, 0)]
            group = f"{topic_prefix}.{service}.{topic}"
            consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
            await consumer.start()
            try:
                consumer.assign(partitions)
                ends = await consumer.end_offsets(partitions)
                await consumer.commit({partition: max(0, end - less) for partition, end in ends.items()})
            finally:
                await consumer.stop()


async def test_command_says_all_is_well_of_a_consistent_world(
    stack: TestStack, prefix: str, own_topics: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = consistent_world()
    write_stores(made, stack.mongodb_uri, prefix)
    await write_topics(made.records, stack.kafka_bootstrap, own_topics)
    write_files(made, tmp_path)
    await commit_everything(stack.kafka_bootstrap, own_topics)
    arguments = [
        *("--day", str(tmp_path / "day.jsonl"), "--result", str(tmp_path / "result.json")),
        *("--inbox", str(tmp_path / "inbox"), "--mongodb-uri", stack.mongodb_uri, "--kafka", stack.kafka_bootstrap),
        *("--prefix", prefix, "--topic-prefix", own_topics, "--group-prefix", own_topics, "--timeout", "20"),
    ]
    code = await asyncio.to_thread(check_day.main, arguments)
    shown = capsys.readouterr()
    last = json.loads(shown.out.splitlines()[-1])
    assert code == 0, shown.err
    expected = {"lines": 20, "unexpected": 0, **made.totals, "dead_letters": 0, "lost": 0, "doubled": 0, "reordered": 0}
    assert {name: last[name] for name in expected} == expected
    assert last["events_journaled"] == last["events_on_topics"] == len(made.records)
    assert last["messages"] == len(made.stores[("notifications", "messages")])
    assert (last["sms_received"], last["mails_received"]) == (len(made.sms), len(made.mails))
    assert last["seconds"] == 1800.0
    assert "Made Up" not in shown.err + shown.out
    assert "+91" not in shown.err + shown.out


async def test_command_shows_what_is_lost_and_fails(
    stack: TestStack, prefix: str, own_topics: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = consistent_world()
    lost = next(record for record in made.records if "ReferralAccepted" in record.type)
    made.records.remove(lost)
    write_stores(made, stack.mongodb_uri, prefix)
    await write_topics(made.records, stack.kafka_bootstrap, own_topics)
    write_files(made, tmp_path)
    await commit_everything(stack.kafka_bootstrap, own_topics)
    arguments = [
        *("--day", str(tmp_path / "day.jsonl"), "--result", str(tmp_path / "result.json")),
        *("--inbox", str(tmp_path / "inbox"), "--mongodb-uri", stack.mongodb_uri, "--kafka", stack.kafka_bootstrap),
        *("--prefix", prefix, "--topic-prefix", own_topics, "--group-prefix", own_topics, "--timeout", "20"),
    ]
    assert await asyncio.to_thread(check_day.main, arguments) == 1
    assert lost.id in capsys.readouterr().err


@pytest.mark.parametrize("under_way", ["to publish", "unread", "queued", "share"])
async def test_it_waits_for_what_is_under_way(under_way: str, stack: TestStack, prefix: str, own_topics: str) -> None:
    made = consistent_world()
    documents = made.stores
    if under_way == "to publish":
        next(iter(documents[("grievance", "grievances")].values()))["pending_since"] = "now"
    if under_way == "queued":
        next(iter(documents[("notifications", "messages")].values()))["state"]["status"] = "queued"
    if under_way == "share":
        next(iter(documents[("registration", "shares")].values()))["state"] |= {"status": "waiting", "next_at": "soon"}
    write_stores(made, stack.mongodb_uri, prefix)
    await write_topics(made.records, stack.kafka_bootstrap, own_topics)
    await commit_everything(stack.kafka_bootstrap, own_topics, less=1 if under_way == "unread" else 0)
    client = connect(stack.mongodb_uri)
    told: list[str] = []
    try:
        with pytest.raises(Unsettled):
            await wait_until_settled(
                client, stack.kafka_bootstrap, Names(prefix, own_topics, own_topics), 0.5, told.append
            )
    finally:
        client.close()
    said = {"to publish": "to be published: grievance", "unread": "unread: ", "queued": "messages queued"}
    assert told
    assert told[0].startswith(said.get(under_way, "shares not yet"))


async def test_it_returns_once_the_last_thing_is_done(stack: TestStack, prefix: str, own_topics: str) -> None:
    made = consistent_world()
    message = next(iter(made.stores[("notifications", "messages")].values()))
    message["state"]["status"] = "sending"
    write_stores(made, stack.mongodb_uri, prefix)
    await write_topics(made.records, stack.kafka_bootstrap, own_topics)
    await commit_everything(stack.kafka_bootstrap, own_topics)
    client = connect(stack.mongodb_uri)
    other: MongoClient[dict[str, object]] = MongoClient(stack.mongodb_uri)

    def finish(why: str) -> None:
        other[prefix + "notifications"]["messages"].update_one(
            {"_id": message["_id"]}, {"$set": {"state.status": "sent"}}
        )

    try:
        await wait_until_settled(client, stack.kafka_bootstrap, Names(prefix, own_topics, own_topics), 20, finish)
    finally:
        client.close()
        other.close()


def test_every_topic_of_the_world_is_one_the_checker_reads() -> None:
    assert set(TOPICS.values()) == set(READ)
