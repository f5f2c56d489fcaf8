"""Two gateways: the second takes what the first surely has not, and nothing that the first may have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from notifications_fixtures import QUICK
from notifications_post import (
    HERE,
    Inboxes,
    Messages,
    eventually,
    facility,
    new_id,
    others,
    patient,
    phone,
    registered,
    requested,
    types,
)
from standardwebhooks import Webhook

from deploy.local.ports import free_port
from deploy.local.testing import Served, TestStack, serving
from libs.common.clock import machine_now
from libs.contracts import referral
from services.notifications.settings import Settings
from tests.wire import DROPPED, Got, OnTheWire, Reply, on_the_wire


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


class Gateway:
    """Takes every message and drops the connection while `loses`; says what it has only while `says`."""

    def __init__(self) -> None:
        self.has: set[str] = set()
        self.loses = self.says = self.refuses = False

    def __call__(self, got: Got) -> Reply:
        if got.method == "POST" and self.refuses:
            return Reply(400, '{"code": "DLT-612"}')
        if got.method == "POST":
            self.has.add(got.json["reference"])
            return DROPPED if self.loses else Reply(202)
        if not self.says:
            return Reply(503)
        return Reply(200 if got.path.removeprefix("/sms/") in self.has else 404)


def sent(wire: OnTheWire, reference: str) -> int:
    """Calls that carried this message, under whatever reference of an attempt."""
    return sum(got.method == "POST" and got.json["reference"].startswith(reference) for got in wire.got)


async def receipt(served: Served, stack: TestStack, **body: Any) -> None:
    operator = {"Authorization": f"Bearer {stack.issuer.token(role='operator', facility='')}"}
    secret = (await served.client.get("/receipt-secrets", headers=operator)).json()["sms"]
    text, id, now = json.dumps(body), new_id(), machine_now()
    signature = Webhook(secret).sign(id, now, text)
    headers = {"webhook-id": id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    (await served.client.post("/receipts/sms", content=text, headers=headers)).raise_for_status()


async def test_what_the_first_took_and_did_not_say_is_resolved_before_anything_is_sent_again(
    stack: TestStack, prefix: str
) -> None:
    """Routine: by the gateway's word, or by a receipt, and never again. An emergency: asked first, then once more."""
    first_says, second_says = Gateway(), Gateway()
    await stack.empty_topics()
    async with on_the_wire(first_says) as first, on_the_wire(second_says) as second, others(stack) as world:
        told = QUICK | {
            "DATABASE_PREFIX": prefix,
            "SMS_GATEWAY_URL": first.url,
            "SMS_GATEWAY_URL_SECOND": second.url,
            "LEASE_ATTEMPT_SECONDS": "4",
        }
        async with serving(stack.settings("notifications", **told), "notifications", seconds=60) as served:
            messages = Messages(served.service.database)
            for code in (HERE, "LA-KGL-DH-KARGIL"):
                await world.publish(facility(code), code)
            who = await registered(world, messages)
            first_says.loses = True

            async def tried(event: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
                async def seen() -> dict[str, Any] | None:
                    found = (await messages.of(event)).get(("patient", "sms"))
                    return found if found is not None and done(found) else None

                found: dict[str, Any] = await eventually(seen, 30)
                return found

            by_word = await world.publish(referral.ReferralAccepted(**requested(who).model_dump()), new_id())
            asked = await tried(by_word, lambda found: found["state"]["asks"] >= 2)
            assert (asked["is"], sent(first, asked["_id"]), sent(second, asked["_id"])) == ("sending", 1, 0)
            first_says.says = second_says.says = True
            settled = await tried(by_word, lambda found: found["is"] == "sent")
            assert types(settled).count("SendAttempted") == 1

            first_says.says = False
            by_receipt = await world.publish(
                referral.ReferralCancelled(**requested(who).model_dump(), reason="moved"), new_id()
            )
            asked = await tried(by_receipt, lambda found: found["state"]["asks"] >= 2)
            await receipt(served, stack, reference=asked["_id"], status="delivered")
            settled = await tried(by_receipt, lambda found: found["is"] == "sent")
            assert settled["state"]["delivery"] == "delivered"

            urgent = requested(who).model_dump() | {"urgency": "emergency"}
            emergency = await world.publish(referral.ReferralAccepted(**urgent), new_id())
            repeated = await tried(emergency, lambda found: found["state"]["attempt"] == 2)
            before = types(repeated)[: types(repeated).index("RetryScheduled")]
            assert before.count("AnswerAwaited") == 3, "asked before it is sent once more"

            counts = {
                event: (sent(first, found["_id"]), sent(second, found["_id"]))
                for event in (by_word, by_receipt, emergency)
                for found in [await tried(event, lambda found: True)]
            }
            assert (counts[by_word], counts[by_receipt]) == ((1, 0), (1, 0))
            await eventually(lambda: _true(sent(first, repeated["_id"]) == 2))
            assert sent(second, repeated["_id"]) == 0

            # The operators refuse the template itself: no other gateway is asked, and nobody else's message is tried.
            first_says.refuses = True
            closed = referral.ReferralClosed(**requested(who).model_dump())
            held = await tried(
                await world.publish(closed, new_id()), lambda found: found["state"].get("reason") == "template-stopped"
            )
            tries = first.count("POST")
            again = await tried(
                await world.publish(closed, new_id()), lambda found: found["state"].get("reason") == "template-stopped"
            )
            assert (sent(first, held["_id"]), sent(second, held["_id"]), sent(first, again["_id"])) == (1, 0, 0)
            assert first.count("POST") == tries
            metrics = (await served.client.get("/metrics")).text
            assert 'hillhealth_template_stopped{language="ur",template="referral-closed"} 1.0' in metrics


async def _true(value: bool) -> bool:
    return value


async def test_another_channel_is_tried_at_once_and_only_when_none_reached_the_person_is_that_said(
    stack: TestStack, prefix: str, tmp_path: Path
) -> None:
    """WhatsApp refuses the template, SMS the number, an ASHA tells it; where there is no ASHA, nobody did."""
    secrets_of_here = Path(stack.environment("notifications")["SECRETS_DIR"])
    for name in ("tracking_key", "seal_key"):
        (tmp_path / name).write_bytes((secrets_of_here / name).read_bytes())
    for name in ("whatsapp_token", "whatsapp_app_secret", "whatsapp_verify_token"):
        (tmp_path / name).write_text("a-secret-of-this-test")
    routing = Settings.model_fields["routing_file"].default.read_text(encoding="utf-8")
    (tmp_path / "routing.yaml").write_text(routing.replace("when: daytime", "when: at-once"), encoding="utf-8")

    def barred(got: Got) -> Reply:
        if got.json["template"] == "registered":
            return Reply(202)
        return Reply(400, '{"code": "INVALID-SUB"}')

    refused = Reply(400, '{"error": {"code": 132001}}')
    async with on_the_wire(lambda got: refused) as meta, on_the_wire(barred) as gateway:
        await stack.empty_topics()
        told = QUICK | {
            "DATABASE_PREFIX": prefix,
            "SMS_GATEWAY_URL": gateway.url,
            "WHATSAPP_URL": meta.url,
            "WHATSAPP_PHONE_NUMBER_ID": "1000",
            "SECRETS_DIR": str(tmp_path),
            "ROUTING_FILE": str(tmp_path / "routing.yaml"),
        }
        async with (
            others(stack) as world,
            serving(stack.settings("notifications", **told), "notifications", seconds=60) as served,
        ):
            messages = Messages(served.service.database)
            await world.publish(facility(HERE), HERE)

            async def post(path: str, body: dict[str, Any], role: str, facility: str = "", **claims: Any) -> Any:
                token = stack.issuer.token(role=role, facility=facility, **claims)
                headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": new_id()}
                answer = await served.client.post(path, json=body, headers=headers)
                assert answer.status_code < 300, answer.text
                return answer.json()

            asha = {"kind": "asha", "phone": phone(), "villages": ["Barsoo"], "subject": "asha-1", "name": "Zahra"}
            await post("/people", asha, "desk", HERE)
            await asyncio.sleep(2.1)  # a process believes for two seconds that nobody relays
            people = {}
            for village in ("Barsoo", "Nowhere"):
                who = people[village] = new_id()
                await world.publish(patient(who, village=village, language="en"), who)
                await eventually(lambda who=who: messages.database["patients"].find_one({"_id": who}))
                agreed = {"channel": "whatsapp", "allowed": True}
                await post("/preferences", agreed, "citizen", patient=who)

            async def over(who: str) -> dict[str, Any] | None:
                query = {"state.recipient": f"patient:{who}", "state.template": "report-ready"}
                found = {one["state"]["channel"]: one async for one in messages.database["messages"].find(query)}
                last = found.get("sms")
                return found if last is not None and last["state"]["passing_on"] is False and _over(found) else None

            for village, reached in (("Barsoo", True), ("Nowhere", False)):
                body = {"template": "report-ready", "to": f"patient:{people[village]}"}
                await post("/sends", body | {"variables": {"facility": "CHC Sankoo"}}, "desk", HERE)
                found = await eventually(lambda village=village: over(people[village]), 30)
                failed = [one for one in types(found["sms"]) if one in ("MessageFailed", "RecipientNotReached")]
                assert failed == ["MessageFailed", *([] if reached else ["RecipientNotReached"])]
                assert ("relay" in found) is reached
                assert found["whatsapp"]["state"]["reason"] in ("whatsapp-132001", "template-stopped")
            assert (meta.count("POST"), gateway.count("POST")) == (1, 4), "its template rests for WhatsApp only"
            metrics = (await served.client.get("/metrics")).text
            assert 'template_stopped{language="en",template="whatsapp-report-ready"} 1.0' in metrics
            assert 'template_stopped{language="en",template="report-ready"} 0.0' in metrics


def _over(found: dict[str, Any]) -> bool:
    return all(one["state"]["status"] not in ("waiting", "queued", "sending") for one in found.values())
