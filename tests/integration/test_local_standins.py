"""The stand-ins keep what they receive, twice what is sent twice, and fail when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from uuid import uuid4

import aiosmtplib
import httpx
import jwt
import pytest

from deploy.local.inbox import received
from deploy.local.testing import TestStack

TEXT = {"to": "+915550000001", "text": "टोकन 4", "template": "t", "language": "hi"}


@pytest.fixture
async def gateways(stack: TestStack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.gateways) as client:
        yield client
        await client.delete("/faults")


async def test_a_text_sent_twice_is_seen_twice(stack: TestStack, gateways: httpx.AsyncClient) -> None:
    reference = str(uuid4())
    assert (await gateways.get(f"/sms/{reference}")).status_code == 404
    for _ in range(2):
        assert (await gateways.post("/sms", json={**TEXT, "reference": reference})).status_code == 202
    kept = [entry for entry in received(stack.inbox / "sms.jsonl") if entry["reference"] == reference]
    assert [entry["text"] for entry in kept] == ["टोकन 4", "टोकन 4"]
    assert (await gateways.get(f"/sms/{reference}")).json()["count"] == 2
    assert "टोकन 4" in (await gateways.get("/inbox")).text


@pytest.mark.parametrize(("after_accept", "kept"), [(False, 1), (True, 2)])
async def test_a_planted_fault_fails_before_or_after_accepting(
    stack: TestStack, gateways: httpx.AsyncClient, after_accept: bool, kept: int
) -> None:
    reference = str(uuid4())
    await gateways.post("/faults", json={"sms": {"status": 503, "times": 1, "after_accept": after_accept}})
    answers = [(await gateways.post("/sms", json={**TEXT, "reference": reference})).status_code for _ in range(2)]
    assert answers == [503, 202]
    assert sum(entry["reference"] == reference for entry in received(stack.inbox / "sms.jsonl")) == kept


async def test_tokens_are_verified_by_the_keys_that_are_served(stack: TestStack, gateways: httpx.AsyncClient) -> None:
    discovery = (await gateways.get("/.well-known/openid-configuration")).json()
    keys = jwt.PyJWKClient(discovery["jwks_uri"])
    token = stack.issuer.token(role="doctor", facility="HP-KNR-CHC-POOH")
    key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token)
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="hillhealth", issuer=discovery["issuer"])
    assert (claims["role"], claims["facility"]) == ("doctor", "HP-KNR-CHC-POOH")

    session = (await gateways.post("/api/hiecm/gateway/v3/sessions", json={"clientId": "x"})).json()
    keys = jwt.PyJWKClient(f"{stack.gateways}/api/hiecm/gateway/v3/certs")
    key = await asyncio.to_thread(keys.get_signing_key_from_jwt, session["accessToken"])
    assert jwt.decode(session["accessToken"], key, algorithms=["RS256"])["exp"] > 0


async def test_a_mail_is_kept_with_its_message_id_and_its_own_script(stack: TestStack) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "hillhealth@hospital.example", "desk@hospital.example", "رجوع"
    mail["Message-ID"] = f"<{uuid4()}@hospital.example>"
    mail.set_content("བོད་ཡིག")
    host, port = stack.smtp
    await aiosmtplib.send(mail, hostname=host, port=port)
    kept = [entry for entry in received(stack.inbox / "mail.jsonl") if entry["message_id"] == mail["Message-ID"]]
    assert [(entry["to"], entry["subject"], entry["body"].strip()) for entry in kept] == [
        (["desk@hospital.example"], "رجوع", "བོད་ཡིག")
    ]


async def test_an_acknowledgement_is_kept_with_its_headers(stack: TestStack, gateways: httpx.AsyncClient) -> None:
    request_id = str(uuid4())
    answer = await gateways.post(
        "/api/hiecm/patient-share/v3/on-share",
        headers={"REQUEST-ID": request_id, "TIMESTAMP": "2026-11-20T03:10:11.000Z", "X-CM-ID": "sbx"},
        json={"response": {"requestId": "r"}},
    )
    assert answer.status_code == 202
    (kept,) = (entry for entry in received(stack.inbox / "on_share.jsonl") if entry["request_id"] == request_id)
    assert kept["headers"]["x-cm-id"] == "sbx"
    assert kept["body"] == {"response": {"requestId": "r"}}
