"""The deployment's broker for real: the very script, table and commands that the compose file runs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)

from deploy.kafka.access import READ, TOPIC, Right, apply, read_table, rights
from deploy.kafka.rewind import rewind
from deploy.local.testing import TestStack, serving
from libs.common.reconciliation import reconcile
from libs.common.topics import create_topics, public_topics
from tests.integration.guarded_broker import Guarded, guarded_broker
from tools.checking.topics import read_topics

TABLE = read_table()
PARTS = ("services", "topics", "day")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded_broker(tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


@pytest.fixture(scope="module")
async def broker(started: Guarded) -> Guarded:
    """With every principal, its rights, and the topics, made by the principal who may make topics."""
    wanted = rights(TABLE, PARTS)
    assert await apply(started.settings("broker"), wanted, started.passwords(*PARTS)) == (len(wanted), 0)
    assert len(await create_topics(started.settings("topics"))) == len(public_topics())
    return started


async def see(broker: Guarded, principal: str, topic: str) -> None:
    """Raises TopicAuthorizationFailedError for a topic unknown to the principal, which the clients ask for for ever."""
    admin = AIOKafkaAdminClient(**broker.reach(principal))
    await admin.start()
    try:
        for told in await admin.describe_topics([topic]):
            if told["error_code"]:
                raise for_code(told["error_code"])(topic)
    finally:
        await admin.close()


async def write(broker: Guarded, principal: str, topic: str) -> None:
    await see(broker, principal, topic)
    producer = AIOKafkaProducer(**broker.reach(principal), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"{}", key=b"somebody")
    finally:
        await producer.stop()


async def read(broker: Guarded, principal: str, topic: str) -> int:
    await see(broker, principal, topic)
    consumer = AIOKafkaConsumer(**broker.reach(principal), enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(12)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        found = await consumer.getmany(timeout_ms=3000, max_records=1)
        return sum(len(records) for records in found.values())
    finally:
        await consumer.stop()


@pytest.mark.parametrize("service", sorted(TABLE["services"]))
async def test_a_service_writes_its_own_topics_and_no_other(broker: Guarded, service: str) -> None:
    for owner, row in TABLE["services"].items():
        for topic in row["writes"]:
            if owner == service:
                await write(broker, service, topic)
            else:
                with pytest.raises(TopicAuthorizationFailedError):
                    await write(broker, service, topic)


async def test_a_restricted_topic_is_read_by_those_who_need_it(broker: Guarded) -> None:
    await write(broker, "registration", "registration.patient.v1")
    for reader in ("registration", "referral", "notifications"):
        assert await read(broker, reader, "registration.patient.v1") == 1
    with pytest.raises(TopicAuthorizationFailedError):
        await read(broker, "grievance", "registration.patient.v1")


async def test_nobody_reads_in_another_s_group(broker: Guarded) -> None:
    consumer = AIOKafkaConsumer(
        "registration.patient.v1", **broker.reach("referral"), group_id="hillhealth.notifications.mine-now"
    )
    try:
        with pytest.raises(GroupAuthorizationFailedError):
            await consumer.start()
    finally:
        await consumer.stop()


async def test_who_makes_topics_writes_none(broker: Guarded) -> None:
    with pytest.raises(ClusterAuthorizationFailedError):
        await write(broker, "topics", "referral.referral.v1")


async def test_a_wrong_password_is_refused(broker: Guarded, tmp_path: Path) -> None:
    kept = tmp_path / "wrong"
    kept.write_text("wrong")
    with pytest.raises(KafkaError):
        await create_topics(broker.settings("topics", kept))


async def test_a_second_run_changes_nothing(broker: Guarded) -> None:
    assert await apply(broker.settings("broker"), rights(TABLE, PARTS), broker.passwords(*PARTS)) == (0, 0)


async def test_a_right_that_the_table_no_longer_gives_is_taken_away(broker: Guarded) -> None:
    """And a new password is good at once, the old one no more."""
    table = rights(TABLE, PARTS)
    extra = Right("grievance", TOPIC, "registration.patient.v1", 3, READ)
    passwords = broker.passwords(*PARTS)
    assert await apply(broker.settings("broker"), table | {extra}, passwords) == (1, 0)
    await read(broker, "grievance", "registration.patient.v1")
    assert await apply(broker.settings("broker"), table, passwords) == (0, 1)
    with pytest.raises(TopicAuthorizationFailedError):
        await read(broker, "grievance", "registration.patient.v1")

    old = broker.secrets / "kafka_checker_old"
    old.write_text(passwords["checker"])
    (broker.secrets / "kafka_checker").write_text(secrets.token_hex(16))
    await apply(broker.settings("broker"), table, broker.passwords(*PARTS))
    await read(broker, "checker", "referral.referral.v1")
    with pytest.raises(KafkaError):
        await create_topics(broker.settings("checker", old))


async def test_a_service_works_with_its_own_rights(broker: Guarded, stack: TestStack, prefix: str) -> None:
    """The whole way: idempotent producer, subscription, commits; `reconcile` reads back; `rewind` forgets."""
    access = {
        "DATABASE_PREFIX": prefix,
        "KAFKA_BOOTSTRAP": broker.bootstrap,
        "KAFKA_USERNAME": "referral",
        "KAFKA_PASSWORD_FILE": str(broker.secrets / "kafka_referral"),
    }
    async with serving(stack.settings("referral", **access), "referral") as served:
        facilities = served.service.database["facilities"]
        async with asyncio.timeout(30):
            while await facilities.find_one({"pending_since": {"$exists": True}}) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        listed = await facilities.count_documents({})
        report = await reconcile(served.service)
    assert listed > 0
    assert not report["failed"]
    assert report["referral.facility.v1"]["journaled"] >= listed
    groups = await rewind(broker.settings("broker"), "referral")
    assert "hillhealth.referral.registration.patient.v1.replica" in groups
    assert await rewind(broker.settings("broker"), "referral") == []


async def test_the_checker_reads_a_guarded_broker(broker: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the container `day` runs it: credentials from the environment."""
    await write(broker, "grievance", "grievance.contact.v1")
    monkeypatch.setenv("KAFKA_USERNAME", "checker")
    monkeypatch.setenv("KAFKA_PASSWORD_FILE", str(broker.secrets / "kafka_checker"))
    assert (await read_topics(broker.bootstrap))["grievance.contact.v1"]
