"""What each adapter makes of what a provider, or the network, does."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Taken, Unsure
from services.notifications.channels.sms_gateway import SmsGateway
from services.notifications.channels.smtp import Smtp, compose

MESSAGE = Outgoing("5b6c", "+915550000001", "नमस्ते\nजुले", "संदेश", "registered", "hi")
MAIL = Outgoing("5b6c", "desk.x@hospital.example", "नमस्ते\nजुले", "संदेश", "registered", "hi")


def gateway(answer: Callable[[httpx.Request], httpx.Response]) -> SmsGateway:
    return SmsGateway(
        "http://gateway.example", connect_seconds=1, answer_seconds=1, transport=httpx.MockTransport(answer)
    )


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (202, Taken()),
        (200, Taken()),
        (409, Taken()),
        (429, NotTaken("gateway-429")),
        (401, NotTaken("gateway-refuses-us-401")),
        (404, NotTaken("gateway-refuses-us-404")),
        (400, Never("gateway-400")),
        (422, Never("gateway-422")),
        (500, Unsure("gateway-500", over=True)),
        (503, Unsure("gateway-503", over=True)),
        (502, Unsure("gateway-502")),
        (504, Unsure("gateway-504")),
        (302, Unsure("gateway-302", over=True)),
    ],
)
async def test_what_a_status_means(status: int, answer: Answer) -> None:
    assert await gateway(lambda request: httpx.Response(status)).send(MESSAGE) == answer


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (httpx.ConnectError("refused"), NotTaken("gateway-away")),
        (httpx.ConnectTimeout("slow"), NotTaken("gateway-away")),
        (httpx.PoolTimeout("full"), NotTaken("gateway-away")),
        (httpx.ReadTimeout("slow"), Unsure("answer-lost")),
        (httpx.WriteError("reset"), Unsure("answer-lost")),
        (httpx.RemoteProtocolError("closed"), Unsure("answer-lost")),
    ],
)
async def test_what_trouble_on_the_way_means(error: httpx.HTTPError, answer: Answer) -> None:
    def raising(request: httpx.Request) -> httpx.Response:
        raise error

    assert await gateway(raising).send(MESSAGE) == answer


async def test_the_gateway_gets_reference_and_letters_as_they_are() -> None:
    seen: list[dict[str, str]] = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(202)

    await gateway(keep).send(MESSAGE)
    assert seen == [
        {"to": MESSAGE.to, "text": MESSAGE.text, "reference": "5b6c", "template": "registered", "language": "hi"}
    ]


@pytest.mark.parametrize(("status", "standing"), [(200, "accepted"), (404, "not-known"), (500, "no-answer")])
async def test_what_the_gateway_says_afterwards(status: int, standing: str) -> None:
    assert await gateway(lambda request: httpx.Response(status)).standing("5b6c") == standing


async def test_a_gateway_that_is_away_cannot_say() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert await gateway(refuse).standing("5b6c") == "no-answer"


def test_a_mail_is_what_the_standards_ask() -> None:
    raw = compose(MAIL, "no-reply@hillhealth.example", dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)).as_bytes()
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Message-ID"] == "<5b6c@hillhealth.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"] == "संदेश"
    assert mail["Content-Language"] == "hi"
    assert mail.get_content_charset() == "utf-8"
    assert mail.get_content().strip().replace("\r\n", "\n") == MAIL.text
    assert max(len(line) for line in raw.splitlines()) <= 998
    assert raw.isascii()


class Moody:
    """A real SMTP server that answers as told."""

    def __init__(self) -> None:
        self.rcpt = "250 OK"
        self.data = "250 OK"
        self.kept: list[bytes] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data == "hang":
            await asyncio.sleep(30)
        if self.data == "drop":
            server.transport.close()
        if self.data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.kept.append(envelope.content)
        return self.data


@pytest.fixture
async def moody() -> AsyncIterator[tuple[Moody, Smtp]]:
    handler = Moody()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="x"), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    yield handler, Smtp("127.0.0.1", port, "no-reply@hillhealth.example", seconds=1.0)
    server.close()


@pytest.mark.parametrize(
    ("rcpt", "data", "answer"),
    [
        ("250 OK", "250 OK", Taken()),
        ("550 no such mailbox", "250 OK", Never("smtp-550")),
        ("450 busy", "250 OK", NotTaken("smtp-450")),
        ("250 OK", "554 refused", Never("smtp-554")),
        ("250 OK", "451 later", NotTaken("smtp-451")),
        ("250 OK", "drop", Unsure("answer-lost")),
        ("250 OK", "hang", Unsure("answer-lost")),
    ],
)
async def test_what_a_mail_server_does(moody: tuple[Moody, Smtp], rcpt: str, data: str, answer: Answer) -> None:
    server, smtp = moody
    server.rcpt, server.data = rcpt, data
    assert await smtp.send(MAIL) == answer
    assert len(server.kept) == (1 if answer == Taken() else 0)


async def test_a_mail_server_that_is_away() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        smtp = Smtp("127.0.0.1", closed.getsockname()[1], "no-reply@hillhealth.example", seconds=1.0)
        assert await smtp.send(MAIL) == NotTaken("mail-server-away")
