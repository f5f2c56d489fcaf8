"""E-mail through SMTP (RFC 5321, RFC 5322). Nobody can be asked afterwards what became of a mail."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib

from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Standing, Taken, Unsure


def compose(message: Outgoing, sender: str, sent_at: dt.datetime) -> EmailMessage:
    """Message-ID follows from the message, so that a repeat is seen as one by whoever keeps the mail."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(sent_at)
    mail["Message-ID"] = f"<{message.id}@hillhealth.example>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers it
    mail.set_content(message.text, charset="utf-8", cte="base64")
    mail["Content-Language"] = message.language
    return mail


class Smtp:
    """One connection per mail: mailboxes get few, and a connection that idles is one that is gone when it is needed."""

    channel: Channel = "email"
    can_be_asked = False

    def __init__(self, host: str, port: int, sender: str, *, seconds: float, start_tls: bool | None = None) -> None:
        self.seconds = seconds
        self._host = host
        self._port = port
        self._sender = sender
        self._start_tls = start_tls

    async def send(self, message: Outgoing) -> Answer:
        mail = compose(message, self._sender, dt.datetime.now(dt.UTC))
        smtp = aiosmtplib.SMTP(
            hostname=self._host, port=self._port, timeout=self.seconds / 2, start_tls=self._start_tls
        )
        handed_over = False
        try:
            async with asyncio.timeout(self.seconds):
                await smtp.connect()
                await smtp.mail(self._sender)
                await smtp.rcpt(message.to)
                handed_over = True
                await smtp.data(mail.as_bytes())
        except aiosmtplib.SMTPResponseException as error:
            return _read(error.code)
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            return Unsure("answer-lost") if handed_over else NotTaken("mail-server-away")
        finally:
            await _leave(smtp)
        return Taken()

    async def standing(self, reference: str) -> Standing:
        return "no-answer"

    async def close(self) -> None:
        return None


async def _leave(smtp: aiosmtplib.SMTP) -> None:
    """What the server says to QUIT changes nothing."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(1):
            await smtp.quit()
    smtp.close()


def _read(code: int) -> Answer:
    """RFC 5321 4.2.1: 5yz for good, all else later. 530 and 535 are about us, not about the mail."""
    if code in (530, 535):
        return NotTaken(f"mail-server-refuses-us-{code}")
    if 500 <= code < 600:
        return Never(f"smtp-{code}")
    return NotTaken(f"smtp-{code}")
