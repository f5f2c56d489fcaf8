"""A real SMTP server that keeps what it is given: `python -m deploy.local.smtp_inbox` on `PORT`, over `STATE`."""

from __future__ import annotations

import asyncio
import os
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.inbox import receive
from deploy.local.layout import Layout


class Keeper:
    """Keeps each mail as one line; accepts all, and twice what is sent twice."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        mail = message_from_bytes(content, policy=policy.default)
        body: Any = mail.get_body(("plain",))
        receive(
            self._path,
            {
                "message_id": mail["message-id"],
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "subject": mail["subject"],
                "body": body.get_content() if body is not None else "",
            },
        )
        return "250 2.0.0 Kept"


async def listen(layout: Layout, port: int) -> asyncio.Server:
    """Serves until the returned server is closed."""
    keeper = Keeper(layout.inbox / "mail.jsonl")
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: SMTP(keeper, enable_SMTPUTF8=True, hostname="inbox.localhost"), "127.0.0.1", port
    )


async def main() -> None:
    server = await listen(Layout.default(), int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
