"""A test that serves begins with empty topics, whatever an earlier one left."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.testing import TestStack, empty_topics

TOPIC = "referral.referral.v1"
GROUP = "hillhealth.test-isolation"


async def test_records_and_offsets_of_an_earlier_test_are_gone(stack: TestStack) -> None:
    await empty_topics(stack.kafka_bootstrap)
    where = TopicPartition(TOPIC, 0)
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap) as producer:
        for _ in range(3):
            await producer.send_and_wait(TOPIC, b"left", partition=0)
    async with _consumer(stack) as consumer:
        consumer.assign([where])
        await consumer.commit({where: 3})
        assert await consumer.committed(where) == 3

    await empty_topics(stack.kafka_bootstrap)
    async with _consumer(stack) as consumer:
        consumer.assign([where])
        assert await consumer.end_offsets([where]) == {where: 0}
        assert await consumer.committed(where) is None


def _consumer(stack: TestStack) -> AIOKafkaConsumer[bytes, bytes]:
    return AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, group_id=GROUP, enable_auto_commit=False)
