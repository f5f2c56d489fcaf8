"""The first gateway is away: the second takes it, once."""

from __future__ import annotations

from notifications_fixtures import QUICK
from notifications_post import HERE, Inboxes, Messages, facility, new_id, others, patient, types

from deploy.local.ports import free_port
from deploy.local.testing import TestStack, serving


async def test_the_second_gateway_takes_what_the_first_surely_has_not(stack: TestStack, prefix: str) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    told = QUICK | {
        "DATABASE_PREFIX": prefix,
        "SMS_GATEWAY_URL": away,
        "SMS_GATEWAY_URL_SECOND": stack.environment("notifications")["SMS_GATEWAY_URL"],
        "LEASE_ATTEMPT_SECONDS": "4",
    }
    inboxes, who = Inboxes(stack), new_id()
    await stack.empty_topics()
    async with serving(stack.settings("notifications", **told), "notifications", seconds=60) as served:
        async with others(stack) as world:
            await world.publish(facility(HERE), HERE)
            event = await world.publish(patient(who), who)
        sms = (await Messages(served.service.database).settled(event, 2, 30))["patient", "sms"]
        assert sms["is"] == "sent"
        assert types(sms).count("SendAttempted") == 1
        assert len(inboxes.sms(sms["_id"])) == 1
        assert (
            'hillhealth_provider_resting{channel="sms",provider="first"}' in (await served.client.get("/metrics")).text
        )
    await inboxes.gateway.aclose()
