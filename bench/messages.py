"""From an event to an SMS that a provider has accepted: rendered, journaled, claimed, handed over, noted."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.consuming import produce
from bench.setting import ROUNDS, Setting, median, now, run
from libs.common.ids import derive
from libs.common.mongo import connect, open_database
from libs.contracts import referral

PEOPLE = 500
MESSAGES = 1_500
ORIGIN = "LA-LEH-CHC-KHALTSI"
FACILITY = {"name": "SNM Hospital Leh", "code": "LA-LEH-DH-SNM"}


def measure(here: Setting) -> dict[str, Any]:
    return run(_measure(here))


async def _measure(here: Setting) -> dict[str, Any]:
    """ReferralAccepted for people with a phone: one SMS each to the stand-in gateway, a process of its own."""
    return {"messages_per_s": median([await _round(here, number) for number in range(ROUNDS)])}


async def _round(here: Setting, number: int) -> float:
    from deploy.local.testing import serving

    prefix = f"bench_messages_{number}_"
    settings = here.stack.settings("notifications", DATABASE_PREFIX=prefix, CLOCK="system", LOG_LEVEL="WARNING")
    client = connect(settings.mongodb_uri)
    database = open_database(client, f"{prefix}notifications")
    people = [derive("bench-phone", number) for number in range(PEOPLE)]
    card = {"name": "Tsering Dolma", "language": "bo", "status": "active", "registered_at": "LA-LEH-DH-SNM"}
    await database["patients"].insert_many(
        [
            {"_id": id, "epoch": 1, "sequence": 1, "card": {"id": id, **card, "phone": f"+915550{index:06d}"}}
            for index, id in enumerate(people)
        ]
    )
    await database["facilities"].insert_many(
        [
            {"_id": code, "epoch": 1, "sequence": 1, "card": FACILITY}
            for code in (FACILITY["code"], "LA-LEH-CHC-KHALTSI")
        ]
    )
    accepted = referral.ReferralAccepted
    try:
        async with serving(settings, "notifications", 60) as served:
            registry = served.service.metrics.registry

            def sent() -> float:
                labels = {"channel": "sms", "status": "sent"}
                return registry.get_sample_value("hillhealth_messages_settled_total", labels) or 0.0

            began = now()
            await produce(
                settings.kafka_bootstrap,
                [
                    (
                        derive("bench-told", number, of),
                        1,
                        accepted(
                            patient=people[of % PEOPLE],
                            origin=ORIGIN,
                            destination=FACILITY["code"],
                            service="surgery",
                            urgency="routine",
                        ),
                    )
                    for of in range(MESSAGES)
                ],
            )
            while sent() < MESSAGES:
                await asyncio.sleep(0.02)
            return MESSAGES / (now() - began)
    finally:
        await client.drop_database(f"{prefix}notifications")
        await client.close()
