"""`python -m tests.toy.worker PREFIX [AT]`: a toy service in a process of its own, to be killed.

Says `ready` on standard output. With AT `mark`, it kills itself with SIGKILL between Kafka's acknowledgement and the
mark; with `commit`, between the first effects of a batch and the commit of its offsets.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from libs.common.access import SYSTEM
from libs.common.records import Received
from libs.common.service import Service
from libs.common.settings import ServiceSettings
from libs.contracts.referral import REFERRAL
from tests.toy.ledger import EFFECTS, LEDGER, Done
from tests.toy.running import is_ready
from tests.toy.stream import in_group_of
from tests.waiting import eventually


def die(*arguments: Any, **named: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def effect(service: Service) -> Any:
    """A reaction whose effect shows in a journal: one entry per event."""

    async def react(received: Received) -> None:
        await service.journal.append(
            EFFECTS,
            received.key,
            lambda state: [Done(sequence=received.sequence, type=received.type)],
            received.cause(),
            SYSTEM,
        )

    return react


async def main(prefix: str, at: str) -> None:
    settings = ServiceSettings(database_prefix=prefix, development=True, sweep_seconds=0.2)
    if at == "commit":
        service = Service("notifications", settings, kinds=(EFFECTS,), access={}, about="a toy")
        service.react(REFERRAL, effect(service))
        in_group_of(service, prefix)
        (subscription,) = service.listener.subscriptions
        handle = subscription.handle

        async def handle_and_die(records: Any) -> None:
            await handle(records)
            die()

        subscription.handle = handle_and_die  # type: ignore[method-assign]
    else:
        service = Service("referral", settings, kinds=(LEDGER,), access={}, about="a toy")
        if at == "mark":

            async def die_with_marks(kind: Any) -> None:
                if service.relay._unmarked[kind.collection]:
                    die()

            service.relay._mark = die_with_marks  # type: ignore[method-assign]
    async with service.app.router.lifespan_context(service.app):
        await eventually(lambda: is_ready(service), 30)
        print("ready", flush=True)
        await asyncio.sleep(120)


if __name__ == "__main__":
    assert Path("libs").is_dir(), "run it from the repository"
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
