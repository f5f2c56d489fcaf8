"""`python -m deploy.day standins | play`: what the containers of profile `day` run.

STATE: the folder both share (issuer's keys, inboxes, answers).
STANDINS: the stand-ins' address, as the services see it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from aiosmtpd.smtp import SMTP

from deploy.local import gateways
from deploy.local.issuer import Abdm, Issuer
from deploy.local.layout import Layout, write_json
from deploy.local.smtp_inbox import Keeper
from tools.check_day import check, show
from tools.checking import figures
from tools.checking.settle import Names
from tools.play_day import play, tell
from tools.playing.day import Refused, read_day

SERVICES = ("registration", "referral", "grievance", "notifications")
SMTP_PORT = 8125
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a container's own network is the only one there is


async def standins(layout: Layout, url: str) -> None:
    """SMS gateway, ABDM gateway, issuer and SMTP inbox, until stopped."""
    # Before anybody asks: the player signs with the same keys, and two must not make them at once.
    Issuer(layout, url).jwks()
    Abdm(layout).jwks()
    keeper = Keeper(layout.inbox / "mail.jsonl")
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(keeper, enable_SMTPUTF8=True, hostname="standins"),
        EVERYWHERE,
        SMTP_PORT,
    )
    app = gateways.create_app(layout, url)
    port = urlsplit(url).port or 80
    server = uvicorn.Server(uvicorn.Config(app, host=EVERYWHERE, port=port, access_log=False, log_level="warning"))
    async with smtp:
        await server.serve()


def addresses(layout: Layout, url: str, port: int = 8000) -> dict[str, Any]:
    """What the player wants to know of a stack, by the names of the compose network."""
    return {
        "services": {service: f"http://{service}:{port}" for service in SERVICES},
        "gateways": url,
        "inbox": str(layout.inbox),
    }


def play_and_check(layout: Layout, url: str, path: Path) -> int:
    """Prints `make demo`'s JSON as the last line; 0 if the day held."""
    write_json(layout.addresses, addresses(layout, url))
    day = read_day(path)
    written, result = play(day, layout)
    tell(result)
    answer, found = asyncio.run(
        check(
            day=figures.read_day(path),
            result=json.loads(written.read_text()),
            mongodb_uri=os.environ["STORES"],
            bootstrap=os.environ["KAFKA_BOOTSTRAP"],
            names=Names(os.environ["DATABASE_PREFIX"]),
            inbox=layout.inbox,
            timeout=120.0,
        )
    )
    show(found)
    print(json.dumps(answer), flush=True)
    return 0 if figures.holds(answer, found) and not result["unexpected"] else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.day", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("standins")
    commands.add_parser("play").add_argument("--day", type=Path, default=Path("data/day.jsonl"))
    arguments = parser.parse_args()
    layout, url = Layout.default(), os.environ["STANDINS"]
    if arguments.command == "standins":
        asyncio.run(standins(layout, url))
        return 0
    try:
        return play_and_check(layout, url, arguments.day)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
